"""The shop itself: who buys, what is sold, which apps are installed."""

import secrets

from app.saleor.simulator import permissions
from app.saleor.simulator.action_requests import ActionRequests
from app.saleor.simulator.base import Metadata, Record
from app.saleor.simulator.checkouts import Checkouts
from app.saleor.simulator.clock import Clock
from app.saleor.simulator.models import Address, App, Channel, User
from app.saleor.simulator.problems import Problems
from app.saleor.simulator.records import Principal
from app.saleor.simulator.sessions import Sessions
from app.saleor.simulator.stored_methods import StoredMethods
from app.saleor.simulator.transactions import Transactions


class Shop(Checkouts):
    """A whole shop."""

    # Made by whoever can reach the apps.
    sessions: Sessions
    action_requests: ActionRequests
    stored_methods: StoredMethods

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.transactions = Transactions(self)
        self.problems = Problems(self)

    def find(self, global_id: str) -> Record | None:
        return super().find(global_id) or self.transactions.find(global_id)

    def add_channel(self, slug: str, name: str, currency: str, country: str, *, auto_confirms: bool = True) -> Channel:
        channel = Channel(
            number=self.next_number("Channel"),
            slug=slug,
            name=name,
            currency=currency,
            country=country,
            auto_confirms=auto_confirms,
        )
        self.channels[slug] = channel
        return channel

    def create_customer(
        self,
        email: str = "ola.nordmann@example.com",
        first_name: str = "Ola",
        last_name: str = "Nordmann",
        *,
        metadata: Metadata | None = None,
        private_metadata: Metadata | None = None,
    ) -> User:
        user = self._create_user(email, first_name, last_name)
        user.metadata.update(metadata or {})
        user.private_metadata.update(private_metadata or {})
        user.address = Address(
            number=self.next_number("Address"),
            first_name=first_name,
            last_name=last_name,
            street_address_1="Karl Johans gate 1",
            city="OSLO",
            postal_code="0154",
            phone="+4740000000",
        )
        self.emit("CUSTOMER_CREATED", user)
        return user

    def create_staff(
        self,
        email: str = "admin@example.com",
        permissions: frozenset[str] | set[str] = permissions.ALL,
        first_name: str = "Kari",
        last_name: str = "Ansatt",
    ) -> User:
        user = self._create_user(email, first_name, last_name)
        user.is_staff = True
        user.permissions = frozenset(permissions)
        self.emit("STAFF_CREATED", user)
        return user

    def _create_user(self, email: str, first_name: str, last_name: str) -> User:
        if any(user.email == email for user in self.users):
            raise ValueError(f"There is already a user with the e-mail address {email}.")
        user = User(
            number=self.next_number("User", 46),
            email=email,
            first_name=first_name,
            last_name=last_name,
            joined_at=self.clock.now(),
            token_key=secrets.token_urlsafe(9),
        )
        self.users.append(user)
        return user

    def delete_customer(self, user: User, *, by: Principal | None = None) -> None:
        """By staff or an app, or by the customer. Orders stay, without the user; baskets go with them."""
        self.users.remove(user)
        for order in (order for order in self.orders if order.user is user):
            order.user = None
        self.checkouts = [checkout for checkout in self.checkouts if checkout.user is not user]
        self.emit("ACCOUNT_DELETED" if by is user else "CUSTOMER_DELETED", user, by)

    def set_app_active(self, app: App, *, active: bool, by: Principal | None = None) -> None:
        app.is_active = active
        self.emit("APP_STATUS_CHANGED", app, by)

    def delete_app(self, app: App, by: Principal | None = None) -> None:
        """The token dies at once; the row stays a day longer, hidden."""
        app.is_active = False
        app.removed_at = self.clock.now()
        self.emit("APP_DELETED", app, by)
