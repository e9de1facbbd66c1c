"""Vipps' rules with numbers: due dates, amount limits, campaigns, deadlines and addresses."""

import calendar
import ipaddress
import re
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from app.vipps.simulator.config import SimulatorConfig
from app.vipps.simulator.models import Agreement
from app.vipps.simulator.payloads import DraftAgreement, read_date_time
from app.vipps.simulator.refusals import refuse

MINIMUM_PRICE = 100
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


def charge_interval(agreement: Agreement, due: date) -> int:
    anchor = agreement.start or agreement.created
    return interval_index(anchor.date(), due, agreement.interval, agreement.interval_count)


def check_amount(agreement: Agreement, amount: int, due: date, config: SimulatorConfig) -> None:
    """A variable agreement is limited for each charge, any other by the sum of an interval."""
    if agreement.suggested_max_amount is not None:
        too_high = amount > max(agreement.suggested_max_amount, agreement.max_amount or 0)
    else:
        asked_before = agreement.interval_totals.get(charge_interval(agreement, due), 0)
        too_high = asked_before + amount > config.limit_factor * agreement.price
    if too_high:
        message = "The amount is higher than this agreement allows in one interval."
        raise refuse(400, message, code="amount.exceeds.expected.chargelimit", field="amount")


def check_draft(draft: DraftAgreement, now: datetime, config: SimulatorConfig) -> None:
    """The rules that need more than one field or the time of day."""
    if draft.variable_amount is None and (draft.price is None or draft.price < MINIMUM_PRICE):
        raise refuse(400, f"The price must be at least {MINIMUM_PRICE}.", code="validation-error", field="price")
    if draft.campaign is not None:
        if draft.variable_amount is not None:
            message = "A variable amount and a campaign exclude each other."
            raise refuse(400, message, code="validation-error", field="campaign")
        check_campaign_end(read_date_time(draft.campaign.end), now)
    check_agreement_url(draft.merchant_agreement_url, config)
    if not draft.is_app:
        check_redirect_url(draft.merchant_redirect_url, config)
    if draft.skip_landing_page:
        check_landing_page(draft, config)


def check_campaign_end(end: datetime, now: datetime) -> None:
    if end <= now:
        raise refuse(400, "The campaign has ended already.", code="validation-error", field="campaign.end")


def check_agreement_url(url: str, config: SimulatorConfig) -> None:
    if not _is_web_url(url, config):
        message = "This is not an address that a browser can open from anywhere."
        raise refuse(400, message, code="merchantagreementurl.apacheurlvalidation", field="merchantAgreementUrl")


def check_redirect_url(url: str, config: SimulatorConfig) -> None:
    is_app_link = _APP_SCHEME.fullmatch(url) is not None and not url.lower().startswith(("http:", "https:"))
    if not is_app_link and not _is_web_url(url, config):
        message = "This is neither a web address nor an app link."
        raise refuse(400, message, code="merchantredirecturl.apacheurlvalidation", field="merchantRedirectUrl")


def check_landing_page(draft: DraftAgreement, config: SimulatorConfig) -> None:
    if not config.allow_skip_landing_page:
        message = "This sales unit may not skip the landing page."
        raise refuse(403, message, code="unsupported-feature", field="skipLandingPage")
    if draft.customer_phone_number is None:
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
    return "." in host.strip(".") or _is_ip_address(host)


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
