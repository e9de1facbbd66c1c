"""Why a subscription rests or has ended, in the reader's language: our books hold it as an English sentence of ours."""

import re
from collections.abc import Sequence

from app.domain.subscription import UNPAID, Subscription
from app.web.pages.catalogue import Language

_OWN = "dashboard.agreements.why."
_KNOWN: Sequence[tuple[re.Pattern[str], str]] = [
    (re.compile(text), key)
    for text, key in (
        (UNPAID, "held"),
        ("cancelled by the customer", "by_customer"),
        ("cancelled by the shop", "by_shop"),
        ("cancelled by the shop's system", "by_client"),
        ("cancelled by the app", "by_app"),
        ("the paid period is over", "over"),
        ("the customer removed it among the stored payment methods", "removed"),
        ("the agreement was stopped by the customer, in the Vipps app", "stopped_USER"),
        ("the agreement was stopped by the shop", "stopped_MERCHANT"),
        ("the agreement was stopped by Vipps", "stopped_ADMIN"),
        ("the agreement was stopped by the customer or the shop", "stopped"),
        (r"period (?P<number>\d+) stayed unpaid: (?P<reason>[A-Z_]+)", "unpaid"),
        (r"it was on hold for (?P<count>\d+) days, and a period stayed unpaid", "long_held"),
    )
]


def why(language: Language, subscription: Subscription | None, stopped_by: str | None = None) -> str:
    """Empty where there is no reason, or none that we know words for. Who stopped the agreement Vipps may have told
    after the subscription had ended.
    """
    if subscription is None or subscription.reason is None:
        return ""
    if subscription.moved_to:
        return language.text(_OWN + "moved")
    for pattern, key in _KNOWN:
        if found := pattern.fullmatch(subscription.reason):
            told = f"stopped_{stopped_by}"
            better = key == "stopped" and _OWN + told in language.texts
            return _said(language, told if better else key, found.groupdict())
    return ""


def _said(language: Language, key: str, found: dict[str, str]) -> str:
    values: dict[str, object] = {name: int(text) if text.isdecimal() else text for name, text in found.items()}
    if "reason" in found:
        values["reason"] = language.texts.get(f"dashboard.lists.reason.{found['reason']}", "")
    return language.text(_OWN + key, **values).strip()
