"""Templates to answers: everything is escaped, nothing may be undefined, and the browser is told to trust only us."""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.web.context import WebContext
from app.web.pages import formats
from app.web.pages.assets import assets
from app.web.pages.catalogue import Language
from app.web.pages.story import said

TEMPLATES = Path(__file__).parent / "templates"
_OURS = ("style-src", "script-src", "img-src", "connect-src")


@cache
def environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(
    context: WebContext,
    template: str,
    language: Language,
    *,
    status: int = 200,
    framed_by: Sequence[str] = (),
    form_targets: Sequence[str] = (),
    **values: object,
) -> HTMLResponse:
    """A rendered template (a document or a fragment of one) with the headers that every page has.

    `framed_by` are the origins that may show it in a frame: none, if left out. `form_targets` are origins that a form
    on it may lead to besides ours: Chromium counts the redirects that answer a form too.

    Templates are given `values`, and: `t(key, **placeholders)`, `money(Money)`, `day(date)`, `moment(datetime, zone)`,
    `interval(Plan)`, `minor(number, Money)` for a sum of the same currency, `labelled(key, values)` and
    `account_name(account)`, `channels(accounts)` for choices, `month(date)`, `count(number)`, `percent(part, whole)`,
    `said(Moment)`,
    `asset(file)` and `url(path)` for addresses here, `language`.
    """
    body = environment().get_template(template).render(_given(context, language) | values)
    headers = security_headers(framed_by, form_targets) | {"Content-Language": language.code, "Vary": "Accept-Language"}
    return HTMLResponse(body, status, headers)


def security_headers(framed_by: Sequence[str] = (), form_targets: Sequence[str] = ()) -> dict[str, str]:
    """Nothing is loaded but our own files, nothing runs inline, and no cache keeps what may be about a person."""
    policy = [
        "default-src 'none'",
        *(f"{what} 'self'" for what in _OURS),
        " ".join(["form-action 'self'", *form_targets]),
        "base-uri 'none'",
        " ".join(["frame-ancestors", *(framed_by or ["'none'"])]),
    ]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


def _given(context: WebContext, language: Language) -> dict[str, object]:
    base = urlsplit(context.app_url).path  # behind a proxy the app may live below a path

    def asset(name: str) -> str:
        return base + assets()[name].path

    def url(path: str) -> str:
        return base + path

    return {
        "t": language.text,
        "money": partial(formats.money, language),
        "day": partial(formats.day, language),
        "moment": partial(formats.moment, language),
        "interval": partial(formats.interval, language),
        "month": partial(formats.month, language),
        "account_name": partial(formats.account_name, language),
        "count": partial(formats.count, language),
        "percent": partial(formats.percent, language),
        "asset": asset,
        "url": url,
        "minor": formats.minor,
        "labelled": partial(formats.labelled, language),
        "channels": partial(formats.channels, language),
        "said": partial(said, language),
        "language": language,
    }
