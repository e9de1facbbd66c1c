"""What the pages for customers share: the language they speak, and the answer to a link that opens nothing."""

from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.web.context import WebContext
from app.web.pages.catalogue import Language, language, offered, preferred
from app.web.pages.rendering import page

AREA = "public"


def spoken(request: Request, of_subscriber: str | None = None) -> Language:
    """What was chosen on the page; the subscriber's own, as the shop has it; a browser's where it does not know."""
    chosen = chosen_language(request)
    if chosen:
        return language(AREA, chosen)
    if of_subscriber:
        return language(AREA, of_subscriber)
    return preferred(AREA, request.headers.get("Accept-Language"))


def chosen_language(request: Request) -> str | None:
    """One of those that are offered, or None."""
    code = request.query_params.get("lang", "")
    return code if code in offered(AREA) else None


def message(context: WebContext, words: Language, key: str, status: int) -> HTMLResponse:
    """A heading and a sentence, below `public.<key>`."""
    told = {part: words.text(f"public.{key}.{part}") for part in ("heading", "sentence")}
    return page(context, "message.html", words, status=status, **told)


def invalid(context: WebContext, request: Request) -> HTMLResponse:
    return message(context, spoken(request), "invalid", 404)


def busy(context: WebContext, request: Request, seconds: float) -> HTMLResponse:
    answer = message(context, spoken(request), "busy", 429)
    answer.headers["Retry-After"] = f"{seconds:.0f}"
    return answer


def from_elsewhere(context: WebContext, request: Request) -> bool:
    """Whether another site made the browser send this form.

    Browsers say so themselves (Sec-Fetch-Site). Older ones name an origin, which is "null" from our own pages, because
    they send no referrer: that proves nothing, and nothing but the form's mark is left, which no other site knows.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site != "same-origin"
    ours = urlsplit(context.app_url)
    return request.headers.get("Origin", "null") not in {"null", f"{ours.scheme}://{ours.netloc}"}
