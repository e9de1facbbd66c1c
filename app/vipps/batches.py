"""Many charges in one request, as v3 takes them since 2024 (facts: VIPPS 5, row 13).

Taken is not made: Vipps makes the charges afterwards, and whoever sent them looks for them by their order ids.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from app.domain.batch import check_size
from app.domain.charge import ChargeRequest
from app.domain.errors import OutcomeUnknown, Rejected
from app.vipps.http import VippsHttp
from app.vipps.redaction import clean
from app.vipps.wire import UNREADABLE

_LARGEST = 2_000


class Batches:
    """ChargeBatches over v3. `body_of` writes one charge as it is written alone."""

    def __init__(self, http: VippsHttp, path: str, body_of: Callable[[ChargeRequest], dict[str, Any]]) -> None:
        self._http = http
        self._path = path
        self._body_of = body_of

    @property
    def largest(self) -> int:
        return _LARGEST

    async def create_charges(self, requests: Sequence[ChargeRequest], *, key: str) -> Mapping[str, Rejected | None]:
        check_size(requests, _LARGEST)
        if not requests:
            return {}
        response = await self._http.write(
            "POST",
            self._path,
            operation="createCharges",
            key=key,
            body=[{"agreementId": request.agreement_id} | self._body_of(request) for request in requests],
            summary=f"{len(requests)} charges",
        )
        taken, refused = _read(response.content)
        # An id that is named on both sides, twice in one batch perhaps, stays open: a look at the charge will tell.
        return {
            request.order_id: refused.get(request.order_id)
            for request in requests
            if (request.order_id in taken) is not (request.order_id in refused)
        }


def _read(body: bytes) -> tuple[set[str], dict[str, Rejected]]:
    """By hand and not by a model: one item that cannot be read must not leave all the others open."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not answer.keys() & {"validCharges", "invalidCharges"}:
        raise OutcomeUnknown(UNREADABLE)
    taken = {order_id for order_id in _items(answer.get("validCharges")) if isinstance(order_id, str)}
    return taken, dict(_refusals(_items(answer.get("invalidCharges"))))


def _refusals(items: Iterable[Any]) -> Iterable[tuple[str, Rejected]]:
    for item in items:
        charge = item.get("chargeBatchItemDto") if isinstance(item, dict) else None
        order_id = charge.get("orderId") if isinstance(charge, dict) else None
        if isinstance(order_id, str):
            reasons = [reason for reason in _items(item.get("errors")) if isinstance(reason, str) and reason]
            yield order_id, Rejected(f"Vipps refuses the charge: {clean('; '.join(reasons)) or 'no reason given'}")


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
