"""One agreement: what is renewed on it, its periods, its charges, its story, and what may be done with it."""

from collections.abc import Sequence

from fastapi.responses import HTMLResponse

from app.domain.agreement import AgreementStatus, Pricing
from app.domain.subscription import SubscriptionStatus
from app.usecases.customer_page import known_cost
from app.usecases.looking import AgreementDetail, agreement_detail
from app.usecases.manage_links import manage_url
from app.usecases.people import buyers_of
from app.web.pages.lists import DEFAULT_ZONE
from app.web.pages.reasons import why
from app.web.pages.visits import Fragments, Visit

_S = SubscriptionStatus
_ALIVE = frozenset({_S.ACTIVE, _S.PAUSED, _S.HELD})


def add_to(fragments: Fragments) -> None:
    fragments.get("/agreements/{agreement}", _one)


async def _one(visit: Visit) -> HTMLResponse:
    return await show_agreement(visit, visit.parameters["agreement"])


async def show_agreement(visit: Visit, agreement_id: str, notice: str = "", status: int = 200) -> HTMLResponse:
    """`notice` names what became of an action that somebody asked for on it."""
    detail = await agreement_detail(visit.context.deps, visit.caller, agreement_id)
    return visit.show(
        "agreement.html",
        status=status,
        it=detail,
        people=await buyers_of(visit.context.deps, visit.caller, detail.orders),
        notice=notice,
        why=why(visit.language, detail.subscription, detail.agreement.stopped_by),
        actions=actions_on(detail) if visit.may_write else (),
        my_url=manage_url(visit.context.deps, visit.caller, detail.agreement.id, detail.agreement.link_number),
        pay_urls={name: visit.context.deps.pay_url(name) for name in detail.payable},
        cost=known_cost(detail.agreement, detail.subscription, detail.charges),
        zone=detail.account.time_zone if detail.account else DEFAULT_ZONE,
        path=f"/agreements/{agreement_id}",
    )


def actions_on(detail: AgreementDetail) -> Sequence[str]:
    """What its state allows; each of them is decided anew when it is done."""
    subscription = detail.subscription
    if subscription is None:
        return ["stop"] if detail.agreement.status is AgreementStatus.ACTIVE else []
    found: list[str] = []
    if subscription.status in {_S.PAUSED, _S.HELD, _S.ENDING}:
        found.append("resume")
    if subscription.status is _S.ACTIVE:
        found += ["pause", "skip"]
    if subscription.status in _ALIVE:
        fixed = detail.agreement.pricing is Pricing.LEGACY
        found += ["move", "price", "quantity"] if fixed else ["move", "quantity"]
    found.append("link")
    if subscription.status is not _S.ENDED:
        found.append("stop")
    return found
