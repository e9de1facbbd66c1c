"""Paying in Saleor's checkout: a session makes the agreement with its initial charge, and tells how far it has come."""

import asyncio
import unicodedata
import uuid
from collections.abc import Mapping
from contextlib import suppress

from app.domain.account import Installation, system
from app.domain.agreement import (
    PRODUCT_DESCRIPTION_MAX,
    PRODUCT_NAME_MAX,
    Agreement,
    AgreementDraft,
    AgreementStatus,
    InitialCharge,
    TransactionType,
    check_url,
)
from app.domain.charge import DESCRIPTION_MAX, KEY_SLOT, Charge
from app.domain.checkout import Cart, SessionAnswer, SessionRequest, Terms, terms_of
from app.domain.errors import (
    Duplicate,
    IllegalState,
    InvalidInput,
    Misconfigured,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    RecurringError,
    Rejected,
    Unavailable,
)
from app.domain.money import Money, currency_of
from app.domain.records import AuditEntry
from app.domain.session_answers import NOT_HERE, answer_of, failure
from app.domain.transaction import Session
from app.usecases.charges import digest, refresh_charge
from app.usecases.drafts import draft_once, new_row, page_of, way_back
from app.usecases.known import account_for_channel, find_initial, refresh_agreement
from app.usecases.ports import Deps
from app.usecases.starting import start_soon

ACTOR = "saleor:checkout"
_PROBLEM_PATIENCE = 2.0
_PROBLEM = "vipps-recurring-checkout"
_ROWS = uuid.UUID("e1b5d0c2-7a3f-5d6b-9c84-2f1e6a7b3d90")
_NO_ANSWER = "Vipps did not answer; please try again."
_CHANGED = "The cart or the amount has changed since this payment was begun; please begin again."
_TOO_LATE = "This payment took too long to begin; please begin again."
_REFUSED = "Vipps MobilePay did not accept this payment; please choose another way to pay."
_UNKNOWN = "This payment was not begun with Vipps MobilePay here; please begin again."
_SHOPPERS_OWN = frozenset({"lines", "returnUrl", "phoneNumber", "amount"})  # what is wrong with these is told as it is


async def initialize(deps: Deps, installation: Installation, request: SessionRequest) -> SessionAnswer:
    """Begin to pay: the same transaction and key give the same agreement and URL. Every refusal is an answer.

    Whatever came of the call, the rows stay: a repeat goes on with them.
    """
    shop, transaction = installation.shop, request.transaction
    try:
        async with asyncio.timeout(deps.limits.session_seconds), deps.turns.of(f"session {shop} {transaction}"):
            return await _begin(deps, shop, request)
    except (Unavailable, OutcomeUnknown, TimeoutError):
        return failure(request.action, request.amount, _NO_ANSWER)
    except Duplicate:
        return failure(request.action, request.amount, _CHANGED)
    except IllegalState:
        return failure(request.action, request.amount, _TOO_LATE)
    except RecurringError as error:
        if isinstance(error, InvalidInput) and error.field in _SHOPPERS_OWN:
            return failure(request.action, request.amount, error.message)
        await _tell_merchant(deps, installation, transaction, error)
        return failure(request.action, request.amount, _REFUSED if isinstance(error, Rejected) else NOT_HERE)


async def _begin(deps: Deps, shop: str, request: SessionRequest) -> SessionAnswer:
    terms = terms_of(request.cart, request.action)
    _check_amount(request, terms)
    account = await account_for_channel(deps, shop, request.cart.channel)
    row_id = str(uuid.uuid5(_ROWS, f"{shop} {request.transaction} {request.idempotency_key}"))
    return_url = _return_url(request.data)
    redirect, page = way_back(deps, row_id, return_url), page_of(deps, account, row_id)
    taken = terms.transaction_type or account.usual_initial
    draft = _draft(request, terms, row_id, taken, redirect=redirect, page=page)
    slot = KEY_SLOT + digest("saleor", request.transaction, request.idempotency_key)
    row = new_row(deps, account, draft, row_id, customer=request.cart.customer, slot=slot, return_url=return_url)
    session = await _stored(deps, request, terms, row)
    row = await draft_once(deps, system(shop), account, row, draft)
    if row.status is AgreementStatus.PENDING:
        return answer_of(session, row, None)
    return await _looked_at(deps, session, row)


def _check_amount(request: SessionRequest, terms: Terms) -> None:
    amount = request.amount
    if amount.currency is not terms.price.currency:
        raise Misconfigured(f"the amount is in {amount.currency} and the cart in {terms.price.currency}")
    least = amount.currency.minimum
    if amount.minor < 0 or 0 < amount.minor < least:
        text = f"Vipps MobilePay takes {Money(least, amount.currency)} at the least; please choose another way to pay."
        raise InvalidInput(text, field="amount")


def _draft(
    request: SessionRequest, terms: Terms, row_id: str, taken: TransactionType, *, redirect: str, page: str
) -> AgreementDraft:
    """What the customer is asked to approve; where nothing is paid now (trial, voucher) without an initial charge."""
    name = _plain(terms.product_name, PRODUCT_NAME_MAX) or "Subscription"
    initial = None
    if request.amount.minor:
        initial = InitialCharge(request.amount, name[:DESCRIPTION_MAX], taken, f"vr-{row_id}")
    return AgreementDraft(
        price=terms.price,
        plan=terms.plan,
        product_name=name,
        redirect_url=redirect,
        agreement_url=page,
        product_description=_description(request.cart),
        initial_charge=initial,
        phone=_phone(request.data),
        external_id=row_id,
    )


def _return_url(data: Mapping[str, object]) -> str:
    url = data.get("returnUrl")
    if not isinstance(url, str) or not url:
        raise InvalidInput(
            "returnUrl is missing: the storefront says in data.returnUrl where the customer comes back to",
            field="returnUrl",
        )
    check_url(url, "returnUrl", app_schemes=True)
    return url


def _phone(data: Mapping[str, object]) -> str | None:
    """Only to spare the customer the typing; Vipps wants digits, the country code first."""
    given = data.get("phoneNumber")
    if given is None or given == "":
        return None
    digits = given.replace(" ", "").removeprefix("+") if isinstance(given, str) else ""
    if not (digits.isascii() and digits.isdigit() and _PHONE_LEAST <= len(digits) <= _PHONE_MOST):
        raise InvalidInput("phoneNumber is 8 to 15 digits, the country code first", field="phoneNumber")
    return digits


_PHONE_LEAST, _PHONE_MOST = 8, 15


def _description(cart: Cart) -> str:
    names = [f"{line.quantity} x {line.name}" if line.quantity > 1 else line.name for line in cart.lines]
    return _plain(", ".join(names), PRODUCT_DESCRIPTION_MAX)


def _plain(text: str, longest: int) -> str:
    """A merchant's text as Vipps takes it: without control characters, cut to length."""
    kept = "".join(" " if unicodedata.category(char) in {"Cc", "Cs"} else char for char in text)
    return " ".join(kept.split())[:longest].strip()


async def _stored(deps: Deps, request: SessionRequest, terms: Terms, row: Agreement) -> Session:
    """The session's row, before Vipps hears of it. Raises Duplicate where the transaction was begun otherwise."""
    session = Session(
        id=request.transaction,
        shop=row.shop,
        account_id=row.account_id,
        agreement_row=row.id,
        action=request.action,
        amount=request.amount,
        source=request.cart.id,
        created_at=deps.clock(),
        trial=str(terms.trial) if terms.trial else None,
    )
    async with deps.store.begin() as unit:
        if await unit.sessions.add(session):
            what = AuditEntry(
                row.shop,
                ACTOR,
                "session.begun",
                session.id,
                session.created_at,
                after=row.id,
                reason=str(session.amount),
            )
            await unit.audit.add([what])
            return session
        known = await unit.sessions.get(session.shop, session.id)
    if known is None or _said(known) != _said(session):
        raise Duplicate("this transaction was begun with another amount or key")
    return known


def _said(session: Session) -> tuple[object, ...]:
    return session.agreement_row, session.account_id, session.action, session.amount


async def _tell_merchant(deps: Deps, installation: Installation, transaction: str, error: RecurringError) -> None:
    """The shopper hears that it is not possible; the audit and a problem of the app say why."""
    what = AuditEntry(
        installation.shop, ACTOR, "session.refused", transaction, deps.clock(), after=error.code, reason=error.message
    )
    async with deps.store.begin() as unit:
        await unit.audit.add([what])
    with suppress(RecurringError, TimeoutError):
        async with asyncio.timeout(_PROBLEM_PATIENCE):
            await deps.shop.raise_problem(installation, _PROBLEM, f"A payment could not be begun: {error.message}")


async def process(deps: Deps, installation: Installation, request: SessionRequest) -> SessionAnswer:
    """How far a session has come. A final answer is never asked for again, so it is given for what Vipps says only."""
    async with deps.store.begin() as unit:
        session = await unit.sessions.get(installation.shop, request.transaction)
        row = await unit.agreements.by_row(session.shop, session.agreement_row) if session else None
    if session is None:
        return failure(request.action, request.amount, _UNKNOWN)
    if row is None or (row.agreement_id is None and not row.status.final):
        return failure(session.action, session.amount, _NO_ANSWER)
    return await _looked_at(deps, session, row)


async def _looked_at(deps: Deps, session: Session, row: Agreement) -> SessionAnswer:
    """By what Vipps shows now, or by our rows where it cannot be asked: its webhook and the sweeper tell the rest."""
    with suppress(ProviderError, NotFound, TimeoutError):
        async with asyncio.timeout(deps.limits.session_seconds):
            await _look(deps, session, row)
    async with deps.store.begin() as unit:
        row = await unit.agreements.by_row(row.shop, row.id) or row
        charge = await unit.charges.by_transaction(session.shop, session.id)
    if row.status is AgreementStatus.ACTIVE:
        await start_soon(deps, row)
    return answer_of(session, row, charge)


async def _look(deps: Deps, session: Session, row: Agreement) -> None:
    if row.agreement_id is None:
        return
    if not row.status.final:
        row, _ = await refresh_agreement(deps, ACTOR, row)
    if not session.amount.minor or row.status is AgreementStatus.PENDING:
        return
    async with deps.store.begin() as unit:
        charge = await unit.charges.by_transaction(session.shop, session.id)
    if charge is None:
        await _find_initial(deps, session, row)
    elif not charge.status.final:
        await refresh_charge(deps, ACTOR, row, charge.charge_id or charge.order_id)


async def _find_initial(deps: Deps, session: Session, row: Agreement) -> Charge | None:
    """The initial charge of which Vipps' answer to the draft did not tell."""
    initial = await find_initial(deps, ACTOR, row)
    if initial is not None:
        async with deps.store.begin() as unit:
            await unit.charges.link_transaction(session.shop, initial.id, session.id)
    return initial


async def gateway_initialize(deps: Deps, installation: Installation, channel: str, currency: str) -> dict[str, object]:
    """Whether subscriptions can be paid in this channel, for the storefront to decide what it shows."""
    try:
        currency_of(currency)
        account = await account_for_channel(deps, installation.shop, channel)
    except (InvalidInput, Misconfigured):
        return {"ok": False, "reason": NOT_HERE}
    if account.client_secret is None:
        return {"ok": False, "reason": NOT_HERE}
    return {"ok": True, "channel": channel, "currency": currency}
