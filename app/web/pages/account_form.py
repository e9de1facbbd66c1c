"""The form of a merchant account: what it shows, what was typed into it, and what is wrong with that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.domain.account import Account, ApiVersion, Environment
from app.domain.charge import DEFAULT_LEAD_DAYS, DEFAULT_RETRY_DAYS
from app.domain.dunning import DEFAULT_DUNNING, DunningPolicy, GiveUp
from app.domain.errors import InvalidInput

SECRETS = ("client_secret", "subscription_key", "notify_secret")
_MOST_DIGITS = 4


@dataclass(slots=True)
class AccountForm:
    """`values` are what stands in the fields, `wrong` the names of those that cannot be taken.

    Secrets never show: `lost` names those that were typed and have to be typed again.
    """

    values: Mapping[str, str]
    wrong: set[str] = field(default_factory=set)
    lost: frozenset[str] = frozenset()


def empty_form() -> AccountForm:
    return AccountForm(
        {
            "channel": "default",
            "environment": Environment.TEST,
            "api_version": ApiVersion.V2,
            "retry_days": str(DEFAULT_RETRY_DAYS),
            "lead_days": str(DEFAULT_LEAD_DAYS),
            "time_zone": "Europe/Oslo",
            "first_payment": "collect",
            "complete_orders": "when-paid",
            "price_notice_days": "14",
            **dict.fromkeys(("msn", "client_id", "agreement_url", "notify_url"), ""),
            **_dunning_values(DEFAULT_DUNNING),
        }
    )


def form_of(account: Account) -> AccountForm:
    return AccountForm(
        {
            "channel": account.channel,
            "environment": account.environment,
            "msn": account.msn,
            "client_id": account.client_id,
            "api_version": account.api_version,
            "retry_days": str(account.retry_days),
            "lead_days": str(account.lead_days),
            "agreement_url": account.agreement_url or "",
            "time_zone": account.time_zone,
            "first_payment": "reserve" if account.reserve_initial else "collect",
            "complete_orders": "when-paid" if account.complete_when_paid else "at-once",
            "price_notice_days": str(account.price_notice_days),
            "notify_url": account.notify_url or "",
            **_dunning_values(account.dunning),
        }
    )


def _dunning_values(policy: DunningPolicy) -> dict[str, str]:
    return {
        "dunning_retry": ", ".join(str(days) for days in policy.retry_after),
        "dunning_then": policy.then,
        "dunning_cancel_after": str(policy.cancel_after or ""),
    }


def typed(form: Mapping[str, str], shown: AccountForm) -> AccountForm:
    """The same form with what was typed, except for secrets."""
    values = {name: form.get(name, value) for name, value in shown.values.items()}
    return AccountForm(values, lost=frozenset(name for name in SECRETS if form.get(name)))


def changes_of(form: Mapping[str, str], typed_form: AccountForm) -> dict[str, Any]:
    """What the account becomes, by its fields; what cannot be read is noted as wrong and left out."""
    read = _Reader(form, typed_form.wrong)
    changes: dict[str, Any] = {
        "environment": read("environment", Environment),
        "msn": read("msn", str),
        "client_id": read("client_id", str),
        "api_version": read("api_version", ApiVersion),
        "retry_days": read("retry_days", _days),
        "lead_days": read("lead_days", _days),
        "agreement_url": read("agreement_url", str) or None,
        "time_zone": read("time_zone", str),
        "reserve_initial": read("first_payment", _one_of({"collect": False, "reserve": True})),
        "complete_when_paid": read("complete_orders", _one_of({"when-paid": True, "at-once": False})),
        "price_notice_days": read("price_notice_days", _days),
        "notify_url": read("notify_url", str) or None,
        "dunning": _policy(read),
    }
    secrets = {name: form[name] for name in SECRETS if form.get(name)}
    return {name: value for name, value in changes.items() if name not in typed_form.wrong} | secrets


class _Reader:
    """Reads one field after the other, and goes on where one is wrong, so that all of them are told at once."""

    def __init__(self, form: Mapping[str, str], wrong: set[str]) -> None:
        self._form = form
        self.wrong = wrong

    def __call__(self, name: str, kind: Callable[[str], Any]) -> Any:
        try:
            return kind(self._form.get(name, ""))
        except (ValueError, KeyError, InvalidInput):
            self.wrong.add(name)
            return None


def _policy(read: _Reader) -> DunningPolicy | None:
    retry_after = read("dunning_retry", _list_of_days)
    then = read("dunning_then", GiveUp)
    cancel_after = read("dunning_cancel_after", lambda text: _days(text) if text else None)
    if read.wrong & {"dunning_retry", "dunning_then", "dunning_cancel_after"}:
        return None
    try:
        DunningPolicy(retry_after, then)
    except InvalidInput:
        read.wrong.add("dunning_retry")
        return None
    try:
        return DunningPolicy(retry_after, then, cancel_after)
    except InvalidInput:
        read.wrong.add("dunning_cancel_after")
        return None


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise ValueError(text)
    return int(text)


def _list_of_days(text: str) -> tuple[int, ...]:
    return tuple(_days(part.strip()) for part in text.replace(";", ",").split(",") if part.strip())


def _one_of(choices: Mapping[str, bool]) -> Callable[[str], bool]:
    """Raises KeyError for anything else."""
    return choices.__getitem__
