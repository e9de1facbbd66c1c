"""Who subscribes in the demo, to what, and what becomes of each. All of them are invented."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.vipps.simulator.models import FailureReason


class Fate(StrEnum):
    PAYS = "pays"
    FAILS = "fails"
    RECOVERS = "recovers"
    STOPS = "stops"
    PAUSES = "pauses"
    ENDS = "ends"
    REFUNDED = "refunded"
    DEARER = "dearer"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class Goods:
    """Monthly, weekly and yearly plans, with delivery or without."""

    name: str
    price: int
    interval: str
    shipped: bool = True
    trial: str = ""

    @property
    def wish(self) -> dict[str, Any]:
        marks = {"vipps-recurring.interval": self.interval, "vipps-recurring.trial": self.trial}
        metadata = {name: value for name, value in marks.items() if value}
        return {
            "name": self.name,
            "price": self.price,
            "metadata": metadata,
            "stock": 500,
            "is_shipping_required": self.shipped,
        }


@dataclass(frozen=True, slots=True)
class Person:
    """`day` is the day of the month, two months ago, on which they subscribe."""

    first_name: str
    last_name: str
    goods: Goods
    day: int
    fate: Fate = Fate.PAYS
    reason: FailureReason | None = None

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"

    @property
    def email(self) -> str:
        return f"{self.first_name.lower()}@example.com"


BEANS = Goods("Beans of the month", 229, "MONTH:1")
TEA = Goods("Tea of the week", 89, "WEEK:1")
HERBS = Goods("Fresh herbs", 69, "WEEK:1")
MAGAZINE = Goods("Coffee magazine, a year", 590, "YEAR:1", shipped=False)
COURSE = Goods("Barista course online", 149, "MONTH:1", shipped=False, trial="DAY:14")
CLUB = Goods("Tasting club", 179, "MONTH:1", shipped=False)
RANGE: Sequence[Goods] = (BEANS, TEA, HERBS, MAGAZINE, COURSE, CLUB)

PEOPLE: Sequence[Person] = (
    Person("Ola", "Nordmann", BEANS, 6),
    Person("Nora", "Berg", TEA, 21),
    Person("Oskar", "Lie", CLUB, 9, Fate.DEARER),
    Person("Emil", "Dahl", MAGAZINE, 9),
    Person("Jonas", "Haugen", BEANS, 10, Fate.FAILS, "user_action_required"),
    Person("Maja", "Strand", BEANS, 11, Fate.RECOVERS, "technical_error"),
    Person("Thea", "Moen", CLUB, 12, Fate.FAILS, "non_technical_error"),
    Person("Henrik", "Solberg", BEANS, 13, Fate.FAILS, "technical_error"),
    Person("Lukas", "Vik", CLUB, 14, Fate.STOPS),
    Person("Sara", "Bakke", BEANS, 15, Fate.PAUSES),
    Person("Filip", "Aas", CLUB, 16, Fate.ENDS),
    Person("Ella", "Hauge", HERBS, 27, Fate.WAITS),
    Person("Ingrid", "Foss", BEANS, 18, Fate.REFUNDED),
    Person("Sofie", "Lund", COURSE, 20),
)
