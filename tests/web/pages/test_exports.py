"""Lists as files: what is filtered, all of it, in exact sums, harmless in a spreadsheet, and nobody else's."""

import csv
import io
from dataclasses import replace

import httpx
import pytest

from app.domain.account import Scope
from app.domain.charge import ChargeStatus
from app.domain.records import AuditEntry
from app.web.pages.exports import AGREEMENTS, AUDIT, CAME, CHARGES, CLIENTS, COMING, FAILURES
from tests.builders import NOW
from tests.usecases.renewing import subscribe
from tests.usecases.steps import a_subscriber, stored_charges
from tests.usecases.test_failures import a_given_up_charge
from tests.web.helpers import nothing_happens
from tests.web.pages.test_lists import OTHER, VIEWER, failed_period
from tests.web.pages.visiting import Staff
from tests.world import SHOP, World, make_world


def table(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_every_row_comes_once_in_order(world: World) -> None:
    who, staff = await a_subscriber(world), Staff(world, VIEWER)
    made = await stored_charges(world, who.agreement, 1_203)
    async with world.context.store.begin() as unit:
        await unit.charges.save_all([replace(it, status=ChargeStatus.FAILED) for it in made[:7]])
    rows = table(await staff.get("/charges.csv"))
    assert tuple(rows[0]) == CHARGES
    assert sorted(it["charge"] for it in rows) == sorted(it.order_id for it in made)
    assert {it["amount"] for it in rows} == {str(it.amount.to_decimal()) for it in made}
    assert len(table(await staff.get("/charges.csv?status=failed"))) == 7


async def test_a_line_says_what_it_was_for(one_world: World) -> None:
    who, staff = await failed_period(one_world), Staff(one_world, VIEWER)
    renewal, row = await who.renewal(), await who.row()
    [line] = table(await staff.get(f"/charges.csv?q={who.agreement}"))
    assert (line["amount"], line["currency"], line["status"], line["period"]) == ("199.00", "NOK", "FAILED", "1")
    assert (line["order"], line["order_number"], line["customer"]) == (
        renewal.order,
        renewal.order_number,
        row.customer,
    )
    [agreement] = table(await staff.get("/agreements.csv"))
    assert tuple(agreement) == AGREEMENTS
    assert (agreement["agreement"], agreement["interval"], agreement["subscription"]) == (
        who.agreement,
        "MONTH:1",
        "ACTIVE",
    )


@pytest.mark.parametrize("name", ["=1+1", "+47", "-1", "@here"])
async def test_a_formula_is_a_text(one_world: World, name: str) -> None:
    await a_subscriber(one_world, product_name=name)
    [line] = table(await Staff(one_world).get("/agreements.csv"))
    assert line["product"] == f"'{name}"


FILES = (
    *("/charges.csv", "/agreements.csv", "/runs/renewals.csv", "/overview.csv", "/overview/due.csv"),
    *("/failures.csv", "/clients.csv"),
)


async def test_files_belong_to_a_shop_and_to_whoever_may_look(sqlite_url: str) -> None:
    world = make_world(sqlite_url, [SHOP, OTHER])
    await world.install()
    await world.install(world.shops[OTHER])
    await world.set_account()
    await stored_charges(world, (await subscribe(world)).agreement, 2)
    stranger = Staff(world)
    stranger.shop = world.shops[OTHER]
    stranger.user = stranger.shop.create_staff("s@other.example", VIEWER)
    async with nothing_happens(world):
        for path in FILES:
            assert table(await stranger.get(path)) == []
            assert (await Staff(world, frozenset({"MANAGE_PRODUCTS"})).get(path)).status_code == 403
    await world.context.close()


async def test_the_audit_is_a_file_too_with_every_entry_once(world: World) -> None:
    staff = Staff(world, VIEWER)
    entries = [
        AuditEntry(SHOP, "staff:VXNlcjox", "charge.withdrawn", f"chr-{number}", NOW, "NEW", "CANCELLED", "=1+1")
        for number in range(1_203)
    ]
    async with world.context.store.begin() as unit:
        await unit.audit.add([*entries, replace(entries[0], shop=OTHER, object_id="theirs")])
    told = table(await staff.get("/audit.csv"))
    rows = [it for it in told if it["what"] == "charge.withdrawn"]
    assert [it["object"] for it in rows] == [it.object_id for it in reversed(entries)]
    assert tuple(rows[0]) == AUDIT
    assert (rows[0]["who"], rows[0]["what"], rows[0]["reason"]) == ("staff:VXNlcjox", "charge.withdrawn", "'=1+1")
    assert [it["object"] for it in table(await staff.get("/audit.csv?object=chr-7"))] == ["chr-7"]
    assert table(await staff.get("/audit.csv?who=nobody")) == []
    assert 'data-download="audit.csv"' in (await staff.get("/audit")).text


async def test_the_figures_of_the_overview_are_files(world: World) -> None:
    who, staff = await failed_period(world), Staff(world, VIEWER)
    charge = await who.charge()
    rows = table(await staff.get("/overview.csv?period=year"))
    assert tuple(rows[0]) == CAME
    failed = [it for it in rows if it["failures"] != "0"]
    assert [(it["currency"], it["failed"], it["failures"]) for it in failed] == [("NOK", "199.00", "1")]
    assert failed[0]["from"][:7] == charge.due.isoformat()[:7]
    coming = table(await staff.get("/overview/due.csv"))
    assert tuple(coming[0]) == COMING
    assert {(it["currency"], it["payments"], it["amount"]) for it in coming} == {("NOK", "1", "199.00")}
    shown = (await staff.get("/overview?period=year")).text
    assert "/app/overview.csv?period=year" in shown
    assert 'data-download="due.csv"' in shown


async def test_what_was_given_up_and_who_may_ask_are_files(world: World) -> None:
    order_id, staff = await a_given_up_charge(world), Staff(world)
    [letter] = table(await staff.get("/failures.csv"))
    assert tuple(letter) == FAILURES
    assert (letter["kind"], letter["object"]) == ("CHARGE", order_id)
    assert 'data-download="failures.csv"' in (await staff.get("/failures")).text
    await world.client(Scope.CHARGES_READ, Scope.AGREEMENTS_READ)
    [client] = table(await staff.get("/clients.csv"))
    assert tuple(client) == CLIENTS
    assert (client["scopes"], client["revoked"]) == ("agreements:read charges:read", "")
    assert "secret" not in " ".join(client)
    assert 'data-download="clients.csv"' in (await staff.get("/clients")).text
