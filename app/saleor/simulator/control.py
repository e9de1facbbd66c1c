"""JSON endpoints by which a demonstration in another process plays customer, staff and network."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, HTTPException

from app.saleor.simulator.catalog_models import Product, ProductVariant
from app.saleor.simulator.control_bodies import (
    Absence,
    AppChoice,
    Charge,
    Faults,
    Install,
    Move,
    NewCustomer,
    NewMetadata,
    NewOrder,
    NewProduct,
    NewStaff,
    Replay,
    TokenWish,
)
from app.saleor.simulator.deliveries import Mischief
from app.saleor.simulator.installation import InstallationFailed
from app.saleor.simulator.models import App, Extension, Order, User
from app.saleor.simulator.permissions import ALL, PermissionDenied
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.views import View, app_view, delivery_view, order_view, product_view, user_view


class Control:
    """The endpoints' functions over one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._shop = simulator

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/simulator")
        posts: dict[str, Callable[..., Any]] = {
            "/install": self.install,
            "/uninstall": self.uninstall,
            "/deactivate": self.deactivate,
            "/activate": self.activate,
            "/customers": self.create_customer,
            "/staff": self.create_staff,
            "/products": self.create_product,
            "/orders": self.create_order,
            "/orders/{id}/metadata": self.update_metadata,
            "/orders/{id}/touch": self.touch,
            "/orders/{id}/charge": self.charge,
            "/orders/{id}/cancel": self.cancel,
            "/webhooks/replay": self.replay,
            "/webhooks/faults": self.faults,
            "/webhooks/deliver": self.deliver,
            "/tokens": self.token,
            "/keys/rotate": self.rotate,
            "/clock": self.move_clock,
            "/away": self.go_away,
            "/back": self.come_back,
        }
        gets: dict[str, Callable[..., Any]] = {
            "/apps": self.apps,
            "/orders": self.orders,
            "/deliveries": self.deliveries,
        }
        for path, endpoint in posts.items():
            router.post(path)(endpoint)
        for path, endpoint in gets.items():
            router.get(path)(endpoint)
        return router

    # Apps

    async def install(self, body: Install) -> View:
        try:
            app = await self._shop.install(body.manifest_url, body.permissions, activate=body.activate)
        except InstallationFailed as error:
            problems = [{"field": p.field, "code": p.code, "message": p.message} for p in error.problems]
            raise HTTPException(400, {"message": str(error), "problems": problems}) from error
        return app_view(app)

    async def uninstall(self, body: AppChoice) -> View:
        app = self._app(body.app)
        self._shop.delete_app(app)
        return app_view(app)

    async def deactivate(self, body: AppChoice) -> View:
        app = self._app(body.app)
        self._shop.deactivate_app(app)
        return app_view(app)

    async def activate(self, body: AppChoice) -> View:
        app = self._app(body.app)
        self._shop.activate_app(app)
        return app_view(app)

    async def apps(self) -> list[View]:
        return [app_view(app) for app in self._shop.apps if app.removed_at is None]

    def _app(self, wanted: str | None) -> App:
        present = [app for app in self._shop.apps if app.removed_at is None and wanted in (None, app.id)]
        if not present:
            raise HTTPException(404, "No such app is installed.")
        return present[-1]

    # People, products, orders

    async def create_customer(self, body: NewCustomer) -> View:
        return user_view(_or_400(lambda: self._shop.create_customer(**body.model_dump())))

    async def create_staff(self, body: NewStaff) -> View:
        permissions = ALL if body.permissions is None else frozenset(body.permissions)
        return user_view(_or_400(lambda: self._shop.create_staff(body.email, permissions)))

    async def create_product(self, body: NewProduct) -> View:
        return product_view(_or_400(lambda: self._shop.create_product(**body.model_dump())))

    async def create_order(self, body: NewOrder) -> View:
        if body.channel not in self._shop.channels:
            raise HTTPException(400, f"There is no channel {body.channel}.")
        customer = self._find(body.customer, User) if body.customer else None
        lines = None if body.lines is None else [(self._sellable(x.variant), x.quantity) for x in body.lines]
        details = body.model_dump(exclude={"customer", "lines"})
        return order_view(_or_400(lambda: self._shop.create_order(customer, lines, **details)))

    async def orders(self) -> list[View]:
        return [order_view(order) for order in self._shop.orders]

    async def update_metadata(self, id: str, body: NewMetadata) -> View:  # noqa: A002 - the name in the path
        order = self._order(id)
        self._shop.update_order_metadata(order, body.metadata)
        return order_view(order)

    async def touch(self, id: str) -> View:  # noqa: A002 - the name in the path
        order = self._order(id)
        self._shop.touch_order(order)
        return order_view(order)

    async def charge(self, id: str, body: Charge) -> View:  # noqa: A002 - the name in the path
        order = self._order(id)
        self._shop.mark_charged(order, body.amount)
        return order_view(order)

    async def cancel(self, id: str) -> View:  # noqa: A002 - the name in the path
        order = self._order(id)
        self._shop.cancel_order(order)
        return order_view(order)

    def _order(self, id_or_token: str) -> Order:
        order = self._shop.order(id_or_token)
        if order is None:
            raise HTTPException(404, "There is no such order.")
        return order

    def _sellable(self, global_id: str) -> Product | ProductVariant:
        found: Product | ProductVariant = self._find(global_id, Product, ProductVariant)
        return found

    def _find(self, global_id: str, *kinds: type[Any]) -> Any:
        record = self._shop.find(global_id)
        if not isinstance(record, kinds):
            raise HTTPException(404, f"There is no {kinds[-1].__name__} {global_id}.")
        return record

    # Webhooks

    async def deliveries(self) -> list[View]:
        return [delivery_view(delivery) for delivery in self._shop.deliveries]

    async def replay(self, body: Replay) -> View:
        try:
            return delivery_view(self._shop.replay(body.delivery))
        except LookupError as error:
            raise HTTPException(404, str(error)) from error

    async def faults(self, body: Faults) -> View:
        events, subjects = (None if names is None else frozenset(names) for names in (body.events, body.subjects))
        self._shop.mischief = Mischief(
            body.duplicate, body.drop, body.reorder, events, subjects, body.lose_answers, body.bad_gateway
        )
        return body.model_dump()

    async def deliver(self) -> list[View]:
        return [delivery_view(delivery) for delivery in await self._shop.deliver()]

    # Tokens, keys, time and absence

    async def token(self, body: TokenWish) -> View:
        try:
            return {"kind": body.kind, "token": self._mint(body)}
        except PermissionDenied as error:
            raise HTTPException(400, str(error)) from error

    def _mint(self, wish: TokenWish) -> str:
        tokens = self._shop.tokens
        user = self._user(wish.user, staff=not wish.kind.startswith(("customer", "expired")))
        match wish.kind:
            case "customer" | "staff":
                return tokens.access(user, audience=wish.audience)
            case "customer-refresh" | "staff-refresh":
                return tokens.refresh(user)
            case "expired":
                return tokens.expired(user)
            case "dashboard":
                return tokens.dashboard(user, self._app(wish.app))
            case "extension":
                return tokens.extension(user, self._extension(wish))
            case _:
                raise HTTPException(400, f"There is no kind of token called {wish.kind}.")

    def _user(self, wanted: str | None, *, staff: bool) -> User:
        users = [u for u in self._shop.users if (wanted is None and u.is_staff is staff) or wanted in (u.id, u.email)]
        if not users:
            raise HTTPException(404, "There is no such user.")
        return users[0]

    def _extension(self, wish: TokenWish) -> Extension:
        extensions = [e for e in self._app(wish.app).extensions if wish.extension in (None, e.id)]
        if not extensions:
            raise HTTPException(404, "The app has no such extension.")
        return extensions[0]

    async def rotate(self) -> View:
        return {"kid": self._shop.rotate_key().kid}

    async def move_clock(self, body: Move) -> View:
        return {"now": self._shop.clock.advance(body.advance).isoformat()}

    async def go_away(self, body: Absence) -> View:
        self._shop.go_away(body.seconds, body.status)
        return body.model_dump()

    async def come_back(self) -> View:
        self._shop.come_back()
        return {"away": self._shop.away}


def _or_400(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ValueError as error:
        raise HTTPException(400, str(error)) from error
