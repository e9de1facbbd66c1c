"""JSON endpoints by which a demonstration plays a storefront's payments and the staff that refund them."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeVar

from fastapi import APIRouter, HTTPException
from pydantic import Field

from app.saleor.simulator.control_bodies import Body
from app.saleor.simulator.input_errors import InputError
from app.saleor.simulator.models import Channel, Payable, User
from app.saleor.simulator.payment_views import (
    configuration_view,
    method_view,
    outcome_view,
    problem_view,
    transaction_view,
)
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from app.saleor.simulator.views import View

Result = TypeVar("Result")


class Payment(Body):
    """`source` is the id of an order or checkout, `gateway` the identifier of an app: the newest when absent."""

    source: str
    amount: Decimal | None = None
    action: str | None = None
    idempotency_key: str | None = None
    gateway: str | None = None
    data: Any = None


class Continuation(Body):
    data: Any = None


class Action(Body):
    action: str = Field(pattern="^(CHARGE|REFUND|CANCEL)$")
    amount: Decimal | None = None
    reason: str | None = None


class MethodChoice(Body):
    id: str
    channel: str = "norway"


class PaymentControl:
    """The endpoints' functions over one simulator. Who pays is the order's or checkout's own customer."""

    def __init__(self, simulator: Simulator) -> None:
        self._shop = simulator

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/simulator")
        posts: dict[str, Callable[..., Any]] = {
            "/gateways": self.configure,
            "/transactions": self.initialize,
            "/transactions/{id}/process": self.process,
            "/transactions/{id}/actions": self.request_action,
            "/customers/{id}/payment-methods/delete": self.delete_method,
        }
        gets: dict[str, Callable[..., Any]] = {
            "/transactions": self.transactions,
            "/transactions/{id}": self.transaction,
            "/orders/{id}/transactions": self.transactions_of_order,
            "/customers/{id}/payment-methods": self.methods,
            "/problems": self.problems,
        }
        for path, endpoint in posts.items():
            router.post(path)(endpoint)
        for path, endpoint in gets.items():
            router.get(path)(endpoint)
        return router

    # Sessions and actions

    async def configure(self, body: Payment) -> list[View]:
        source = self._source(body.source)
        configurations = await _or_400(
            lambda: self._shop.payment_gateway_initialize(
                source, body.amount, data=body.data, gateway=body.gateway, by=_payer(source)
            )
        )
        return [configuration_view(configuration) for configuration in configurations]

    async def initialize(self, body: Payment) -> View:
        source = self._source(body.source)
        outcome = await _or_400(
            lambda: self._shop.initialize_transaction(
                source,
                body.amount,
                body.action,
                body.idempotency_key,
                body.data,
                gateway=body.gateway,
                by=_payer(source),
            )
        )
        return outcome_view(outcome)

    async def process(self, id: str, body: Continuation) -> View:  # noqa: A002 - the name in the path
        transaction = self._transaction(id)
        payer = _payer(transaction.source)
        return outcome_view(await _or_400(lambda: self._shop.process_transaction(transaction, body.data, by=payer)))

    async def request_action(self, id: str, body: Action) -> View:  # noqa: A002 - the name in the path
        transaction = self._transaction(id)
        staff = next((user for user in self._shop.users if user.is_staff), None)
        try:
            self._shop.request_action(transaction, body.action, body.amount, by=staff, reason=body.reason)
        except InputError as error:
            raise _bad(error) from error
        return transaction_view(transaction)

    # Looking

    async def transactions(self) -> list[View]:
        return [transaction_view(transaction) for transaction in self._shop.transactions.items]

    async def transaction(self, id: str) -> View:  # noqa: A002 - the name in the path
        return transaction_view(self._transaction(id))

    async def transactions_of_order(self, id: str) -> list[View]:  # noqa: A002 - the name in the path
        order = self._shop.order(id)
        if order is None:
            raise HTTPException(404, "There is no such order.")
        return [transaction_view(transaction) for transaction in order.transactions]

    async def problems(self) -> list[View]:
        present = [app for app in self._shop.apps if app.removed_at is None]
        return [problem_view(problem) for app in present for problem in self._shop.problems.of(app)]

    # Stored payment methods

    async def methods(self, id: str, channel: str = "norway") -> list[View]:  # noqa: A002 - the name in the path
        found = await self._shop.stored_methods.of(self._customer(id), self._channel(channel))
        return [method_view(method) for method in found]

    async def delete_method(self, id: str, body: MethodChoice) -> View:  # noqa: A002 - the name in the path
        customer, channel = self._customer(id), self._channel(body.channel)
        deletion = await self._shop.stored_methods.delete(customer, body.id, channel)
        return {"result": deletion.result, "error": deletion.error}

    # Finding

    def _source(self, id_or_token: str) -> Payable:
        found = self._shop.find(id_or_token) or self._shop.order(id_or_token)
        if not isinstance(found, Payable):
            raise HTTPException(404, "There is no such order or checkout.")
        return found

    def _transaction(self, id_or_token: str) -> TransactionItem:
        found = self._shop.transactions.find(id_or_token)
        if found is None:
            raise HTTPException(404, "There is no such transaction.")
        return found

    def _customer(self, global_id: str) -> User:
        found = self._shop.find(global_id)
        if not isinstance(found, User):
            raise HTTPException(404, "There is no such customer.")
        return found

    def _channel(self, slug: str) -> Channel:
        if slug not in self._shop.channels:
            raise HTTPException(400, f"There is no channel {slug}.")
        return self._shop.channels[slug]


def _payer(source: Payable) -> User | None:
    return source.user


async def _or_400(make: Callable[[], Awaitable[Result]]) -> Result:
    try:
        return await make()
    except InputError as error:
        raise _bad(error) from error
    except LookupError as error:
        raise HTTPException(404, str(error)) from error


def _bad(error: InputError) -> HTTPException:
    return HTTPException(400, {"field": error.field, "code": error.code, "message": error.message})
