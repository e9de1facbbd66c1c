"""Saleor's permissions, who asks, and the refusal."""

from dataclasses import dataclass
from typing import Any

from app.saleor.simulator.models import App, User

# Code and the label that Saleor shows; the codes are those of 3.23.
LABELS = {
    "MANAGE_USERS": "Manage customers.",
    "MANAGE_STAFF": "Manage staff.",
    "IMPERSONATE_USER": "Impersonate user.",
    "MANAGE_APPS": "Manage apps",
    "MANAGE_OBSERVABILITY": "Manage observability",
    "MANAGE_CHECKOUTS": "Manage checkouts",
    "HANDLE_CHECKOUTS": "Handle checkouts",
    "HANDLE_TAXES": "Handle taxes",
    "MANAGE_TAXES": "Manage taxes",
    "MANAGE_CHANNELS": "Manage channels.",
    "MANAGE_CUSTOMER_TYPES_AND_ATTRIBUTES": "Manage customer types and attributes.",
    "MANAGE_DISCOUNTS": "Manage sales and vouchers.",
    "MANAGE_GIFT_CARD": "Manage gift cards.",
    "MANAGE_MENUS": "Manage navigation.",
    "MANAGE_ORDERS": "Manage orders.",
    "MANAGE_ORDERS_IMPORT": "Manage orders import.",
    "MANAGE_PAGES": "Manage pages.",
    "MANAGE_PAGE_TYPES_AND_ATTRIBUTES": "Manage page types and attributes.",
    "HANDLE_PAYMENTS": "Handle payments",
    "MANAGE_PLUGINS": "Manage plugins",
    "MANAGE_PRODUCTS": "Manage products.",
    "MANAGE_PRODUCT_TYPES_AND_ATTRIBUTES": "Manage product types and attributes.",
    "MANAGE_SHIPPING": "Manage shipping.",
    "MANAGE_SETTINGS": "Manage settings.",
    "MANAGE_TRANSLATIONS": "Manage translations.",
}
ALL = frozenset(LABELS)


def known(version: tuple[int, int]) -> frozenset[str]:
    return ALL if version >= (3, 23) else ALL - {"MANAGE_CUSTOMER_TYPES_AND_ATTRIBUTES"}


class PermissionDenied(Exception):
    """The caller lacks every one of the permissions that would do."""

    def __init__(self, *permissions: str) -> None:
        super().__init__(
            f"To access this path, you need one of the following permissions: {', '.join(permissions)}"
            if permissions
            else "You do not have permission to perform this action"
        )


@dataclass(frozen=True)
class Requestor:
    """Whoever sent the request, or whoever a payload is made for: an app, a user, or nobody."""

    principal: App | User | None = None
    permissions: frozenset[str] = frozenset()
    on_behalf_of: str | None = None  # global id of the app that a Dashboard token was made for

    @property
    def app(self) -> App | None:
        return self.principal if isinstance(self.principal, App) else None

    @property
    def user(self) -> User | None:
        return self.principal if isinstance(self.principal, User) else None

    def has_any(self, *permissions: str) -> bool:
        return not self.permissions.isdisjoint(permissions)

    def require_any(self, *permissions: str) -> None:
        if not self.has_any(*permissions):
            raise PermissionDenied(*permissions)

    def is_(self, thing: Any) -> bool:
        return self.principal is not None and self.principal is thing


NOBODY = Requestor()


def requestor_of(app: App) -> Requestor:
    return Requestor(app, app.permissions if app.is_active else frozenset())
