"""The mutations: agreements and charges, each a batch where the documented operation is one."""

from typing import Any

import strawberry

from app.domain.errors import Forbidden, RecurringError, Unauthenticated
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
    AgreementUpdate,
    ChargeCancel,
    ChargeCapture,
    ChargeMake,
    ChargeRefund,
    FailureRetry,
    MutationError,
    batch_fields,
)
from app.usecases.agreements import cancel_agreements, create_agreement, update_agreement
from app.usecases.charges import make_charges
from app.usecases.failures import retry_failures
from app.usecases.money_moves import ChargeMove, move


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

    @strawberry.mutation(description="Change an active agreement. Vipps tells the customer nothing: you have to.")
    async def agreement_update(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        input: AgreementUpdateInput,  # noqa: A002
    ) -> AgreementUpdate:
        async with refusals():
            try:
                row = await update_agreement(info.context.deps, info.context.caller(), id, input.change())
            except (Unauthenticated, Forbidden):
                raise
            except RecurringError as error:
                return AgreementUpdate(agreement=None, errors=[MutationError.of(error, {"agreementId": "id"})])
        return AgreementUpdate(agreement=Agreement.of(row), errors=[])

    @strawberry.mutation(description="Stop agreements, for good. Open and reserved charges are cancelled with them.")
    async def agreement_cancel(self, info: Info, ids: list[strawberry.ID]) -> AgreementCancel:
        async with refusals():
            result = await cancel_agreements(info.context.deps, info.context.caller(), [str(it) for it in ids])
            return AgreementCancel(**batch_fields(result))

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

    @strawberry.mutation(description="Try again what was given up, with the same keys; for staff.")
    async def failure_retry(self, info: Info, ids: list[strawberry.ID]) -> FailureRetry:
        async with refusals():
            result = await retry_failures(info.context.deps, info.context.caller(), [str(it) for it in ids])
            return FailureRetry(**batch_fields(result))

    @strawberry.mutation(description="Capture reserved charges: all that is reserved, or on v3 a part.")
    async def charge_capture(self, info: Info, charges: list[ChargeCaptureInput]) -> ChargeCapture:
        return ChargeCapture(**await _move(info, [it.item() for it in charges]))


async def _move(info: Info, items: list[ChargeMove]) -> dict[str, Any]:
    async with refusals():
        return batch_fields(await move(info.context.deps, info.context.caller(), items))
