"""What a customer is told before an action: its consequences, in whole sentences of the page's language."""

from collections.abc import Sequence
from functools import partial

from app.usecases.customer_actions import Action, Consequence
from app.usecases.customer_page import CustomerPage
from app.web.pages import formats
from app.web.pages.catalogue import Language

_Said = tuple[str, dict[str, object]]


def sentences(words: Language, action: Action, it: Consequence, page: CustomerPage) -> Sequence[str]:
    """The one that says what happens first, then what happens all the same."""
    say = partial(_say, words)
    found = [say(key, **values) for key, values in _said(action, it)]
    if it.charged is not None and action is not Action.RESUME:
        key = "do.end.last" if action is Action.END else "do.charged"
        found.append(say(key, day=it.charged.day, amount=it.charged.amount))
    if action in {Action.PAUSE, Action.END} and page.unpaid is not None:
        found.append(say("do.unpaid", day=page.unpaid.due))
    return found


def _said(action: Action, it: Consequence) -> Sequence[_Said]:
    match action:
        case Action.SKIP:
            return [("do.skip.sentence", {"day": it.day}), ("do.skip.following", {"day": it.next})]
        case Action.MOVE:
            return [("do.move.sentence", {"day": it.day, "before": it.before})]
        case Action.PAUSE if it.day is not None:
            return [("do.pause.until", {"day": it.day, "next": it.next})]
        case Action.PAUSE:
            return [("do.pause.open", {})]
        case Action.RESUME:
            return [("do.resume.sentence", {"day": it.next})]
        case Action.END:
            return [("do.end.sentence", {"day": it.day})]
        case Action.CANCEL:
            told: list[_Said] = [("do.cancel.sentence", {}), ("do.cancel.again", {})]
            if it.reserved is not None:
                told.insert(1, ("do.cancel.reserved", {"amount": it.reserved}))
            return told


def _say(words: Language, key: str, **values: object) -> str:
    return words.text(f"public.my.{key}", **{name: formats.any_of(words, value) for name, value in values.items()})
