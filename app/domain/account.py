"""Whose money and whose rights: merchant accounts, installations, API clients, and who is calling."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from app.domain.agreement import TransactionType
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
    """One Saleor shop that installed the app. `shop` is its API URL, the tenant in every row and query; `shop_name` is
    what its customers know it by, where it has one.
    """

    shop: str
    app_id: str
    token: str | None = field(repr=False)
    jwks: str | None
    saleor_version: str | None
    installed_at: datetime
    active: bool = True
    shop_name: str | None = None


_EARLIER = "~"  # no channel's slug has one


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
    reserve_initial: bool = False  # what a product's first payment is where the product does not say
    complete_when_paid: bool = True  # False: a renewal order is completed when it is made, before it is paid
    price_notice_days: int = 14
    notify_url: str | None = None
    notify_secret: str | None = field(default=None, repr=False)

    @property
    def usual_initial(self) -> TransactionType:
        return TransactionType.RESERVE_CAPTURE if self.reserve_initial else TransactionType.DIRECT_CAPTURE

    @property
    def served(self) -> str:
        """The channel that it serves, or did until another account took its place."""
        return self.channel.partition(_EARLIER)[0]

    @property
    def is_earlier(self) -> bool:
        """Whether another account has taken its place: it keeps its agreements and gets no new ones."""
        return _EARLIER in self.channel

    def made_way(self) -> "Account":
        return replace(self, channel=f"{self.channel}{_EARLIER}{self.id[:8]}")

    def signs_in_like(self, other: "Account") -> bool:
        """Whether a test of the one's connection says what the other's would say."""
        names = ("environment", "msn", "client_id", "client_secret", "subscription_key", "api_version")
        return all(getattr(self, name) == getattr(other, name) for name in names)


class Scope(StrEnum):
    """What an API client may do; staff and customers are given the same words by the kind of caller they are."""

    AGREEMENTS_READ = "agreements:read"
    AGREEMENTS_WRITE = "agreements:write"
    CHARGES_READ = "charges:read"
    CHARGES_WRITE = "charges:write"
    TOKEN_READ = "token:read"  # noqa: S105


@dataclass(frozen=True, slots=True)
class ApiClient:
    """`used_at` is when it was let in, to the hour."""

    id: str
    shop: str
    name: str
    secret_hash: str = field(repr=False)
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None = None
    used_at: datetime | None = None


class CallerKind(StrEnum):
    CUSTOMER = "customer"
    STAFF = "staff"
    CLIENT = "client"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody proven to belong to `shop`. `id` is a Saleor user id or an API client id; `holds` is the one agreement
    whose signed link the caller has, who owns that and nothing else. `sees_people` has whoever may look at the shop's
    orders, where the customers' names are.
    """

    kind: CallerKind
    shop: str
    id: str
    rights: frozenset[Scope]
    own_only: bool = False
    holds: str | None = None
    sees_people: bool = False

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
        if not self.own_only:
            return
        owns = customer == self.id if self.holds is None else agreement_id == self.holds
        if not owns:
            raise NotFound(f"no agreement {agreement_id:.60}", field="agreementId")


CUSTOMER_RIGHTS = frozenset({Scope.AGREEMENTS_READ, Scope.AGREEMENTS_WRITE, Scope.CHARGES_READ})
STAFF_READ_RIGHTS = frozenset({Scope.AGREEMENTS_READ, Scope.CHARGES_READ})
STAFF_MONEY_RIGHTS = STAFF_READ_RIGHTS | {Scope.AGREEMENTS_WRITE, Scope.CHARGES_WRITE}


def system(shop: str) -> Caller:
    """The app itself, acting on a signed event or a stored intent."""
    return Caller(CallerKind.SYSTEM, shop, "vipps-recurring", STAFF_MONEY_RIGHTS)


def staff(shop: str, user: str, permissions: frozenset[str]) -> Caller:
    """Raises Forbidden for a staff member with neither permission."""
    orders = "MANAGE_ORDERS" in permissions
    if "HANDLE_PAYMENTS" in permissions:
        return Caller(CallerKind.STAFF, shop, user, STAFF_MONEY_RIGHTS, sees_people=orders)
    if orders:
        return Caller(CallerKind.STAFF, shop, user, STAFF_READ_RIGHTS, sees_people=True)
    raise Forbidden("staff need MANAGE_ORDERS to read or HANDLE_PAYMENTS to move money")


def customer(shop: str, user: str) -> Caller:
    return Caller(CallerKind.CUSTOMER, shop, user, CUSTOMER_RIGHTS, own_only=True)


def link_holder(shop: str, row_id: str, agreement_id: str) -> Caller:
    """Whoever has an agreement's signed link, a guest perhaps, acts as its owner; the audit says: by link."""
    return Caller(CallerKind.CUSTOMER, shop, f"link/{row_id}", CUSTOMER_RIGHTS, own_only=True, holds=agreement_id)
