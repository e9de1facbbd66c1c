"""What a merchant account may be set to, as far as renewals follow it."""

from typing import Any

import pytest

from app.domain.dunning import DunningPolicy, GiveUp
from app.domain.errors import InvalidInput
from tests.usecases.steps import raw, the_account
from tests.world import World

GOOD = {"notify_url": "https://mail.example/notices", "notify_secret": "a-long-enough-secret"}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"time_zone": "Europe/Olso"}, "time-zone"),
        ({"time_zone": "../etc/passwd"}, "time-zone"),
        ({"time_zone": ""}, "time-zone"),
        (GOOD | {"notify_url": "http://mail.example/notices"}, "notify-url"),
        (GOOD | {"notify_url": "https://user:word@mail.example/"}, "notify-url"),
        (GOOD | {"notify_url": "mail.example"}, "notify-url"),
        (GOOD | {"notify_secret": None}, "notify-secret"),
        (GOOD | {"notify_secret": "short"}, "notify-secret"),
    ],
)
async def test_what_makes_no_sense_is_refused(one_world: World, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await one_world.set_account(**wrong)
    assert refused.value.field == field


async def test_what_was_set_is_kept_with_its_secret_sealed_and_untold(one_world: World) -> None:
    policy = DunningPolicy(retry_after=(1, 2), then=GiveUp.CANCEL, cancel_after=30)
    await one_world.set_account(**GOOD, time_zone="Europe/Helsinki", dunning=policy, complete_when_paid=False)
    account = await the_account(one_world)
    assert (account.time_zone, account.dunning, account.complete_when_paid) == ("Europe/Helsinki", policy, False)
    assert (account.notify_url, account.notify_secret) == (GOOD["notify_url"], GOOD["notify_secret"])
    told = str(await raw(one_world, "account")) + str(await raw(one_world, "audit"))
    assert GOOD["notify_secret"] not in told
    assert "again after 1, 2, then CANCEL, ended after 30 days" in told
