"""Vipps' rules with numbers: due dates, amount limits, campaigns, deadlines and addresses."""

import calendar
import ipaddress
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.intents import NewAgreement
from app.vipps.simulator.models import Agreement, Campaign, Currency
from app.vipps.simulator.refusals import refuse

MINIMUM_AMOUNT: Mapping[Currency, int] = {"NOK": 100, "DKK": 1, "EUR": 1}
# What a merchant may suggest as the limit of a variable agreement.
MAXIMUM_SUGGESTION: Mapping[Currency, int] = {"NOK": 2_000_000, "DKK": 30_000_000, "EUR": 200_000}
PHONE = re.compile(r"[0-9]{8,15}")
_APP_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", re.ASCII)


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or that month's last day when it is shorter."""
    year, month_index = divmod(day.year * 12 + day.month - 1 + months, 12)
    month = month_index + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def interval_index(anchor: date, day: date, unit: str, count: int) -> int:
    """Which interval, counted from the agreement's first day, a day falls in."""
    if unit in {"DAY", "WEEK"}:
        return (day - anchor).days // (count * (7 if unit == "WEEK" else 1))
    months = count * (12 if unit == "YEAR" else 1)
    index = ((day.year - anchor.year) * 12 + day.month - anchor.month) // months
    # A later day of the month can still be ahead.
    return index - 1 if add_months(anchor, index * months) > day else index


def check_due(text: str, today: date, config: SimulatorConfig) -> date:
    try:
        due = date.fromisoformat(text)
    except ValueError:
        raise refuse(400, "There is no such date.", code="validation-error", field="due") from None
    if due < today + timedelta(days=config.due_lead_days):
        message = f"The due date must be at least {config.due_lead_days} day(s) ahead."
        raise refuse(400, message, code="charge-due-too-soon", field="due")
    if due > add_months(today, 12 * config.max_due_years):
        message = f"The due date must be at most {config.max_due_years} years ahead."
        raise refuse(400, message, code="charge-due-in-too-long", field="due")
    return due


def check_retry_days(days: int, config: SimulatorConfig) -> None:
    if days > config.max_retry_days:
        message = f"The number of retry days must be between 0 and {config.max_retry_days}."
        raise refuse(400, message, code="validation-error", field="retryDays")


def charge_interval(agreement: Agreement, due: date) -> int | None:
    """None where the agreement is paid per use."""
    if agreement.interval is None or agreement.interval_count is None:
        return None
    anchor = agreement.start or agreement.created
    return interval_index(anchor.date(), due, agreement.interval, agreement.interval_count)


def check_minimum(amount: int, currency: Currency, field: str) -> None:
    if amount < MINIMUM_AMOUNT[currency]:
        message = f"The amount must be at least {MINIMUM_AMOUNT[currency]}."
        raise refuse(400, message, code="validation-error", field=field)


def check_suggestion(amount: int, currency: Currency) -> None:
    if not MINIMUM_AMOUNT[currency] <= amount <= MAXIMUM_SUGGESTION[currency]:
        message = f"The limit must be between {MINIMUM_AMOUNT[currency]} and {MAXIMUM_SUGGESTION[currency]}."
        raise refuse(400, message, code="invalid-suggested-max-amount", field="suggestedMaxAmount")


def check_amount(agreement: Agreement, amount: int, due: date, config: SimulatorConfig) -> None:
    """A variable agreement is limited for each charge, any other by the sum of an interval, a flexible one not."""
    check_minimum(amount, agreement.currency, "amount")
    if agreement.is_flexible:
        return
    if agreement.suggested_max_amount is not None:
        too_high = amount > max(agreement.suggested_max_amount, agreement.max_amount or 0)
    else:
        interval = charge_interval(agreement, due)
        asked_before = 0 if interval is None else agreement.interval_totals.get(interval, 0)
        too_high = asked_before + amount > config.limit_factor * agreement.price
    if too_high:
        message = "The amount is higher than this agreement allows in one interval."
        raise refuse(400, message, code="amount.exceeds.expected.chargelimit", field="amount")


def check_draft(draft: NewAgreement, market: Currency, now: datetime, config: SimulatorConfig) -> None:
    """The rules that need more than one field or the time of day."""
    if draft.currency != market:
        message = f"This sales unit's currency is {market}."
        raise refuse(400, message, code="validation-error", field="currency")
    _check_pricing(draft)
    if draft.campaign is not None:
        if draft.suggested_max_amount is not None or draft.is_flexible:
            message = "Only a fixed price can have a campaign."
            raise refuse(400, message, code="validation-error", field="campaign")
        if draft.campaign.type == "FULL_FLEX_CAMPAIGN" and not config.allow_full_flex_campaign:
            message = "This sales unit may not use this type of campaign."
            raise refuse(403, message, code="unsupported-feature", field="campaign.type")
        check_campaign_end(draft.campaign, now)
    check_agreement_url(draft.agreement_url, config)
    if not draft.is_app:
        check_redirect_url(draft.redirect_url, config)
    if draft.skip_landing_page:
        check_landing_page(draft, config)


def _check_pricing(draft: NewAgreement) -> None:
    if draft.suggested_max_amount is not None:
        check_suggestion(draft.suggested_max_amount, draft.currency)
    elif not draft.is_flexible and (draft.price is None or draft.price < MINIMUM_AMOUNT[draft.currency]):
        message = f"The price must be at least {MINIMUM_AMOUNT[draft.currency]}."
        raise refuse(400, message, code="validation-error", field="price")
    if draft.initial_charge is not None:
        check_minimum(draft.initial_charge.amount, draft.currency, "initialCharge.amount")


def check_campaign_end(campaign: Campaign, now: datetime) -> None:
    if campaign.end <= now:
        field = "campaign.eventDate" if campaign.type == "EVENT_CAMPAIGN" else "campaign.end"
        raise refuse(400, "The campaign has ended already.", code="validation-error", field=field)


def check_agreement_url(url: str, config: SimulatorConfig) -> None:
    if not _is_web_url(url, config):
        message = "This is not an address that a browser can open from anywhere."
        raise refuse(400, message, code="merchantagreementurl.apacheurlvalidation", field="merchantAgreementUrl")


def check_https(url: str, field: str) -> None:
    """v3 takes https only; this machine's own address is let through, for there is no certificate for it."""
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise refuse(400, "The address must use https.", code="validation-error", field=field)


def check_redirect_url(url: str, config: SimulatorConfig) -> None:
    is_app_link = _APP_SCHEME.fullmatch(url) is not None and not url.lower().startswith(("http:", "https:"))
    if not is_app_link and not _is_web_url(url, config):
        message = "This is neither a web address nor an app link."
        raise refuse(400, message, code="merchantredirecturl.apacheurlvalidation", field="merchantRedirectUrl")


def check_landing_page(draft: NewAgreement, config: SimulatorConfig) -> None:
    if not config.allow_skip_landing_page:
        message = "This sales unit may not skip the landing page."
        raise refuse(403, message, code="unsupported-feature", field="skipLandingPage")
    if draft.phone is None or not PHONE.fullmatch(draft.phone):
        raise refuse(400, "Invalid phone number", code="validation-error", field="customerPhoneNumber")


def _is_web_url(url: str, config: SimulatorConfig) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"} or not host or re.search(r"\s", url):
        return False
    if host == "localhost":
        return config.allow_localhost_urls
    return "." in host.strip(".") or _ip_address(host) is not None


def is_loopback(host: str) -> bool:
    address = _ip_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
