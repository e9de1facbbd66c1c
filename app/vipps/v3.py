"""Vipps Recurring v3: the way from and to the domain. What it answers is read in `v3_answers`.

Facts: VIPPS 5 (endpoints), 5.1, 5.3 and 5.4 (bodies), 14 (what became of v2's fields).
"""

import uuid
from collections.abc import Sequence

from app.domain.agreement import AgreementChanges, AgreementDraft, Campaign, InitialCharge, Pricing
from app.domain.charge import ChargeRequest, SeenCharge
from app.domain.money import Money
from app.domain.provider import AgreementPage, ChargeBatches, SeenAgreement
from app.vipps.batches import Batches
from app.vipps.recurring import Body, Recurring
from app.vipps.v3_answers import AGREEMENTS, CHARGES, Agreement, Charge
from app.vipps.wire import instant, read

_PAGE = 2_000  # the most that a list gives at once (facts: VIPPS 5, row 1)


class VippsV3(Recurring):
    """RecurringProvider over API v3, for one merchant account."""

    _root = "/recurring/v3/agreements"
    _status_of_charges = "status"

    @property
    def batches(self) -> ChargeBatches | None:
        return Batches(self._http, self._root + "/charges", self._charge_body)

    async def _page(self, params: dict[str, str], page: int) -> AgreementPage:
        params |= {"pageNumber": str(page), "pageSize": str(_PAGE)}
        body = await self._http.read(self._root, params, operation="listAgreements")
        items = read(lambda it: [item.seen() for item in AGREEMENTS.validate_json(it)], body)
        # A list of any other length came from a Vipps of before 2024, which knew no pages and gave all.
        return AgreementPage(items, page + 1 if len(items) == _PAGE else None)

    async def _is_of(self, draft: AgreementDraft, seen: SeenAgreement) -> bool:
        return draft.external_id is not None and seen.external_id == draft.external_id

    def _agreement(self, body: bytes) -> SeenAgreement:
        return Agreement.model_validate_json(body).seen()

    def _charge(self, body: bytes) -> SeenCharge:
        return Charge.model_validate_json(body).seen()

    def _charges(self, body: bytes) -> Sequence[SeenCharge]:
        return [item.seen() for item in CHARGES.validate_json(body)]

    def _draft_body(self, draft: AgreementDraft) -> Body:
        body: Body = {
            "pricing": _pricing_body(draft),
            "interval": {"unit": draft.plan.unit.value, "count": draft.plan.count},
            "merchantRedirectUrl": draft.redirect_url,
            "merchantAgreementUrl": draft.agreement_url,
            "productName": draft.product_name,
            "isApp": False,  # a deeplink fails silently where the app is missing (facts: VIPPS 6.15)
        }
        if draft.product_description:
            body["productDescription"] = draft.product_description
        if draft.phone:
            body["phoneNumber"] = draft.phone
        if draft.initial_charge:
            body["initialCharge"] = _initial_body(draft.initial_charge)
        if draft.campaign:
            body["campaign"] = _campaign_body(draft.campaign)
        if draft.external_id:
            body["externalId"] = draft.external_id
        return body

    def _changes_body(self, changes: AgreementChanges) -> Body:
        texts = {
            "productName": changes.product_name,
            "productDescription": changes.product_description,
            "merchantAgreementUrl": changes.agreement_url,
        }
        body: Body = {name: text for name, text in texts.items() if text is not None}
        amounts = {"amount": changes.price, "suggestedMaxAmount": changes.suggested_max}
        pricing = {name: amount.minor for name, amount in amounts.items() if amount is not None}
        return body | {"pricing": pricing} if pricing else body

    def _accept_body(self, phone: str) -> Body:
        return {"phoneNumber": phone}

    def _accept_key(self) -> str | None:
        """Test only, and only a PENDING agreement can be accepted: that is what keeps it from happening twice."""
        return uuid.uuid4().hex

    def _charge_body(self, request: ChargeRequest) -> Body:
        body: Body = {
            "amount": request.amount.minor,
            "transactionType": request.transaction_type.value,
            "description": request.description,
            "due": request.due.isoformat(),
            "retryDays": request.retry_days,
            "orderId": request.order_id,
        }
        if request.external_id:
            body["externalId"] = request.external_id
        return body

    def _capture_body(self, amount: Money, description: str) -> Body | None:
        return {"amount": amount.minor, "description": description.strip() or "Capture"}  # never empty here

    def _refund_body(self, amount: Money, description: str) -> Body:
        return {"amount": amount.minor, "description": description.strip() or "Refund"}


def _pricing_body(draft: AgreementDraft) -> Body:
    body: Body = {"type": draft.pricing.value, "currency": draft.price.currency.value}
    if draft.pricing is Pricing.LEGACY:
        body["amount"] = draft.price.minor
    if draft.suggested_max:
        body["suggestedMaxAmount"] = draft.suggested_max.minor
    return body


def _campaign_body(campaign: Campaign) -> Body:
    return {"type": "PRICE_CAMPAIGN", "price": campaign.price.minor, "end": instant(campaign.end)}


def _initial_body(initial: InitialCharge) -> Body:
    """Its currency is the agreement's, and goes without saying."""
    body: Body = {
        "amount": initial.amount.minor,
        "description": initial.description,
        "transactionType": initial.transaction_type.value,
    }
    if initial.order_id:
        body["orderId"] = initial.order_id
    return body
