"""From a request body to an answer, with the status codes and the shape of errors that Saleor uses."""

import inspect
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLAbstractType,
    GraphQLError,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationType,
    execute,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)

from app.saleor.simulator.api.checkouts import CHECKOUT
from app.saleor.simulator.api.checkouts import LINE as CHECKOUT_LINE
from app.saleor.simulator.api.events import EVENT, SubscriptionFields, type_of
from app.saleor.simulator.api.fields import MONEY, TAXED_MONEY, Fields, Request, Resolvers
from app.saleor.simulator.api.limits import MAXIMUM_COST, Cost, Refused, check_size, check_syntax
from app.saleor.simulator.api.mutations import MUTATION
from app.saleor.simulator.api.objects import OBJECTS
from app.saleor.simulator.api.orders import LINE, ORDER, ORDER_EVENT
from app.saleor.simulator.api.payment_method_details import CARD, GIFT_CARD, OTHER
from app.saleor.simulator.api.payment_methods import GATEWAY, STORED_METHOD
from app.saleor.simulator.api.problems import PROBLEM
from app.saleor.simulator.api.queries import QUERY
from app.saleor.simulator.api.shipping import SHIPPING_METHOD
from app.saleor.simulator.api.transactions import TRANSACTION, TRANSACTION_EVENT
from app.saleor.simulator.records import Event

_TABLES: dict[str, Fields] = OBJECTS | {
    "Query": QUERY,
    "Mutation": MUTATION,
    "Subscription": SubscriptionFields(),
    "Money": MONEY,
    "TaxedMoney": TAXED_MONEY,
    "Order": ORDER,
    "Checkout": CHECKOUT,
    "CheckoutLine": CHECKOUT_LINE,
    "ShippingMethod": SHIPPING_METHOD,
    "OrderLine": LINE,
    "OrderEvent": ORDER_EVENT,
    "TransactionItem": TRANSACTION,
    "TransactionEvent": TRANSACTION_EVENT,
    "StoredPaymentMethod": STORED_METHOD,
    "PaymentGateway": GATEWAY,
    "AppProblem": PROBLEM,
    "CardPaymentMethodDetails": CARD,
    "OtherPaymentMethodDetails": OTHER,
    "GiftCardPaymentMethodDetails": GIFT_CARD,
}
_RESOLVERS = Resolvers(_TABLES, EVENT)


@dataclass(frozen=True)
class Answer:
    status: int
    content: dict[str, Any]


@dataclass(frozen=True)
class Job:
    document: DocumentNode
    variables: dict[str, Any]
    operation_name: str | None
    cost: int


def answer(body: object, schema: GraphQLSchema, request: Request) -> Answer:
    """One GraphQL request. Refusals are HTTP 400; errors of fields are HTTP 200, beside the data."""
    job = _job(body, schema)
    if isinstance(job, Answer):
        return job
    return _answer(_execute(schema, job.document, request, job.variables, job.operation_name), job.cost)


async def answer_later(body: object, schema: GraphQLSchema, request: Request) -> Answer:
    """The same for a request whose fields may wait for an app."""
    job = _job(body, schema)
    if isinstance(job, Answer):
        return job
    result = execute(
        schema,
        job.document,
        context_value=request,
        variable_values=job.variables,
        operation_name=job.operation_name,
        field_resolver=_RESOLVERS,
        type_resolver=_type_of,
    )
    return _answer(await result if inspect.isawaitable(result) else result, job.cost)


def _job(body: object, schema: GraphQLSchema) -> Job | Answer:
    try:
        job = _prepare(body, schema)
    except (Refused, GraphQLError) as error:
        return Answer(400, {"errors": [_format(error)], "extensions": _extensions(0)})
    if job.cost > MAXIMUM_COST:
        refusal = Refused(f"The query costs {job.cost}; at most {MAXIMUM_COST} is allowed.")
        return Answer(400, {"errors": [_format(refusal)], "extensions": _extensions(job.cost)})
    return job


def _prepare(body: object, schema: GraphQLSchema) -> Job:
    query, variables, operation_name = _read(body)
    document = check_document(query, schema)
    check_size(document)
    operation = get_operation_ast(document, operation_name)
    if operation is None:
        raise Refused("Must provide operation name if query contains multiple operations.")
    if operation.operation is OperationType.SUBSCRIPTION:
        raise Refused("Subscriptions are sent by webhooks only.")
    return Job(document, variables, operation_name, Cost(schema, document, variables).of(operation))


def _read(body: object) -> tuple[str, dict[str, Any], str | None]:
    if isinstance(body, list):
        raise Refused("Batches of requests are not allowed.")
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        raise Refused("Must provide a query string.")
    variables = body.get("variables") or {}
    if not isinstance(variables, dict):
        raise Refused("Variables must be an object.")
    return body["query"], variables, body.get("operationName")


@lru_cache(maxsize=512)
def check_document(query: str, schema: GraphQLSchema) -> DocumentNode:
    """Kept, because apps and storefronts send the same few documents over and over."""
    document = parse(query)
    check_syntax(document)
    if errors := validate(schema, document):
        raise errors[0]
    return document


def _answer(result: ExecutionResult, cost: int) -> Answer:
    errors = result.errors or []
    if result.data is None and all(error.path is None for error in errors):  # wrong variables: nothing was executed
        return Answer(400, {"errors": [_format(e) for e in errors], "extensions": _extensions(cost)})
    content: dict[str, Any] = {"errors": [_format(error) for error in errors]} if errors else {}
    return Answer(200, content | {"data": result.data, "extensions": _extensions(cost)})


def tell(document: DocumentNode, schema: GraphQLSchema, request: Request) -> dict[str, Any] | None:
    """The body of a webhook: the event object itself, or, below any other root field, the whole data."""
    result = _execute(schema, document, request, {}, None)
    data = result.data or {}
    body = dict(data["event"]) if data.get("event") else {}
    if "event" not in data and any(value for value in data.values()):
        body = {"data": data}
    if not body:
        return None
    return body | ({"errors": [_format(error) for error in result.errors]} if result.errors else {})


def _execute(
    schema: GraphQLSchema,
    document: DocumentNode,
    request: Request,
    variables: dict[str, Any],
    operation_name: str | None,
) -> ExecutionResult:
    return execute_sync(
        schema,
        document,
        context_value=request,
        variable_values=variables,
        operation_name=operation_name,
        field_resolver=_RESOLVERS,
        type_resolver=_type_of,
    )


def _type_of(value: Any, _info: GraphQLResolveInfo[Any], _type: GraphQLAbstractType) -> str:
    return type_of(value.name) if isinstance(value, Event) else type(value).__name__


def _format(error: Exception) -> dict[str, Any]:
    """`code` is the name of the exception's class, as in Saleor."""
    cause = (error.original_error or error) if isinstance(error, GraphQLError) else error
    formatted: dict[str, Any] = {"message": error.message if isinstance(error, GraphQLError) else str(error)}
    if isinstance(error, GraphQLError):
        if error.locations:
            formatted["locations"] = [{"line": at.line, "column": at.column} for at in error.locations]
        if error.path:
            formatted["path"] = list(error.path)
    code = "GraphQLError" if isinstance(cause, GraphQLError | Refused) else type(cause).__name__
    return formatted | {"extensions": {"exception": {"code": code}}}


def _extensions(cost: int) -> dict[str, Any]:
    return {"cost": {"requestedQueryCost": cost, "maximumAvailable": MAXIMUM_COST}}
