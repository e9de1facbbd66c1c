"""App problems by our client: staff see them where Saleor knows them, and nothing goes wrong where it does not."""

import pytest

from app.domain.errors import Rejected
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL
from tests.saleor.wire import Wire, installed

KEY = "renewal-out-of-stock:1"


async def test_a_problem_is_shown_counted_and_dismissed_where_saleor_knows_problems(any_shop: Simulator) -> None:
    wire, app = Wire(any_shop), await any_shop.install(MANIFEST_URL)
    installation = installed(app, "3.22.67" if any_shop.site.version == "3.22" else any_shop.site.full_version)
    for hours in (1, 23):
        await wire.client.raise_problem(installation, KEY, "Order 17 cannot be made: out of stock")
        any_shop.clock.advance(hours * 3600)
    if any_shop.site.number < (3, 22):
        assert wire.bodies == []
        await wire.client.dismiss_problem(installation, KEY)
        assert wire.bodies == []
        return
    [problem] = any_shop.problems.of(app)
    assert (problem.key_text, problem.count, problem.is_critical) == (KEY, 2, False)
    assert problem.message == "Order 17 cannot be made: out of stock"
    await wire.client.dismiss_problem(installation, KEY)
    assert problem.dismissed_by is app
    await wire.client.dismiss_problem(installation, KEY)


@pytest.mark.parametrize("version", ["3.22.35", "3.22.0", "3.21.69", None, "unknown"])
async def test_a_saleor_that_is_too_old_is_not_asked(shop: Simulator, wire: Wire, version: str | None) -> None:
    installation = installed(await shop.install(MANIFEST_URL), version or "")
    await wire.client.raise_problem(installation, KEY, "out of stock")
    await wire.client.dismiss_problem(installation, KEY)
    assert wire.bodies == []


async def test_long_words_are_cut_and_wrong_keys_refused(shop: Simulator, wire: Wire) -> None:
    app = await shop.install(MANIFEST_URL)
    await wire.client.raise_problem(installed(app), KEY, "x" * 3000)
    assert shop.problems.of(app)[0].message == "x" * 2048
    with pytest.raises(Rejected):
        await wire.client.raise_problem(installed(app), "", "out of stock")
