"""The mutations: agreements and charges, each a batch where the documented operation is one."""

from datetime import date
from typing import Any

import strawberry

from app.domain.account import Caller
from app.domain.agreement import Agreement as AgreementRow
from app.domain.errors import Forbidden, InvalidInput, RecurringError, Unauthenticated
from app.gql.context import Info, refusals
from app.gql.inputs import (
    AgreementCreateInput,
    AgreementUpdateInput,
    ChargeCancelInput,
    ChargeCaptureInput,
    ChargeMakeInput,
    ChargeRefundInput,
)
from app.gql.types import (
    Agreement,
    AgreementCancel,
    AgreementCreate,
    AgreementLinkRevoke,
    AgreementMove,
    AgreementPause,
    AgreementResume,
    AgreementSkip,
    AgreementUpdate,
    ChargeCancel,
    ChargeCapture,
    ChargeMake,
    ChargeRefund,
    ChargeRetry,
    FailureRetry,
    MutationError,
    batch_fields,
)
from app.usecases import subscriptions
from app.usecases.agreements import AgreementChange, create_agreement, update_agreement
from app.usecases.charges import make_charges
from app.usecases.failures import retry_failures
from app.usecases.manage_links import revoke_links
from app.usecases.money_moves import ChargeMove, move
from app.usecases.ports import Deps
from app.usecases.retrying import retry_named
from app.usecases.subscription_terms import change_terms
from app.usecases.subscriptions import CancelAt


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Draft an agreement. The customer approves it at `confirmationUrl`.")
    async def agreement_create(self, info: Info, input: AgreementCreateInput) -> AgreementCreate:  # noqa: A002
        async with refusals():
            try:
                row = await create_agreement(info.context.deps, info.context.caller(), input.wish())
            except (Unauthenticated, Forbidden):
                raise
            except RecurringError as error:
                return AgreementCreate(agreement=None, confirmation_url=None, errors=[MutationError.of(error)])
        return AgreementCreate(agreement=Agreement.of(row), confirmation_url=row.confirmation_url, errors=[])

    @strawberry.mutation(
        description="Change an active agreement at Vipps, which tells the customer nothing: you have to. Or change its "
        "subscription: lines, price with notice, addresses, shipping method, voucher policy."
    )
    async def agreement_update(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        input: AgreementUpdateInput,  # noqa: A002
    ) -> AgreementUpdate:
        async with refusals():
            try:
                row = await _update(info.context.deps, info.context.caller(), id, input)
            except (Unauthenticated, Forbidden):
                raise
            except RecurringError as error:
                return AgreementUpdate(agreement=None, errors=[MutationError.of(error, {"agreementId": "id"})])
        return AgreementUpdate(agreement=Agreement.of(row), errors=[])

    @strawberry.mutation(
        description="Stop agreements, for good: NOW, or at the end of the period that is paid. Open charges are "
        "cancelled with them; what is reserved is captured first where there is a subscription."
    )
    async def agreement_cancel(
        self, info: Info, ids: list[strawberry.ID], at: CancelAt = CancelAt.NOW
    ) -> AgreementCancel:
        async with refusals():
            names = [str(it) for it in ids]
            result = await subscriptions.cancel(info.context.deps, info.context.caller(), names, at)
            return AgreementCancel(**batch_fields(result))

    @strawberry.mutation(
        description="Renew nothing until that day, or until resumed. A period that has its charge already is paid."
    )
    async def agreement_pause(self, info: Info, ids: list[strawberry.ID], until: date | None = None) -> AgreementPause:
        async with refusals():
            names = [str(it) for it in ids]
            result = await subscriptions.pause(info.context.deps, info.context.caller(), names, until)
            return AgreementPause(**batch_fields(result))

    @strawberry.mutation(description="Renew again: after a pause or a hold, or before a cancellation's day has come.")
    async def agreement_resume(self, info: Info, ids: list[strawberry.ID]) -> AgreementResume:
        async with refusals():
            names = [str(it) for it in ids]
            result = await subscriptions.resume(info.context.deps, info.context.caller(), names)
            return AgreementResume(**batch_fields(result))

    @strawberry.mutation(
        description="Leave the next period out, and cancel its charge if it has one that is not collected yet."
    )
    async def agreement_skip(self, info: Info, ids: list[strawberry.ID]) -> AgreementSkip:
        async with refusals():
            names = [str(it) for it in ids]
            result = await subscriptions.skip(info.context.deps, info.context.caller(), names)
            return AgreementSkip(**batch_fields(result))

    @strawberry.mutation(description="Have the next period due on another day, and those after it counted from there.")
    async def agreement_move(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        date: date,
    ) -> AgreementMove:
        async with refusals():
            try:
                moved = await subscriptions.move(info.context.deps, info.context.caller(), id, date)
            except (Unauthenticated, Forbidden):
                raise
            except RecurringError as error:
                return AgreementMove(agreement=None, errors=[MutationError.of(error, {"agreementId": "id"})])
        return AgreementMove(agreement=Agreement.of(moved.agreement), errors=[])

    @strawberry.mutation(
        description="Revoke the links by which customers manage these agreements: `manageUrl` is another one then. For "
        "the shop."
    )
    async def agreement_link_revoke(self, info: Info, ids: list[strawberry.ID]) -> AgreementLinkRevoke:
        async with refusals():
            names = [str(it) for it in ids]
            return AgreementLinkRevoke(
                **batch_fields(await revoke_links(info.context.deps, info.context.caller(), names))
            )

    @strawberry.mutation(description="Make charges. What is sent twice without an id of its own is made once.")
    async def charge_make(self, info: Info, charges: list[ChargeMakeInput]) -> ChargeMake:
        async with refusals():
            items = [it.item() for it in charges]
            return ChargeMake(**batch_fields(await make_charges(info.context.deps, info.context.caller(), items)))

    @strawberry.mutation(description="Cancel charges that are not collected yet.")
    async def charge_cancel(self, info: Info, charges: list[ChargeCancelInput]) -> ChargeCancel:
        return ChargeCancel(**await _move(info, [it.item() for it in charges]))

    @strawberry.mutation(description="Refund charges, in part or all that is left.")
    async def charge_refund(self, info: Info, charges: list[ChargeRefundInput]) -> ChargeRefund:
        return ChargeRefund(**await _move(info, [it.item() for it in charges]))

    @strawberry.mutation(
        description="Charge the periods of these failed charges again now, each by one new charge for its order. A "
        "subscription on hold for a missing payment goes on. Asked again, nothing happens a second time. Where the "
        "order costs more by now, `upTo` is the most that is charged (minor units: øre, cent). For the shop."
    )
    async def charge_retry(
        self,
        info: Info,
        ids: list[strawberry.ID],
        up_to: int | None = None,
    ) -> ChargeRetry:
        async with refusals():
            result = await retry_named(info.context.deps, info.context.caller(), [str(it) for it in ids], up_to)
            return ChargeRetry(**batch_fields(result))

    @strawberry.mutation(description="Try again what was given up, with the same keys; for staff.")
    async def failure_retry(self, info: Info, ids: list[strawberry.ID]) -> FailureRetry:
        async with refusals():
            result = await retry_failures(info.context.deps, info.context.caller(), [str(it) for it in ids])
            return FailureRetry(**batch_fields(result))

    @strawberry.mutation(description="Capture reserved charges: all that is reserved, or on v3 a part.")
    async def charge_capture(self, info: Info, charges: list[ChargeCaptureInput]) -> ChargeCapture:
        return ChargeCapture(**await _move(info, [it.item() for it in charges]))


async def _update(deps: Deps, caller: Caller, agreement_id: str, wanted: AgreementUpdateInput) -> AgreementRow:
    change, terms = wanted.change(), wanted.terms()
    if terms.empty:
        return await update_agreement(deps, caller, agreement_id, change)
    if change != AgreementChange():
        # One may be refused after the other is done: a request does both or neither.
        raise InvalidInput("change the agreement and its subscription in two requests", field="input")
    return (await change_terms(deps, caller, agreement_id, terms)).agreement


async def _move(info: Info, items: list[ChargeMove]) -> dict[str, Any]:
    async with refusals():
        return batch_fields(await move(info.context.deps, info.context.caller(), items))
