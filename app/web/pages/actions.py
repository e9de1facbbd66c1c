"""The page before something is done: what will happen is spelled out, what is needed is asked for, and it is said once.

A form carries what it showed and a key of its own, so that one that is sent twice, or that is old, does nothing again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi.responses import HTMLResponse

from app.domain.errors import InvalidInput
from app.usecases.people import buyers_of
from app.web.pages.typed import Form
from app.web.pages.visits import Visit


@dataclass(frozen=True, slots=True)
class Field:
    """`text` is the name of its words below `dashboard.<area>.form`, which `words` fill; `options` make it a choice."""

    name: str
    kind: str = "text"
    text: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()

    @property
    def key(self) -> str:
        return self.text or self.name


@dataclass(frozen=True, slots=True)
class Action:
    """`path` is where it is sent to, `back` where nobody wants it after all, which is called `back_to` if it is not
    `subject`; `about` fills its consequence's words.
    """

    area: str
    name: str
    path: str
    back: str
    subject: str
    about: Mapping[str, str]
    fields: Sequence[Field]
    hidden: Mapping[str, str]
    danger: bool = False
    back_to: str = ""


def show_action(
    visit: Visit, action: Action, form: Form, *, status: int = 200, notice: str = "", detail: str = "", **more: Any
) -> HTMLResponse:
    """`notice` is why it is shown again; `detail` what was answered, for whoever has to find out more; `who` names the
    customer whom it is about.
    """
    template = more.pop("template", "action.html")
    shown = {"who": ""} | more
    return visit.show(template, status=status, action=action, form=form, notice=notice, detail=detail, **shown)


async def show_action_on(
    visit: Visit, orders: Iterable[str | None], action: Action, form: Form, **more: Any
) -> HTMLResponse:
    """`show_action`, with the name of the customer whose `orders` they are."""
    return show_action(visit, action, form, who=await name_of_buyer(visit, orders), **more)


async def name_of_buyer(visit: Visit, orders: Iterable[str | None]) -> str:
    """So that nobody acts on another customer's; empty where the shop does not say."""
    orders = list(orders)
    buyer = (await buyers_of(visit.context.deps, visit.caller, orders)).of(*orders)
    return buyer.name if buyer else ""


def required(form: Mapping[str, str], name: str) -> str:
    """A hidden field. A form without it is none of ours."""
    if not form.get(name):
        raise InvalidInput(f"the form has no {name}; open it again", field=name)
    return form[name]
