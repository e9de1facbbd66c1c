"""What is chosen in a list: charges or agreements, whether each allows what is asked for, and who does it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.account import Scope
from app.domain.agreement import AgreementStatus
from app.domain.batch import ItemResult
from app.domain.errors import Overtaken
from app.domain.money import Money
from app.domain.subscription import SubscriptionStatus
from app.usecases import subscriptions
from app.usecases.looking import AgreementLine, ChargeLine, chosen_agreements, chosen_charges
from app.usecases.money_moves import ChargeMove, move
from app.usecases.retrying import retry_charges
from app.usecases.subscriptions import CancelAt
from app.web.pages import agreements, charges
from app.web.pages.charge_actions import KINDS, heading, left_of
from app.web.pages.charge_page import allows, hindered
from app.web.pages.typed import Form, a_day_or_none
from app.web.pages.visits import Visit

_S = SubscriptionStatus
_STATES: Mapping[str, frozenset[SubscriptionStatus]] = {
    "pause": frozenset({_S.ACTIVE}),
    "resume": frozenset({_S.PAUSED, _S.HELD, _S.ENDING}),
    "stop": frozenset({_S.ACTIVE, _S.PAUSED, _S.HELD, _S.ENDING}),
}
_AIMS: Mapping[str, frozenset[SubscriptionStatus]] = {
    "pause": frozenset({_S.PAUSED}),
    "resume": frozenset({_S.ACTIVE}),
    "stop": frozenset({_S.ENDED}),
}
_STATE, _ALREADY = "STATE", "ALREADY"  # why it does not fit: by the names of texts


@dataclass(frozen=True, slots=True)
class Item:
    """One of those chosen: `seen` is what it shows now, `why` the name of what stands against what is asked for,
    `order` one that tells whose it is.
    """

    id: str
    seen: str
    name: str
    detail: str
    why: str
    sum: Money | None = None
    order: str | None = None

    @property
    def fits(self) -> bool:
        return not self.why


All = Callable[[Visit], Awaitable[Sequence[str]]]
Find = Callable[[Visit, str, Sequence[str]], Awaitable[Sequence[Item]]]
Do = Callable[[Visit, str, Form, Sequence[Item]], Awaitable[Sequence[ItemResult[Any]]]]


@dataclass(frozen=True, slots=True)
class Area:
    name: str
    needs: Scope
    actions: tuple[str, ...]
    all: All
    find: Find
    do: Do


async def _charges(visit: Visit, action: str, ids: Sequence[str]) -> Sequence[Item]:
    def item(line: ChargeLine) -> Item:
        it = line.charge
        product = line.agreement.product_name if line.agreement else it.description
        detail = f"{product} · {it.agreement_id}"
        why = (hindered(visit, line) or "") if action == "retry" else "" if allows(it, action) else _STATE
        # A renewal that is not paid has a draft, of which the shop tells nothing: the first order comes before it.
        order = next((it for it in reversed(line.orders) if it), None)
        return Item(it.id, it.sums, heading(visit, it), detail, why, left_of(action, it), order)

    return [item(line) for line in await chosen_charges(visit.context.deps, visit.caller, ids)]


async def _agreements(visit: Visit, action: str, ids: Sequence[str]) -> Sequence[Item]:
    def item(line: AgreementLine) -> Item:
        it, subscription = line.agreement, line.subscription
        seen = f"{it.status}/{subscription.version if subscription else 0}"
        name = it.agreement_id or ""
        return Item(name, seen, it.product_name, name, _why_not(line, action), order=line.first_order)

    return [item(line) for line in await chosen_agreements(visit.context.deps, visit.caller, ids)]


def _why_not(line: AgreementLine, action: str) -> str:
    if line.subscription is None:
        return "" if action == "stop" and line.agreement.status is AgreementStatus.ACTIVE else _STATE
    status = line.subscription.status
    return "" if status in _STATES[action] else _ALREADY if status in _AIMS[action] else _STATE


async def _move(visit: Visit, action: str, form: Form, items: Sequence[Item]) -> Sequence[ItemResult[Any]]:
    """All that is left of each. What has changed since is refused by the use case, which looks at Vipps first."""
    if action == "retry":
        return (await retry_charges(visit.context.deps, visit.caller, [it.id for it in items])).items
    rows = await chosen_charges(visit.context.deps, visit.caller, [it.id for it in items])
    lines = {it.charge.id: it.charge for it in rows}
    wanted = [
        ChargeMove(
            KINDS[action],
            lines[it.id].agreement_id,
            lines[it.id].charge_id or lines[it.id].order_id,
            description=form.values["description"] if action == "refund" else "",
            idempotency_key=f"{visit.form['key']}/{it.id}",
            sums=it.seen,
        )
        for it in items
    ]
    return (await move(visit.context.deps, visit.caller, wanted)).items


async def _change(visit: Visit, action: str, form: Form, items: Sequence[Item]) -> Sequence[ItemResult[Any]]:
    deps, caller, fresh = visit.context.deps, visit.caller, [it.id for it in items if it.fits]
    match action:
        case "pause":
            until = form.read("until", a_day_or_none)
            found: Sequence[ItemResult[Any]] = (await subscriptions.pause(deps, caller, fresh, until)).items
        case "resume":
            found = (await subscriptions.resume(deps, caller, fresh)).items
        case _:
            at = form.read("at", CancelAt) or CancelAt.PERIOD_END
            found = (await subscriptions.cancel(deps, caller, fresh, at)).items
    answers = {it.id: it for it in found}
    return [answers.get(it.id) or ItemResult(index, it.id, error=_late(it)) for index, it in enumerate(items)]


def _late(it: Item) -> Overtaken:
    if it.why == _ALREADY:
        return Overtaken("it is so already; nothing was done a second time")
    return Overtaken("it has changed since it was looked at; nothing was done")


CHARGES = Area(
    "charges", Scope.CHARGES_WRITE, ("retry", "capture", "refund", "cancel"), charges.all_that_match, _charges, _move
)
AGREEMENTS = Area(
    "agreements",
    Scope.AGREEMENTS_WRITE,
    ("pause", "resume", "stop"),
    agreements.all_that_match,
    _agreements,
    _change,
)
