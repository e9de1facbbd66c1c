"""Lists that staff look through: what their address asks for, and the addresses of the pages before and after."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Generic, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from app.domain.account import Account
from app.domain.errors import InvalidInput
from app.domain.records import Page, Sought
from app.usecases.known import check_opaque
from app.usecases.people import Remark, search
from app.web.pages.visits import Visit

T = TypeVar("T")
K = TypeVar("K")
SIZE = 25
MOST_CHOSEN = 1000  # at once, however many match
NAMES = ("q", "status", "account", "from", "to", "sort")  # of what an address may ask for
DEFAULT_ZONE = "Europe/Oslo"
OLDEST_FIRST = "oldest"
_LONGEST = 300
_ROW_ID = re.compile(r"[0-9a-f-]{1,36}")


@dataclass(slots=True)
class Asked:
    """What stands in an address: `values` as they were typed, `wrong` the names of those that cannot be read.

    Where something is wrong there is nothing to list, and the page says so beside its field. `search` was typed as `q`
    and stands in no address; `remark` is what there is to say about it.
    """

    parameters: Mapping[str, str]
    names: Sequence[str]
    search: str = ""
    wrong: set[str] = field(default_factory=set)
    remark: Remark | None = None

    @property
    def values(self) -> dict[str, str]:
        typed = {name: self.parameters.get(name, "")[:_LONGEST].strip() for name in self.names}
        return typed | ({"q": self.search[:_LONGEST].strip()} if self.search else {})

    def read(self, name: str, kind: Callable[[str], T]) -> T | None:
        text = self.values[name]
        if not text:
            return None
        try:
            return kind(text)
        except (ValueError, KeyError, InvalidInput):
            self.wrong.add(name)
            return None

    def address(self, path: str, **more: str) -> str:
        """The same list with some of it changed; what is empty is left out."""
        kept = {name: value for name, value in self.values.items() if not (name == "q" and self.search)}
        asked = {name: value for name, value in (kept | more).items() if value}
        return f"{path}?{urlencode(asked)}" if asked else path

    def here(self, path: str) -> str:
        """The very page that is asked for."""
        return self.address(path, **{name: self.parameters.get(name, "") for name in ("after", "before")})

    def require_readable(self) -> None:
        """Whoever wants all that match must not get more because a part of it was not understood."""
        if self.wrong:
            raise InvalidInput(f"{', '.join(sorted(self.wrong))} cannot be read; look for it again")

    @property
    def narrowed(self) -> bool:
        """Whether anything but the order is asked for."""
        return any(value for name, value in self.values.items() if name != "sort")

    def page(self, read_place: Callable[[str], date], size: int = SIZE) -> Page:
        """One row more than is shown, which tells whether there is another page. A place that cannot be read is the
        list's beginning.
        """
        backwards = bool(self.parameters.get("before"))
        place = _place(self.parameters.get("before" if backwards else "after", ""), read_place)
        return Page(size + 1, place, backwards and place is not None, self.values["sort"] != OLDEST_FIRST)


def a_name(text: str) -> str:
    check_opaque(text, "name")
    return text


async def read_search(visit: Visit, asked: Asked) -> Sought | None:
    """What leads to the rows that somebody looks for; None where they look for nothing. Read after all else."""
    found = None
    if text := asked.values["q"]:
        answer = await search(visit.context.deps, visit.caller, text)
        found, asked.remark = answer.sought, answer.remark
        if asked.remark not in {None, Remark.MORE}:
            asked.wrong.add("q")
    return Sought() if asked.wrong else found


def an_account_of(accounts: Sequence[Account]) -> Callable[[str], str]:
    known = {it.id: it.id for it in accounts}
    return known.__getitem__


def a_moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _place(text: str, read: Callable[[str], date]) -> tuple[date, str] | None:
    at, _, row_id = text.partition("~")
    try:
        return (read(at), row_id) if _ROW_ID.fullmatch(row_id) else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Shown(Generic[T]):
    """A page's rows, and the addresses of its neighbours where there are any."""

    rows: Sequence[T]
    newer: str | None
    older: str | None


def shown(
    rows: Sequence[T], asked: Asked, page: Page, path: str, place_of: Callable[[T], tuple[date, str]]
) -> Shown[T]:
    """`newer` leads towards the list's beginning, `older` towards its end."""
    size = page.size - 1
    beyond = len(rows) > size
    rows = (rows[1:] if page.backwards else rows[:size]) if beyond else rows

    def at(row: T) -> str:
        when, row_id = place_of(row)
        return f"{when.isoformat()}~{row_id}"

    more_before = beyond if page.backwards else page.cursor is not None
    more_after = page.cursor is not None if page.backwards else beyond
    return Shown(
        rows,
        asked.address(path, before=at(rows[0])) if rows and more_before else None,
        asked.address(path, after=at(rows[-1])) if rows and more_after else None,
    )


async def count_matching(visit: Visit, list_: Shown[T], matching: Callable[[int], Awaitable[Sequence[str]]]) -> int:
    """How many can be chosen beyond the page that is shown; none where it shows all. `matching` gives so many ids."""
    beyond = visit.may_write and (list_.newer or list_.older)
    return len(await matching(MOST_CHOSEN + 1)) if beyond else 0


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A list that is looked for often. `name` is its text's, `here` says whether it is shown now."""

    name: str
    address: str
    here: bool


def shortcuts(asked: Asked, path: str, lists: Mapping[str, Mapping[str, str]]) -> Sequence[Shortcut]:
    """By name what each of the lists asks for."""
    empty, now = Asked({}, asked.names), asked.address(path, sort="")
    addresses = {name: empty.address(path, **narrowed) for name, narrowed in lists.items()}
    return [Shortcut(name, address, address == now and not asked.search) for name, address in addresses.items()]


def zone_of(accounts: Sequence[Account]) -> ZoneInfo:
    """The merchant's clock: that of the account which serves all channels, or of the first one."""
    zones = {it.channel: it.time_zone for it in accounts}
    return ZoneInfo(zones.get("default") or next(iter(zones.values()), DEFAULT_ZONE))
