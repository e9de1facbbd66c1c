"""A request that Saleor signed: nothing of it is believed before the signature, the event and the recipient are."""

from fastapi import Request

from app.domain.account import Installation
from app.domain.errors import InvalidInput, NotFound
from app.saleor.manifest import event_names
from app.saleor.payloads import recipient_of
from app.saleor.signatures import verify_webhook
from app.usecases.installations import Webhook, verify
from app.web.context import WebContext


async def verified(context: WebContext, segment: str, request: Request) -> tuple[Installation, Webhook]:
    """Whose webhook it is and what it says; `segment` is the last part of its path. Raises what makes it unusable."""
    body = await request.body()
    expected = event_names().get(segment)
    if expected is None:
        raise NotFound(f"no webhook {segment:.60}")
    if header(request, "Saleor-Event").lower() != expected:
        raise InvalidInput(f"Saleor-Event is not {expected}", field="Saleor-Event")
    signature = header(request, "Saleor-Signature")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidInput("the body is not UTF-8") from None
    webhook = Webhook(header(request, "Saleor-Api-Url"), expected, text)
    installation = await verify(
        context.deps,
        context.keys,
        webhook,
        lambda jwks: verify_webhook(jwks, signature, body),
        lambda: recipient_of(text),
    )
    return installation, webhook


def header(request: Request, name: str) -> str:
    value = request.headers.get(name) or request.headers.get(f"X-{name}")
    if not value:
        raise InvalidInput(f"the header {name} is missing", field=name)
    return value
