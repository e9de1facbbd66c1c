"""An installed app, an order of a hundred crowns, and a transaction of the app for it."""

import pytest

from app.saleor.simulator.models import App, Order
from app.saleor.simulator.simulator import Simulator
from app.saleor.simulator.transaction_models import TransactionItem
from tests.saleor.simulator.doubles import MANIFEST_URL
from tests.saleor.simulator.payments import make


@pytest.fixture
async def app(shop: Simulator) -> App:
    return await shop.install(MANIFEST_URL)


@pytest.fixture
def order(shop: Simulator) -> Order:
    return shop.create_order(email="a@example.com", amount=100)


@pytest.fixture
def transaction(shop: Simulator, app: App, order: Order) -> TransactionItem:
    return make(shop, app, order, name="Vipps", availableActions=["CANCEL"])
