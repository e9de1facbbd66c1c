"""Whose money and whose rights: merchant accounts, installations, API clients, and who is calling."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from app.domain.charge import DEFAULT_LEAD_DAYS, DEFAULT_RETRY_DAYS
from app.domain.dunning import DEFAULT_DUNNING, DunningPolicy
from app.domain.errors import Forbidden, NotFound


class Environment(StrEnum):
    TEST = "test"
    LIVE = "live"


class ApiVersion(StrEnum):
    """The version of Vipps Recurring that an account speaks; both are views on the same data (facts: VIPPS 1.6)."""

    V2 = "v2"
    V3 = "v3"


@dataclass(frozen=True, slots=True)
class Installation:
    """One Saleor shop that installed the app. `shop` is its API URL, the tenant in every row and query."""

    shop: str
    app_id: str
    token: str | None = field(repr=False)
    jwks: str | None
    saleor_version: str | None
    installed_at: datetime
    active: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """A merchant account at Vipps, used for one channel of a shop, or for all without one of their own ("default")."""

    id: str
    shop: str
    channel: str
    environment: Environment
    msn: str
    client_id: str
    client_secret: str | None = field(repr=False)
    subscription_key: str | None = field(repr=False)
    api_version: ApiVersion = ApiVersion.V2
    retry_days: int = DEFAULT_RETRY_DAYS
    lead_days: int = DEFAULT_LEAD_DAYS
    agreement_url: str | None = None
    time_zone: str = "Europe/Oslo"
    dunning: DunningPolicy = DEFAULT_DUNNING
    complete_when_paid: bool = True  # False: a renewal order is completed when it is made, before it is paid
    price_notice_days: int = 14
    notify_url: str | None = None
    notify_secret: str | None = field(default=None, repr=False)


class Scope(StrEnum):
    """What an API client may do; staff and customers are given the same words by the kind of caller they are."""

    AGREEMENTS_READ = "agreements:read"
    AGREEMENTS_WRITE = "agreements:write"
    CHARGES_READ = "charges:read"
    CHARGES_WRITE = "charges:write"
    TOKEN_READ = "token:read"  # noqa: S105


@dataclass(frozen=True, slots=True)
class ApiClient:
    id: str
    shop: str
    name: str
    secret_hash: str = field(repr=False)
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None


class CallerKind(StrEnum):
    CUSTOMER = "customer"
    STAFF = "staff"
    CLIENT = "client"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody proven to belong to `shop`. `id` is a Saleor user id or an API client id."""

    kind: CallerKind
    shop: str
    id: str
    rights: frozenset[Scope]
    own_only: bool = False

    @property
    def actor(self) -> str:
        """How the audit names the caller: a kind and an id, never a person."""
        return f"{self.kind}:{self.id}"

    def require(self, scope: Scope) -> None:
        if scope not in self.rights:
            hint = {
                CallerKind.CUSTOMER: "customers cannot do this; ask the shop",
                CallerKind.STAFF: "it needs HANDLE_PAYMENTS"
                if "write" in scope
                else "it needs MANAGE_ORDERS or HANDLE_PAYMENTS",
                CallerKind.CLIENT: f"this API client has no scope {scope}",
                CallerKind.SYSTEM: f"{scope} is not granted",
            }
            raise Forbidden(hint[self.kind])

    def require_owner(self, customer: str | None, agreement_id: str) -> None:
        """Another customer's agreement is not refused but unknown, so that ids cannot be probed."""
        if self.own_only and (customer is None or customer != self.id):
            raise NotFound(f"no agreement {agreement_id:.60}", field="agreementId")


CUSTOMER_RIGHTS = frozenset({Scope.AGREEMENTS_READ, Scope.AGREEMENTS_WRITE, Scope.CHARGES_READ})
STAFF_READ_RIGHTS = frozenset({Scope.AGREEMENTS_READ, Scope.CHARGES_READ})
STAFF_MONEY_RIGHTS = STAFF_READ_RIGHTS | {Scope.AGREEMENTS_WRITE, Scope.CHARGES_WRITE}


def system(shop: str) -> Caller:
    """The app itself, acting on a signed event or a stored intent."""
    return Caller(CallerKind.SYSTEM, shop, "vipps-recurring", STAFF_MONEY_RIGHTS)


def staff(shop: str, user: str, permissions: frozenset[str]) -> Caller:
    """Raises Forbidden for a staff member with neither permission."""
    if "HANDLE_PAYMENTS" in permissions:
        return Caller(CallerKind.STAFF, shop, user, STAFF_MONEY_RIGHTS)
    if "MANAGE_ORDERS" in permissions:
        return Caller(CallerKind.STAFF, shop, user, STAFF_READ_RIGHTS)
    raise Forbidden("staff need MANAGE_ORDERS to read or HANDLE_PAYMENTS to move money")


def customer(shop: str, user: str) -> Caller:
    return Caller(CallerKind.CUSTOMER, shop, user, CUSTOMER_RIGHTS, own_only=True)
