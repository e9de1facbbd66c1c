"""The operator's commands against a running app, as an operator types them."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo import Place, command, processes
from app.demo.errors import StoryError
from app.demo.office import Office, beside
from app.demo.story import Story
from app.vipps.simulator import DEFAULT_MERCHANT


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with processes() as place:
        yield place


@pytest.fixture(scope="module")
def story(place: Place) -> Iterator[Story]:
    """The app is installed, and one order of one subscriber is charged."""
    with httpx.Client(timeout=30) as http:
        story = Story(http, place, Office(beside(place), place.shop))
        story.console.quiet = True
        story.install()
        yield story


@pytest.fixture(scope="module")
def order(story: Story) -> dict[str, Any]:
    customer = story.sign_up()
    return story.order(customer, story.approve(customer)) | {"customer": customer}


def told(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that may fail."""
    line = [sys.executable, "-c", "from app.cli import main; main()", *arguments]
    return subprocess.run(line, env=dict(place.environment), capture_output=True, text=True, check=False)  # noqa: S603


def test_account_check_says_what_answers_and_keeps_one_webhook(place: Place, story: Story) -> None:
    [first] = json.loads(command(place, "account", "check", "--json"))
    assert (first["sign in"], first["uses"], first["v2"], first["v3"]) == ("ok", "v2", "ok", "ok")
    assert first["webhooks"] == "registered"
    [renewed] = json.loads(command(place, "account", "check", "--json", "--renew-webhooks"))
    assert renewed["webhooks"] == "1 made"
    assert len(story.get(f"{place.vipps}/simulator/webhooks")) == 2


def test_the_other_version_is_one_setting_away(place: Place, story: Story, order: dict[str, Any]) -> None:
    for version in ("v3", "v2"):
        command(
            place,
            *("account", "set", "--shop", story.shop, "--environment", "test", "--msn", DEFAULT_MERCHANT.msn),
            *("--client-id", DEFAULT_MERCHANT.client_id, "--api-version", version),
            *("--agreement-url", "http://127.0.0.1/my-subscription"),
            VIPPS_CLIENT_SECRET=DEFAULT_MERCHANT.client_secret,
            VIPPS_SUBSCRIPTION_KEY=DEFAULT_MERCHANT.subscription_key,
        )
        drafted = story.draft(order["customer"], productName=f"Coffee of {version}")
        story.http.post(drafted["confirmationUrl"], data={"decision": "approve"})
        placed = story.place(order["customer"], drafted["agreement"]["id"])
        story.wait_for("the charge", partial(_charge_of, story, placed["id"]))
        asked = story.graphql("{ authTest { ok apiVersion } }", {}, story.machine)
        assert asked == {"ok": True, "apiVersion": version.upper()}


def _charge_of(story: Story, order_id: str) -> Any:
    return story.find_order(order_id)["privateMetadata"].get("vipps-recurring.charge")


def test_reconcile_finds_what_somebody_else_made_and_writes_it_down(
    place: Place, story: Story, order: dict[str, Any], tmp_path: Path
) -> None:
    assert order
    made = _agreement_of_somebody_else(place)
    file = tmp_path / "findings.csv"
    done = told(place, "reconcile", "--csv", str(file), "--json")
    assert done.returncode == 1
    [row] = json.loads(done.stdout)
    assert (row["left"], row["trouble"]) == ("1", "")
    assert int(row["charges"]) >= 1
    [finding] = list(csv.DictReader(file.read_text().splitlines()))
    assert (finding["kind"], finding["agreement_id"], finding["repaired"]) == ("AGREEMENT_UNKNOWN_HERE", made, "False")
    assert finding["shop"] == story.shop


def _agreement_of_somebody_else(place: Place) -> str:
    """With the merchant's own keys, past the app."""
    keys = {
        "client_id": DEFAULT_MERCHANT.client_id,
        "client_secret": DEFAULT_MERCHANT.client_secret,
        "Ocp-Apim-Subscription-Key": DEFAULT_MERCHANT.subscription_key,
    }
    with httpx.Client(base_url=place.vipps) as http:
        token = http.post("/accesstoken/get", headers=keys).json()["access_token"]
        headers = {
            "Authorization": f"Bearer {token}",
            "Ocp-Apim-Subscription-Key": DEFAULT_MERCHANT.subscription_key,
            "Merchant-Serial-Number": DEFAULT_MERCHANT.msn,
            "Idempotency-Key": "somebody-else",
        }
        draft = {
            "pricing": {"currency": "NOK", "amount": 10000},
            "interval": {"unit": "MONTH", "count": 1},
            "productName": "Tea",
            "merchantRedirectUrl": "https://shop.example/",
            "merchantAgreementUrl": "https://shop.example/",
        }
        agreement_id: str = http.post("/recurring/v3/agreements", headers=headers, json=draft).json()["agreementId"]
        accepted = http.patch(
            f"/recurring/v3/agreements/{agreement_id}/accept",
            headers=headers | {"Idempotency-Key": "accept"},
            json={"phoneNumber": "4791234567"},
        )
        assert accepted.status_code == httpx.codes.NO_CONTENT
    return agreement_id


def test_explain_tells_the_story_of_an_orders_charge(place: Place, story: Story, order: dict[str, Any]) -> None:
    def called() -> list[str]:
        """The log of calls is written down a second later."""
        moments = json.loads(command(place, "explain", "--shop", story.shop, order["id"], "--json"))
        what = [it["what"] for it in moments]
        return what if "call.createCharge" in what else []

    what = story.wait_for("the call", called)
    assert what.index("charge.stored") < what.index("charge.sent")
    with pytest.raises(StoryError, match="no charge nothing-like-it"):
        command(place, "explain", "--shop", story.shop, "nothing-like-it")


def test_doctor_finds_nothing_wrong_with_the_demo(place: Place, story: Story) -> None:
    assert story.machine
    checks = {it["check"]: it for it in json.loads(command(place, "doctor", "--json"))}
    assert checks["database"]["result"] == "SQLite, up to date"
    assert checks["worker"]["result"] == "alive"
    assert "v2 ok, v3 ok" in checks[f"account default {DEFAULT_MERCHANT.msn}"]["result"]


def test_doctor_names_the_remedy_where_something_is_wrong(place: Place, tmp_path: Path) -> None:
    environment = dict(place.environment) | {"DATA_DIR": str(tmp_path)}
    broken = Place(place.app, place.vipps, place.saleor, environment)
    done = told(broken, "doctor", "--json")
    assert done.returncode == 1
    remedies = [it["remedy"] for it in json.loads(done.stdout) if it["remedy"]]
    assert remedies == ["run: vipps-recurring migrate"]


def test_nothing_was_given_up(place: Place, story: Story) -> None:
    assert story.machine
    assert json.loads(command(place, "failures", "list", "--json")) == []
    done = told(place, "failures", "retry", "no-such-letter")
    assert done.returncode == 1
    assert "no failure no-such-letter" in done.stderr


@pytest.mark.parametrize("arguments", [("worker",), ("serve", "--no-worker")])
def test_sqlite_is_told_to_belong_to_one_process(place: Place, arguments: tuple[str, ...]) -> None:
    done = told(place, *arguments)
    assert done.returncode == 1
    assert "SQLite belongs to one process" in done.stderr
