"""The operations of Vipps Recurring that v2 and v3 share; each version says where they are and how they are written.

Both versions are views on the same data (facts: VIPPS 1.6), so what differs is mostly the shape of the bodies.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from app.domain.agreement import AgreementChanges, AgreementDraft, AgreementStatus
from app.domain.charge import ChargeRequest, ChargeStatus, SeenCharge
from app.domain.errors import Misconfigured, Rejected
from app.domain.money import Money
from app.domain.provider import AccessToken, AgreementPage, DraftedAgreement, Outcome, SeenAgreement
from app.vipps.calls import DRAFT
from app.vipps.http import VippsHttp
from app.vipps.wire import Confirmation, Created, Drafted, Owned, agreement_status, done, read, step, written

_V3 = "/recurring/v3/agreements"
_V3_CHARGES = "/recurring/v3/charges"
_SLACK = timedelta(minutes=1)  # between Vipps' clock and ours

Body = dict[str, Any]


class Recurring(ABC):
    """RecurringProvider for one merchant account, but for what the versions do each in their way.

    What a version has no words for it refuses with InvalidInput, before anything is sent.
    """

    _root: ClassVar[str]
    _status_of_charges: ClassVar[str]  # the name of a query parameter

    def __init__(self, http: VippsHttp, clock: Callable[[], datetime], *, test_environment: bool = True) -> None:
        self._http = http
        self._clock = clock
        self._test_environment = test_environment

    async def authenticate(self) -> AccessToken:
        return await self._http.tokens.renew(self._clock())

    # Agreements.

    async def create_agreement(self, draft: AgreementDraft, *, key: str) -> DraftedAgreement:
        body = self._draft_body(draft)
        response = await self._http.write("POST", self._root, operation=DRAFT, key=key, body=body)
        made = written(Drafted.model_validate_json, response)
        return DraftedAgreement(made.agreement_id, made.vipps_confirmation_url, made.charge_id)

    async def find_draft(self, draft: AgreementDraft, since: datetime) -> DraftedAgreement | None:
        page: int | None = 1
        while page is not None:
            found = await self.list_agreements(AgreementStatus.PENDING, since - _SLACK, page)
            for seen in found.items:
                url = await self._confirmation_url(seen) if await self._is_of(draft, seen) else None
                if url is not None:
                    charge_id = draft.initial_charge.order_id if draft.initial_charge else None
                    return DraftedAgreement(seen.agreement_id, url, charge_id)
            page = found.next_page
        return None

    async def _confirmation_url(self, seen: SeenAgreement) -> str | None:
        """v2 never shows the URL, but v3 does, of the same agreement; None where it is not to be had or too late.

        A Vipps that cannot answer just now is not asked for another draft instead: Unavailable goes on to the caller.
        """
        if seen.confirmation_url:
            return seen.confirmation_url
        path = f"{_V3}/{step(seen.agreement_id)}"
        try:
            body = await self._http.read(path, operation="getAgreement", agreement_id=seen.agreement_id)
        except (Rejected, Misconfigured):
            return None
        shown = read(Confirmation.model_validate_json, body)
        pending = agreement_status(shown.status) is AgreementStatus.PENDING
        return shown.vipps_confirmation_url or None if pending else None

    async def get_agreement(self, agreement_id: str) -> SeenAgreement:
        path = self._agreement_path(agreement_id)
        body = await self._http.read(path, operation="getAgreement", agreement_id=agreement_id)
        return read(self._agreement, body)

    async def list_agreements(
        self, status: AgreementStatus | None = None, created_after: datetime | None = None, page: int = 1
    ) -> AgreementPage:
        params = {"status": status.value} if status else {}
        if created_after:
            params["createdAfter"] = str(int(created_after.timestamp() * 1000))
        return await self._page(params, page)

    async def update_agreement(self, agreement_id: str, changes: AgreementChanges, *, key: str) -> Outcome:
        body = self._changes_body(changes)
        return await self._patch("updateAgreement", agreement_id, body, key)

    async def stop_agreement(self, agreement_id: str, *, key: str) -> Outcome:
        """The status must be alone in the request (facts: VIPPS 6.13)."""
        return await self._patch("stopAgreement", agreement_id, {"status": "STOPPED"}, key)

    async def _patch(self, operation: str, agreement_id: str, body: Body, key: str) -> Outcome:
        path = self._agreement_path(agreement_id)
        return done(
            await self._http.write("PATCH", path, operation=operation, key=key, body=body, agreement_id=agreement_id)
        )

    async def accept_agreement(self, agreement_id: str, phone: str) -> None:
        if not self._test_environment:
            raise Misconfigured("an agreement can be accepted in the customer's place in the test environment only")
        path = self._agreement_path(agreement_id) + "/accept"
        body, key = self._accept_body(phone), self._accept_key()
        done(
            await self._http.write(
                "PATCH", path, operation="forceAcceptAgreement", key=key, body=body, agreement_id=agreement_id
            )
        )

    # Charges.

    async def create_charge(self, request: ChargeRequest, *, key: str) -> str:
        response = await self._http.write(
            "POST",
            self._charges_path(request.agreement_id),
            operation="createCharge",
            key=key,
            body=self._charge_body(request),
            agreement_id=request.agreement_id,
            charge_id=request.order_id,
        )
        return written(Created.model_validate_json, response).charge_id

    async def agreement_of(self, charge_id: str) -> str | None:
        """Only v3 finds a charge by its id alone, and it finds those of v2 as well."""
        path = f"{_V3_CHARGES}/{step(charge_id)}"
        try:
            body = await self._http.read(path, operation="getChargeById", charge_id=charge_id)
        except Rejected as error:
            if error.unknown_object:
                return None
            raise
        return read(Owned.model_validate_json, body).agreement_id

    async def get_charge(self, agreement_id: str, charge_id: str) -> SeenCharge:
        path = self._charge_path(agreement_id, charge_id)
        body = await self._http.read(path, operation="getCharge", agreement_id=agreement_id, charge_id=charge_id)
        return read(self._charge, body)

    async def list_charges(self, agreement_id: str, status: ChargeStatus | None = None) -> Sequence[SeenCharge]:
        params = {self._status_of_charges: status.value} if status else {}
        path = self._charges_path(agreement_id)
        body = await self._http.read(path, params, operation="listCharges", agreement_id=agreement_id)
        return read(self._charges, body)

    async def cancel_charge(self, agreement_id: str, charge_id: str, *, key: str) -> Outcome:
        return await self._change("DELETE", "cancelCharge", agreement_id, charge_id, "", None, key)

    async def capture_charge(
        self, agreement_id: str, charge_id: str, amount: Money, description: str, *, key: str
    ) -> Outcome:
        """Where the version has no partial capture the caller has seen to it that `amount` is all that is reserved."""
        body = self._capture_body(amount, description)
        return await self._change("POST", "captureCharge", agreement_id, charge_id, "/capture", body, key)

    async def refund_charge(
        self, agreement_id: str, charge_id: str, amount: Money, description: str, *, key: str
    ) -> Outcome:
        body = self._refund_body(amount, description)
        return await self._change("POST", "refundCharge", agreement_id, charge_id, "/refund", body, key)

    async def _change(
        self, method: str, operation: str, agreement_id: str, charge_id: str, verb: str, body: Body | None, key: str
    ) -> Outcome:
        return done(
            await self._http.write(
                method,
                self._charge_path(agreement_id, charge_id) + verb,
                operation=operation,
                key=key,
                body=body,
                agreement_id=agreement_id,
                charge_id=charge_id,
            )
        )

    # Paths.

    def _agreement_path(self, agreement_id: str) -> str:
        return f"{self._root}/{step(agreement_id)}"

    def _charges_path(self, agreement_id: str) -> str:
        return self._agreement_path(agreement_id) + "/charges"

    def _charge_path(self, agreement_id: str, charge_id: str) -> str:
        return f"{self._charges_path(agreement_id)}/{step(charge_id)}"

    # What each version does in its own way. Bodies have a fixed order of fields: a repeat is the same to the byte.

    @abstractmethod
    def _draft_body(self, draft: AgreementDraft) -> Body: ...
    @abstractmethod
    def _changes_body(self, changes: AgreementChanges) -> Body: ...
    @abstractmethod
    def _accept_body(self, phone: str) -> Body: ...
    @abstractmethod
    def _accept_key(self) -> str | None: ...
    @abstractmethod
    def _charge_body(self, request: ChargeRequest) -> Body: ...
    @abstractmethod
    def _capture_body(self, amount: Money, description: str) -> Body | None: ...
    @abstractmethod
    def _refund_body(self, amount: Money, description: str) -> Body: ...
    @abstractmethod
    def _agreement(self, body: bytes) -> SeenAgreement: ...
    @abstractmethod
    def _charge(self, body: bytes) -> SeenCharge: ...
    @abstractmethod
    def _charges(self, body: bytes) -> Sequence[SeenCharge]: ...
    @abstractmethod
    async def _page(self, params: dict[str, str], page: int) -> AgreementPage: ...
    @abstractmethod
    async def _is_of(self, draft: AgreementDraft, seen: SeenAgreement) -> bool:
        """Whether it is certain that this agreement came of this draft."""
        ...
