"""Vipps Recurring v2: the eleven operations, their wire models, and the way from and to the domain.

Facts: VIPPS 4 (endpoints), 4.1 to 4.6 (bodies). Amounts are minor units; v2 knows NOK only.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from app.domain.agreement import AgreementChanges, AgreementDraft, AgreementStatus, Campaign, InitialCharge
from app.domain.charge import ChargeRequest, ChargeStatus, SeenCharge
from app.domain.errors import InvalidInput, Misconfigured, OutcomeUnknown, Unavailable
from app.domain.money import Money, currency_of
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import AccessToken, DraftedAgreement, Outcome, SeenAgreement
from app.vipps.http import VippsHttp

_ROOT = "/recurring/v2/agreements"
_UNREADABLE = "Vipps' answer cannot be read; the same request is repeated with the same key"
# `due` was seen as a bare date as well as a time (facts: VIPPS 16.14); what knows no zone is UTC.
_Instant = Annotated[datetime, AfterValidator(lambda moment: moment if moment.tzinfo else moment.replace(tzinfo=UTC))]
W = TypeVar("W")
D = TypeVar("D")


class _Wire(BaseModel):
    """Unknown fields are ignored: Vipps calls adding them a compatible change (facts: VIPPS 1.7)."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, populate_by_name=True)


class _Drafted(_Wire):
    agreement_id: str
    vipps_confirmation_url: str
    charge_id: str | None = None


class _Campaign(_Wire):
    campaign_price: int
    start: _Instant | None = None
    end: _Instant | None = None


class _VariableAmount(_Wire):
    suggested_max_amount: int | None = None
    max_amount: int | None = None


class _Agreement(_Wire):
    id: str
    status: str
    product_name: str = ""
    product_description: str | None = None
    price: int | None = None
    currency: str = "NOK"
    interval: str
    interval_count: int
    start: _Instant | None = None
    stop: _Instant | None = None
    campaign: _Campaign | None = None
    variable_amount: _VariableAmount | None = None
    merchant_agreement_url: str | None = None
    sub: str | None = None
    userinfo_url: str | None = None

    def seen(self) -> SeenAgreement:
        currency = currency_of(self.currency)
        variable = self.variable_amount or _VariableAmount()
        return SeenAgreement(
            agreement_id=self.id,
            status=_agreement_status(self.status),
            product_name=self.product_name[:100],
            product_description=(self.product_description or "")[:255],
            price=Money(self.price or 0, currency),
            plan=Plan(IntervalUnit(self.interval), self.interval_count),
            start=self.start,
            stop=self.stop,
            campaign=self._campaign(),
            suggested_max=_money(variable.suggested_max_amount, self.currency),
            max_amount=_money(variable.max_amount, self.currency),
            agreement_url=self.merchant_agreement_url,
            sub=self.sub,
            userinfo_url=self.userinfo_url,
        )

    def _campaign(self) -> Campaign | None:
        if self.campaign is None or self.campaign.end is None:
            return None
        price = Money(self.campaign.campaign_price, currency_of(self.currency))
        return Campaign(price, self.campaign.end, self.campaign.start)


class _ChargeId(_Wire):
    charge_id: str


class _Charge(_Wire):
    id: str
    status: str
    due: _Instant | None = None
    amount: int
    amount_refunded: int | None = 0
    transaction_id: str | None = None
    description: str | None = ""
    type: str | None = "RECURRING"
    failure_reason: str | None = None
    failure_description: str | None = None

    def seen(self) -> SeenCharge:
        status = _charge_status(self.status)
        collected = status in {ChargeStatus.CHARGED, ChargeStatus.PARTIALLY_REFUNDED, ChargeStatus.REFUNDED}
        return SeenCharge(
            charge_id=self.id,
            status=status,
            due=self.due,
            amount=self.amount,
            captured=self.amount if collected else 0,  # v2 captures all or nothing and shows no captured amount
            refunded=self.amount_refunded or 0,
            description=(self.description or "")[:255],
            kind=(self.type or "RECURRING")[:20],
            transaction_id=_short(self.transaction_id, 64),
            failure_reason=_short(self.failure_reason, 120),
            failure_text=_short(self.failure_description, 300),
        )


_AGREEMENTS = TypeAdapter(list[_Agreement])
_CHARGES = TypeAdapter(list[_Charge])


class VippsV2:
    """RecurringProvider over API v2, for one merchant account."""

    def __init__(self, http: VippsHttp, clock: Callable[[], datetime], *, test_environment: bool = True) -> None:
        self._http = http
        self._clock = clock
        self._test_environment = test_environment

    async def authenticate(self) -> AccessToken:
        return await self._http.tokens.renew(self._clock())

    async def create_agreement(self, draft: AgreementDraft, *, key: str) -> DraftedAgreement:
        body = await self._http.write("POST", _ROOT, key=key, body=_draft_body(draft))
        wire = _written(TypeAdapter(_Drafted), body)
        return DraftedAgreement(wire.agreement_id, wire.vipps_confirmation_url, wire.charge_id)

    async def get_agreement(self, agreement_id: str) -> SeenAgreement:
        body = await self._http.read(_agreement(agreement_id))
        return _read(TypeAdapter(_Agreement), body, _Agreement.seen)

    async def list_agreements(
        self, status: AgreementStatus | None = None, created_after: datetime | None = None
    ) -> Sequence[SeenAgreement]:
        params = {"status": status.value} if status else {}
        if created_after:
            params["createdAfter"] = str(int(created_after.timestamp() * 1000))
        body = await self._http.read(_ROOT, params)
        return _read(_AGREEMENTS, body, lambda items: [item.seen() for item in items])

    async def update_agreement(self, agreement_id: str, changes: AgreementChanges, *, key: str) -> Outcome:
        fields: dict[str, Any] = {
            "productName": changes.product_name,
            "productDescription": changes.product_description,
            "merchantAgreementUrl": changes.agreement_url,
            "price": changes.price.minor if changes.price else None,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        return _done(await self._http.write("PATCH", _agreement(agreement_id), key=key, body=body))

    async def stop_agreement(self, agreement_id: str, *, key: str) -> Outcome:
        """The status must be alone in the request (facts: VIPPS 6.13)."""
        return _done(await self._http.write("PATCH", _agreement(agreement_id), key=key, body={"status": "STOPPED"}))

    async def accept_agreement(self, agreement_id: str, phone: str) -> None:
        if not self._test_environment:
            raise Misconfigured("an agreement can be accepted in the customer's place in the test environment only")
        body = {"customerPhoneNumber": phone}
        _done(await self._http.write("PATCH", _agreement(agreement_id) + "/accept", key=None, body=body))

    async def create_charge(self, request: ChargeRequest, *, key: str) -> str:
        body = {
            "amount": request.amount.minor,
            "currency": request.amount.currency.value,
            "description": request.description,
            "due": request.due.isoformat(),
            "retryDays": request.retry_days,
            "orderId": request.order_id,
        }
        answer = await self._http.write("POST", _charges(request.agreement_id), key=key, body=body)
        return _written(TypeAdapter(_ChargeId), answer).charge_id

    async def get_charge(self, agreement_id: str, charge_id: str) -> SeenCharge:
        body = await self._http.read(_charge(agreement_id, charge_id))
        return _read(TypeAdapter(_Charge), body, _Charge.seen)

    async def list_charges(self, agreement_id: str, status: ChargeStatus | None = None) -> Sequence[SeenCharge]:
        params = {"chargeStatus": status.value} if status else {}
        body = await self._http.read(_charges(agreement_id), params)
        return _read(_CHARGES, body, lambda items: [item.seen() for item in items])

    async def cancel_charge(self, agreement_id: str, charge_id: str, *, key: str) -> Outcome:
        return _done(await self._http.write("DELETE", _charge(agreement_id, charge_id), key=key))

    async def capture_charge(
        self, agreement_id: str, charge_id: str, amount: Money, description: str, *, key: str
    ) -> Outcome:
        """v2 captures the whole reservation and takes no body; whoever calls has checked that `amount` is all of it."""
        del amount, description
        return _done(await self._http.write("POST", _charge(agreement_id, charge_id) + "/capture", key=key))

    async def refund_charge(
        self, agreement_id: str, charge_id: str, amount: Money, description: str, *, key: str
    ) -> Outcome:
        body = {"amount": amount.minor, "description": description}
        path = _charge(agreement_id, charge_id) + "/refund"
        return _done(await self._http.write("POST", path, key=key, body=body))


def _agreement(agreement_id: str) -> str:
    return f"{_ROOT}/{_step(agreement_id)}"


def _step(name: str) -> str:
    """An id as one step of a path. Dots are steps of their own, which no quoting hides from a server."""
    if name.strip(".") == "":
        raise InvalidInput(f"{name!r} is no id", field="id")
    return quote(name, safe="")


def _charges(agreement_id: str) -> str:
    return _agreement(agreement_id) + "/charges"


def _charge(agreement_id: str, charge_id: str) -> str:
    return f"{_charges(agreement_id)}/{_step(charge_id)}"


def _draft_body(draft: AgreementDraft) -> dict[str, Any]:
    body: dict[str, Any] = {
        "currency": draft.price.currency.value,
        "interval": draft.plan.unit.value,
        "intervalCount": draft.plan.count,
        "price": draft.price.minor,
        "productName": draft.product_name,
        "productDescription": draft.product_description,
        "merchantAgreementUrl": draft.agreement_url,
        "merchantRedirectUrl": draft.redirect_url,
        "isApp": False,  # a deeplink fails silently where the app is missing (facts: VIPPS 6.15)
    }
    if draft.phone:
        body["customerPhoneNumber"] = draft.phone
    if draft.campaign:
        body["campaign"] = {"campaignPrice": draft.campaign.price.minor, "end": _instant(draft.campaign.end)}
    if draft.initial_charge:
        body["initialCharge"] = _initial_body(draft.initial_charge)
    return body


def _initial_body(initial: InitialCharge) -> dict[str, Any]:
    body: dict[str, Any] = {
        "amount": initial.amount.minor,
        "currency": initial.amount.currency.value,
        "description": initial.description,
        "transactionType": initial.transaction_type.value,
    }
    if initial.order_id:
        body["orderId"] = initial.order_id
    return body


def _short(text: str | None, longest: int) -> str | None:
    """No text of Vipps' is so long today; one that were must not keep a row from being stored."""
    return None if text is None else text[:longest]


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _agreement_status(text: str) -> AgreementStatus:
    own = {AgreementStatus.NEW, AgreementStatus.REJECTED}
    known = {status.value for status in AgreementStatus if status not in own}
    return AgreementStatus(text) if text in known else AgreementStatus.UNKNOWN


def _charge_status(text: str) -> ChargeStatus:
    own = {ChargeStatus.NEW, ChargeStatus.REJECTED}
    known = {status.value for status in ChargeStatus if status not in own}
    return ChargeStatus(text) if text in known else ChargeStatus.UNKNOWN


def _money(minor: int | None, currency: str) -> Money | None:
    return None if minor is None else Money(minor, currency_of(currency))


def _read(adapter: TypeAdapter[W], body: bytes, seen: Callable[[W], D]) -> D:
    try:
        return seen(adapter.validate_json(body))
    except (ValidationError, InvalidInput, ValueError):
        raise Unavailable("Vipps' answer cannot be read; nothing was changed by asking") from None


def _done(body: bytes) -> Outcome:
    """A write whose answer says nothing more (facts: VIPPS 4): empty or JSON. A page in its place is no answer."""
    if body.strip():
        try:
            json.loads(body)
        except (ValueError, RecursionError):
            raise OutcomeUnknown(
                "Vipps' answer cannot be read; the same request is repeated with the same key"
            ) from None
    return Outcome.DONE


def _written(adapter: TypeAdapter[W], body: bytes) -> W:
    """An unreadable answer to a write leaves open what happened."""
    try:
        return adapter.validate_json(body)
    except ValidationError:
        raise OutcomeUnknown(_UNREADABLE) from None
