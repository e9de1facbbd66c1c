"""Vipps Recurring v2: its wire models, and the way from and to the domain.

Facts: VIPPS 4 (endpoints), 4.1 to 4.6 (bodies). v2 knows kroner only, captures all or nothing, and has no words for a
reserved recurring charge, FLEXIBLE pricing or an external id: the last is left out, the others are refused.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

from app.domain.agreement import AgreementChanges, AgreementDraft, Campaign, InitialCharge, Pricing, TransactionType
from app.domain.charge import ChargeRequest, ChargeStatus, SeenCharge
from app.domain.errors import InvalidInput, Rejected
from app.domain.money import Currency, Money, currency_of
from app.domain.plan import IntervalUnit, Plan
from app.domain.provider import AgreementPage, ChargeBatches, SeenAgreement
from app.vipps.recurring import Body, Recurring
from app.vipps.wire import (
    PER_USE,
    Instant,
    Wire,
    agreement_status,
    charge_status,
    collected,
    instant,
    money,
    read,
    short,
)

_REMEDY = "set the account to v3 with: account set --api-version v3"


class _Campaign(Wire):
    campaign_price: int
    start: Instant | None = None
    end: Instant | None = None


class _VariableAmount(Wire):
    suggested_max_amount: int | None = None
    max_amount: int | None = None


class _Agreement(Wire):
    id: str
    status: str
    product_name: str = ""
    product_description: str | None = None
    price: int | None = None
    currency: str = "NOK"
    interval: str | None = None
    interval_count: int | None = None
    start: Instant | None = None
    stop: Instant | None = None
    campaign: _Campaign | None = None
    variable_amount: _VariableAmount | None = None
    merchant_agreement_url: str | None = None
    sub: str | None = None
    userinfo_url: str | None = None

    def seen(self) -> SeenAgreement:
        variable = self.variable_amount
        return SeenAgreement(
            agreement_id=self.id,
            status=agreement_status(self.status),
            product_name=self.product_name[:100],
            product_description=(self.product_description or "")[:255],
            price=Money(self.price or 0, currency_of(self.currency)),
            plan=self._plan(),
            start=self.start,
            stop=self.stop,
            pricing=self._pricing(),
            campaign=self._campaign(),
            suggested_max=money(variable.suggested_max_amount, self.currency) if variable else None,
            max_amount=money(variable.max_amount, self.currency) if variable else None,
            agreement_url=self.merchant_agreement_url,
            sub=self.sub,
            userinfo_url=self.userinfo_url,
        )

    def _plan(self) -> Plan:
        """Pay per use is v3's, and shows no interval here."""
        if self.interval is None or self.interval_count is None:
            return PER_USE
        return Plan(IntervalUnit(self.interval), self.interval_count)

    def _pricing(self) -> Pricing:
        """What has neither a price nor a limit was made by v3, without a limit."""
        if self.variable_amount is not None:
            return Pricing.VARIABLE
        return Pricing.LEGACY if self.price else Pricing.FLEXIBLE

    def _campaign(self) -> Campaign | None:
        if self.campaign is None or self.campaign.end is None:
            return None
        price = Money(self.campaign.campaign_price, currency_of(self.currency))
        return Campaign(price, self.campaign.end, self.campaign.start)


class _Charge(Wire):
    id: str
    status: str
    due: Instant | None = None
    amount: int
    amount_refunded: int | None = 0
    transaction_id: str | None = None
    description: str | None = ""
    type: str | None = "RECURRING"
    failure_reason: str | None = None
    failure_description: str | None = None

    def seen(self) -> SeenCharge:
        status = charge_status(self.status)
        return SeenCharge(
            charge_id=self.id,
            status=status,
            due=self.due,
            amount=self.amount,
            captured=collected(status, self.amount),  # v2 captures all or nothing and shows no captured amount
            guessed=True,
            refunded=self.amount_refunded or 0,
            description=(self.description or "")[:255],
            kind=(self.type or "RECURRING")[:20],
            transaction_id=short(self.transaction_id, 64),
            failure_reason=short(self.failure_reason, 120),
            failure_text=short(self.failure_description, 300),
            cancelled=self.amount if status is ChargeStatus.CANCELLED else 0,
        )


_AGREEMENTS = TypeAdapter(list[_Agreement])
_CHARGES = TypeAdapter(list[_Charge])


class VippsV2(Recurring):
    """RecurringProvider over API v2, for one merchant account."""

    _root = "/recurring/v2/agreements"
    _status_of_charges = "chargeStatus"

    @property
    def batches(self) -> ChargeBatches | None:
        return None

    async def _page(self, params: dict[str, str], page: int) -> AgreementPage:
        if page > 1:
            return AgreementPage(())
        body = await self._http.read(self._root, params, operation="listAgreements")
        return AgreementPage(read(lambda it: [item.seen() for item in _AGREEMENTS.validate_json(it)], body))

    async def _is_of(self, draft: AgreementDraft, seen: SeenAgreement) -> bool:
        """v2 keeps no external id, so our reference has to be in the agreement's URL or in the initial charge's id.

        Where the URL carries it another URL means another draft, and nobody needs to look at charges.
        """
        asked = (draft.product_name, draft.price, draft.plan, draft.suggested_max)
        if (seen.product_name, seen.price, seen.plan, seen.suggested_max) != asked:
            return False
        if draft.external_id and draft.external_id in draft.agreement_url:
            return seen.agreement_url == draft.agreement_url
        order_id = draft.initial_charge.order_id if draft.initial_charge else None
        return order_id is not None and await self._has_charge(seen.agreement_id, order_id)

    async def _has_charge(self, agreement_id: str, charge_id: str) -> bool:
        try:
            return (await self.get_charge(agreement_id, charge_id)).charge_id == charge_id
        except Rejected:
            return False

    def _agreement(self, body: bytes) -> SeenAgreement:
        return _Agreement.model_validate_json(body).seen()

    def _charge(self, body: bytes) -> SeenCharge:
        return _Charge.model_validate_json(body).seen()

    def _charges(self, body: bytes) -> Sequence[SeenCharge]:
        return [item.seen() for item in _CHARGES.validate_json(body)]

    def _draft_body(self, draft: AgreementDraft) -> Body:
        if draft.pricing is Pricing.FLEXIBLE:
            raise InvalidInput(f"Vipps v2 has no {draft.pricing} pricing; {_REMEDY}", field="pricing")
        body: dict[str, Any] = {
            "currency": _kroner(draft.price),
            "interval": draft.plan.unit.value,
            "intervalCount": draft.plan.count,
            "price": draft.price.minor,  # 0 for VARIABLE, where it means nothing (facts: VIPPS 4.1)
            "productName": draft.product_name,
            "productDescription": draft.product_description,
            "merchantAgreementUrl": draft.agreement_url,
            "merchantRedirectUrl": draft.redirect_url,
            "isApp": False,  # a deeplink fails silently where the app is missing (facts: VIPPS 6.15)
        }
        if draft.phone:
            body["customerPhoneNumber"] = draft.phone
        if draft.campaign:
            body["campaign"] = {"campaignPrice": draft.campaign.price.minor, "end": instant(draft.campaign.end)}
        if draft.suggested_max:
            _kroner(draft.suggested_max)
            body["variableAmount"] = {"suggestedMaxAmount": draft.suggested_max.minor}
        if draft.initial_charge:
            body["initialCharge"] = _initial_body(draft.initial_charge)
        return body

    def _changes_body(self, changes: AgreementChanges) -> Body:
        amounts = {"price": changes.price, "suggestedMaxAmount": changes.suggested_max}
        texts = {
            "productName": changes.product_name,
            "productDescription": changes.product_description,
            "merchantAgreementUrl": changes.agreement_url,
        }
        body: Body = {name: text for name, text in texts.items() if text is not None}
        for name, amount in amounts.items():
            if amount is not None:
                _kroner(amount)
                body[name] = amount.minor
        return body

    def _accept_body(self, phone: str) -> Body:
        return {"customerPhoneNumber": phone}

    def _accept_key(self) -> str | None:
        return None

    def _charge_body(self, request: ChargeRequest) -> Body:
        if request.transaction_type is not TransactionType.DIRECT_CAPTURE:
            raise InvalidInput(f"Vipps v2 cannot only reserve a recurring charge; {_REMEDY}", field="transactionType")
        return {
            "amount": request.amount.minor,
            "currency": _kroner(request.amount),
            "description": request.description,
            "due": request.due.isoformat(),
            "retryDays": request.retry_days,
            "orderId": request.order_id,
        }

    def _capture_body(self, amount: Money, description: str) -> Body | None:
        """None: the whole reservation is captured, and v2 takes neither amount nor text.

        Nothing here knows what is reserved, so it is the caller who sees to it that `amount` is all of it, and refuses
        a part.
        """
        del description
        _kroner(amount)
        return None

    def _refund_body(self, amount: Money, description: str) -> Body:
        _kroner(amount)
        return {"amount": amount.minor, "description": description}


def _kroner(amount: Money) -> str:
    if amount.currency is not Currency.NOK:
        raise InvalidInput(f"Vipps v2 knows NOK only, not {amount.currency}; {_REMEDY}", field="currency")
    return amount.currency.value


def _initial_body(initial: InitialCharge) -> Body:
    body: Body = {
        "amount": initial.amount.minor,
        "currency": _kroner(initial.amount),
        "description": initial.description,
        "transactionType": initial.transaction_type.value,
    }
    if initial.order_id:
        body["orderId"] = initial.order_id
    return body
