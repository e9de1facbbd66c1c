"""What many fields of one answer need is read in one query, whichever fields ask for it."""

from collections import defaultdict
from collections.abc import Sequence

from strawberry.dataloader import DataLoader

from app.domain.account import Caller
from app.domain.charge import Charge
from app.domain.renewal import Renewal
from app.domain.subscription import Subscription
from app.usecases.forecast import charges_of, renewals_of, subscriptions_of
from app.usecases.ports import Deps


class Loaders:
    """One request's. Nothing is kept: a mutation shows what it made of things."""

    def __init__(self, deps: Deps, caller: Caller) -> None:
        self._deps = deps
        self._caller = caller
        self.subscriptions = DataLoader(self._subscriptions, cache=False)
        self.renewals = DataLoader(self._renewals, cache=False)
        self.charges = DataLoader(self._charges, cache=False)

    async def _subscriptions(self, agreement_ids: list[str]) -> Sequence[Subscription | None]:
        found = await subscriptions_of(self._deps, self._caller.shop, list(dict.fromkeys(agreement_ids)))
        return [found.get(name) for name in agreement_ids]

    async def _renewals(self, wanted: list[tuple[str, int]]) -> Sequence[Sequence[Renewal]]:
        """Per subscription and how many of its periods."""
        by_number: dict[int, list[str]] = defaultdict(list)
        for name, number in dict.fromkeys(wanted):
            by_number[number].append(name)
        found = {
            (name, number): rows
            for number, names in by_number.items()
            for name, rows in (await renewals_of(self._deps, self._caller.shop, names, number)).items()
        }
        return [found.get(it, ()) for it in wanted]

    async def _charges(self, row_ids: list[str]) -> Sequence[Charge | None]:
        found = await charges_of(self._deps, self._caller, list(dict.fromkeys(row_ids)))
        return [found.get(row_id) for row_id in row_ids]
