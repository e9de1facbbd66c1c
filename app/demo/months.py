"""Two months of a shop with its subscribers, told a line a day: who comes, who cannot pay, who leaves."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

from app.demo.people import HERBS, PEOPLE, RANGE, Fate, Goods, Person
from app.demo.story import Story
from app.demo.world import World

_NOTICE = timedelta(days=21)
_PAUSE = timedelta(days=30)
_SOLD_OUT = timedelta(days=6)  # long enough for the week's period to be planned, and short enough to wait still
_CLUB_PRICE = 19_900
_REFUND = 40


def first_of_month(day: date, earlier: int = 0) -> date:
    """The first day of the month that lies so many before the day's."""
    months = day.year * 12 + day.month - 1 - earlier
    return date(months // 12, months % 12 + 1, 1)


class Months:
    """Appointments are made for all of it at once; they are kept while the story passes its days."""

    def __init__(self, story: Story, world: World, present: date) -> None:
        self.story = story
        self.world = world
        self.present = present
        self.begins = first_of_month(present, 2)
        self.last_month = first_of_month(present, 1)
        self.variants: dict[str, str] = {}
        self.customers: dict[Person, str] = {}
        self.agreements: dict[Person, str] = {}

    def plan(self) -> None:
        """Put the goods on sale, and note down who comes when."""
        for goods in RANGE:
            product = self.story.control("/products", goods.wish)
            self.variants[goods.name] = product["variants"][0]["id"]
        for person in PEOPLE:
            self._on(self.begins.replace(day=person.day), partial(self._subscribe, person))

    def _on(self, day: date, act: Callable[[], None]) -> None:
        self.world.calendar[day].append(act)

    def _tell(self, text: str) -> None:
        self.story.console.print(f"   [dim]{self.world.today:%d %b}[/dim]  {text}")

    def _subscribe(self, person: Person) -> None:
        self.agreements[person] = self._bought(person)
        self._tell(f"{person.name} subscribes to: {person.goods.name}")
        if person.fate is not Fate.PAYS:
            self._arrange(person)

    def _bought(self, person: Person) -> str:
        control = self.story.control
        names = {"email": person.email, "first_name": person.first_name, "last_name": person.last_name}
        self.customers[person] = control("/customers", names)["id"]
        lines = [{"variant": self.variants[person.goods.name]}]
        checkout = control("/checkouts", {"customer": self.customers[person], "lines": lines})
        data = {"returnUrl": f"{self.story.saleor}/storefront"}
        begun = control("/transactions", {"source": checkout["id"], "data": data})
        self.story.http.post(begun["data"]["confirmationUrl"], data={"decision": "approve"})
        control(f"/transactions/{begun['transaction']['id']}/process", {})
        control(f"/checkouts/{checkout['id']}/complete")
        return str(begun["data"]["agreementId"])

    def _arrange(self, person: Person) -> None:
        """When what becomes of somebody happens; the same day last month is when they are due."""
        due = self.last_month.replace(day=person.day)
        match person.fate:
            case Fate.FAILS:
                self._on(due - timedelta(days=1), partial(self._lose_card, person))
                self._on(self.present, partial(self._mend_card, person))
            case Fate.RECOVERS:
                self._on(due - timedelta(days=1), partial(self._lose_card, person))
                self._on(due + timedelta(days=4), partial(self._mend_card, person))
            case Fate.STOPS:
                self._on(due + timedelta(days=6), partial(self._stop, person))
            case Fate.REFUNDED:
                self._on(due + timedelta(days=2), partial(self._refund, person))
            case Fate.WAITS:
                self._on(self.present - _SOLD_OUT, partial(self._sell_out, person.goods))
            case Fate.PAUSES | Fate.ENDS | Fate.DEARER:
                self._on(self.present, partial(self._decide, person))

    def _vipps(self, person: Person, what: str, body: Any = None) -> None:
        self.story.post(f"{self.story.vipps}/simulator/agreements/{self.agreements[person]}/{what}", body)

    def _lose_card(self, person: Person) -> None:
        self._vipps(person, "failure", {"reason": person.reason})
        self._tell(f"{person.name}'s payments fail from now on ({person.reason})")

    def _mend_card(self, person: Person) -> None:
        self._vipps(person, "failure", {"reason": None})
        self._tell(f"{person.name} can pay again")

    def _stop(self, person: Person) -> None:
        self._vipps(person, "stop")
        self._tell(f"{person.name} stops the agreement in the Vipps app")

    def _refund(self, person: Person) -> None:
        mine = f":{self.agreements[person]}:"
        orders = self.story.get(f"{self.story.saleor}/simulator/orders")
        order = next(it for it in reversed(orders) if mine in (it["externalReference"] or "") and it["isPaid"])
        [transaction] = self.story.get(f"{self.story.saleor}/simulator/orders/{order['id']}/transactions")
        wish = {"action": "REFUND", "amount": _REFUND, "reason": "Half of the bags were open"}
        self.story.control(f"/transactions/{transaction['id']}/actions", wish)
        self._tell(f"{person.name} is given {_REFUND}.00 back of order {order['number']}")

    def _sell_out(self, goods: Goods) -> None:
        self.story.control(f"/variants/{self.variants[goods.name]}/stock", {"stock": 0})
        self._tell(f"{HERBS.name} are sold out")

    def _decide(self, person: Person) -> None:
        """What customers ask for on their page, and staff in the Dashboard."""
        agreement = self.agreements[person]
        match person.fate:
            case Fate.PAUSES:
                until = self.present + _PAUSE
                self._ask("agreementPause(ids: $it, until: $on)", [agreement], until, self._customer(person))
                self._tell(f"{person.name} pauses until {until:%d %b}")
            case Fate.ENDS:
                self._ask("agreementCancel(ids: $it, at: PERIOD_END)", [agreement], None, self._customer(person))
                self._tell(f"{person.name} cancels, for the end of the period that is paid")
            case _:
                day = self.present + _NOTICE
                self._change_price(agreement, day)
                self._tell(f"{person.name} is told that it costs {_CLUB_PRICE / 100:.2f} from {day:%d %b}")

    def _customer(self, person: Person) -> dict[str, str]:
        return self.story.token(self.customers[person])

    def _ask(self, what: str, agreements: list[str], day: date | None, headers: dict[str, str]) -> None:
        head = "$it: [ID!]!" + (", $on: Date" if day else "")
        query = f"mutation ({head}) {{ {what} {{ successes errors {{ message }} }} }}"
        variables = {"it": agreements} | ({"on": day.isoformat()} if day else {})
        answer = self.story.graphql(query, variables, headers)
        if answer["errors"]:
            self.story.check(answer["errors"][0]["message"], holds=False)

    def _change_price(self, agreement: str, day: date) -> None:
        query = """mutation ($id: ID!, $input: AgreementUpdateInput!) {
          agreementUpdate(id: $id, input: $input) { errors { message } } }"""
        prices = [{"variantId": self.variants["Tasting club"], "price": _CLUB_PRICE}]
        change = {"on": day.isoformat(), "price": _CLUB_PRICE, "unitPrices": prices}
        answer = self.story.graphql(query, {"id": agreement, "input": {"priceChange": change}}, self.story.machine)
        self.story.check("the new price is noted", holds=not answer["errors"])
