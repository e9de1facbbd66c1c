"""Buying and renewing against every schema: those of Saleor that are at hand, and the part that is always there."""

from pathlib import Path

import pytest

from app.saleor.simulator.schema import COMPLETE
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator import baskets, test_drafts
from tests.saleor.simulator.buying import (
    CANCEL,
    COMPLETE_CHECKOUT,
    CREATE_CHECKOUT,
    DELIVER_BY,
    UPDATE_DRAFT,
    complete_draft,
    make_draft,
)
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble
from tests.saleor.simulator.payments import ask, make, payload, report
from tests.saleor.simulator.test_schema import VERSIONS

SCHEMAS: list[tuple[str, Path | None]] = [*((version, COMPLETE) for version in VERSIONS), ("3.23", None)]


@pytest.mark.parametrize(("version", "directory"), SCHEMAS)
async def test_purchase_and_renewal(double: AppDouble, version: str, directory: Path | None) -> None:
    if directory and not (directory / f"schema-{version}.graphql").is_file():
        pytest.skip(f"Saleor's schema {version} is not at hand")
    shop = Simulator(version=version, clients=double.client, schema_directory=directory)
    app = await shop.install(MANIFEST_URL)
    customer, method = shop.create_customer(), shop.create_shipping_method()
    payload(ask(shop, CREATE_CHECKOUT, customer, input=baskets.given(shop)))
    (checkout,) = shop.checkouts
    assert payload(ask(shop, DELIVER_BY, customer, id=checkout.id, method=method.shown_id))["errors"] == []
    assert payload(ask(shop, baskets.LOOK, id=checkout.id))["totalPrice"]["gross"] == {"amount": 447.0}
    report(shop, app, make(shop, app, checkout), "CHARGE_SUCCESS", "a", amount=447)
    assert payload(ask(shop, COMPLETE_CHECKOUT, customer, id=checkout.id))["errors"] == []
    draft = make_draft(shop, app, externalReference="vr:1")
    assert payload(ask(shop, UPDATE_DRAFT, app, id=draft.id, input={"customerNote": "x"}))["errors"] == []
    assert payload(ask(shop, test_drafts.LOOK, app, id=draft.id))["errors"] == []
    assert complete_draft(shop, app, draft)["errors"] == []
    assert payload(ask(shop, CANCEL, app, id=draft.id))["errors"] == []
