"""A story is told in words, says whose doing each thing was, and keeps what machines said for those who ask."""

import pytest

from app.usecases.charges import get_charge
from app.usecases.explaining import Moment
from app.web.pages.catalogue import language
from app.web.pages.story import said
from tests.builders import NOW
from tests.usecases.steps import MACHINE, a_collected_charge
from tests.web.pages.visiting import Staff, words
from tests.world import World


@pytest.mark.parametrize(
    ("what", "text", "english", "norwegian"),
    [
        ("charge.status", "DUE → CHARGED", "Due → Charged", "Forfalt → Trukket"),
        ("agreement.status", "ACTIVE → STOPPED: seen by client:vrc_1", "Active → Stopped", "Aktiv → Stoppet"),
        ("charge.status", "DUE → SOMETHING_NEW", "Due → SOMETHING_NEW", "Forfalt → SOMETHING_NEW"),
        ("refund.done", "amount=4950 currency=NOK refunded_before=0", "NOK 49.50", "49,50 kr"),
        ("refund.done", "amount=4950 currency=XXX", "", ""),
        ("subscription.ending", "status=ENDING ends_on=2026-04-28", "", ""),
    ],
)
def test_states_and_sums_are_said_as_the_language_says_them(what: str, text: str, english: str, norwegian: str) -> None:
    moment = Moment(NOW, what, "vipps:seen", text)
    for code, wanted in (("en", english), ("nb", norwegian)):
        assert said(language("dashboard", code), moment).replace("\N{NO-BREAK SPACE}", " ") == wanted


async def test_whoever_looked_has_not_done_it(one_world: World) -> None:
    move = await a_collected_charge(one_world)
    charge = await get_charge(one_world.context.deps, MACHINE, move.agreement_id, move.charge_id)
    answer = await Staff(one_world).get(f"/charges/{charge.id}")
    story = words(answer).partition("What happened")[2]
    assert "Vipps The charge changed" in story
    assert "Charged" in story.partition("The charge changed")[2]
    assert "seen by client:vrc_test" in story.partition("Details")[2]
    assert "API client vrc_test The charge changed" not in story
