"""The mutation by which staff delete a customer."""

from typing import Any

from app.saleor.simulator.api.fields import Fields, Request
from app.saleor.simulator.api.inputs import Payload, answering, not_found, require_kind
from app.saleor.simulator.input_errors import InputError


@answering("user")
def _delete(
    _root: Any,
    request: Request,
    id: str | None = None,  # noqa: A002 - Saleor's argument name
    externalReference: str | None = None,  # noqa: N803 - Saleor's argument name
) -> Payload:
    request.requestor.require_any("MANAGE_USERS")
    if id is not None:
        require_kind(id, ["User"], "id")
    users = request.shop.users
    user = next(
        (u for u in users if id == u.id or (externalReference and externalReference == u.external_reference)), None
    )
    if user is None:
        raise not_found("id" if id else "externalReference", id or externalReference)
    if user.is_staff:
        raise InputError("id", "DELETE_STAFF_ACCOUNT", "Cannot delete a staff account.")
    request.shop.delete_customer(user, by=request.requestor.principal)
    return {"user": user}


MUTATION: Fields = {"customerDelete": _delete}
