"""The pages for people."""

import re

import pytest

from app.vipps.simulator import Simulator
from tests.vipps.simulator.helpers import Caller, a_draft, an_active_agreement, an_initial_charge


async def _confirmation_path(caller: Caller, **changes: object) -> str:
    url = (await caller.send("POST", "", a_draft(**changes))).json()["vippsConfirmationUrl"]
    return str(url).removeprefix("http://vipps.test")


async def test_the_approval_page_shows_what_is_asked_for(caller: Caller) -> None:
    path = await _confirmation_path(caller, initialCharge=an_initial_charge(), productName="Kaffe <b>&</b> te")

    page = await caller.http.get(path)

    assert page.status_code == 200
    assert "Kaffe &lt;b&gt;&amp;&lt;/b&gt; te" in page.text
    assert re.search(r"250,00 kr\s+every 1 month", page.text)
    assert "99,00 kr" in page.text
    assert "simulated" in page.text


@pytest.mark.parametrize(("decision", "status"), [("approve", "ACTIVE"), ("reject", "STOPPED")])
async def test_the_users_answer_leads_back_to_the_shop(
    simulator: Simulator, caller: Caller, decision: str, status: str
) -> None:
    path = await _confirmation_path(caller)

    answer = await caller.http.post(path, data={"decision": decision})
    again = await caller.http.post(path, data={"decision": decision})

    assert (answer.status_code, answer.headers["location"]) == (303, "https://shop.example.com/return/1")
    assert [agreement.status for agreement in simulator.agreements] == [status]
    assert again.status_code == 409
    assert "waits for no answer" in (await caller.http.get(path)).text


async def test_a_guessed_token_approves_nothing(simulator: Simulator, caller: Caller) -> None:
    await caller.drafted()
    path = "/dwo-api-application/v1/deeplink/vippsgateway?v=2&token=guess"

    assert (await caller.http.get(path)).status_code == 404
    assert (await caller.http.post(path, data={"decision": "approve"})).status_code == 404
    assert [agreement.status for agreement in simulator.agreements] == ["PENDING"]


async def test_an_answer_must_be_yes_or_no(simulator: Simulator, caller: Caller) -> None:
    response = await caller.http.post(await _confirmation_path(caller), data={"decision": "perhaps"})

    assert response.status_code == 400
    assert [agreement.status for agreement in simulator.agreements] == ["PENDING"]


async def test_the_overview_shows_agreements_and_charges_and_moves_time(simulator: Simulator, caller: Caller) -> None:
    agreement_id = await an_active_agreement(simulator, caller)
    await caller.charged(agreement_id, due="2026-03-11", orderId="coffee-1")
    before = (await caller.http.get("/")).text

    await caller.http.post("/pages/advance", data={"by": "day"})
    after = (await caller.http.get("/")).text
    await caller.http.post("/pages/advance", data={"by": "month"})
    stopped = await caller.http.post("/pages/stop", data={"agreement_id": agreement_id})

    assert agreement_id in before
    assert re.search(r"coffee-1, 2026-03-11: 250,00 kr DUE", before)
    assert re.search(r"coffee-1, 2026-03-11: 250,00 kr CHARGED", after)
    assert simulator.clock.now().isoformat() == "2026-04-11T12:00:00+00:00"
    assert stopped.status_code == 303
    assert simulator.agreement(agreement_id).status == "STOPPED"


async def test_the_overview_of_nothing_says_so(caller: Caller) -> None:
    assert "no agreements yet" in (await caller.http.get("/")).text
