"""Problems that apps report: merged within their period, critical from their threshold on, dismissed by key or id."""

from typing import Any

import pytest

from app.saleor.simulator.models import App
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest
from tests.saleor.simulator.payments import ask, error_codes, payload

Shop = Simulator
CREATE = """mutation($input: AppProblemCreateInput!) { appProblemCreate(input: $input) {
  appProblem { id key message count isCritical } errors { field code } } }"""
DISMISS = "mutation($input: AppProblemDismissInput!) { appProblemDismiss(input: $input) { errors { field code } } }"
LOOK = "{ app { problems { key count isCritical dismissed { by userEmail } } } }"


@pytest.fixture
async def app(shop: Shop) -> App:
    if "AppProblem" not in shop.schema.type_map:
        pytest.skip("the complete schema is not at hand")
    return await shop.install(MANIFEST_URL)


def create(shop: Shop, app: App, key: str = "vipps-auth", **details: Any) -> Any:
    return payload(ask(shop, CREATE, app, input={"key": key, "message": "Vipps says no", **details}))


async def test_same_key_is_counted_within_the_sliding_period(shop: Shop, app: App) -> None:
    for expected in (1, 2, 3):
        assert create(shop, app, criticalThreshold=3)["appProblem"]["count"] == expected
        shop.clock.advance(59 * 60)
    assert [(p.count, p.is_critical) for p in shop.problems.of(app)] == [(3, True)]
    shop.clock.advance(2 * 60)
    assert create(shop, app)["appProblem"]["count"] == 1
    assert len(shop.problems.of(app)) == 2


async def test_threshold_may_rise_and_no_period_never_merges(shop: Shop, app: App) -> None:
    assert create(shop, app, criticalThreshold=1)["appProblem"]["isCritical"] is True
    assert create(shop, app, criticalThreshold=5)["appProblem"]["isCritical"] is False
    assert create(shop, app, aggregationPeriod=0)["appProblem"]["count"] == 1
    assert len(shop.problems.of(app)) == 2


@pytest.mark.parametrize(
    ("details", "field"),
    [
        ({"key": "ab"}, "key"),
        ({"key": "k" * 129}, "key"),
        ({"message": "no"}, "message"),
        ({"criticalThreshold": 0}, "criticalThreshold"),
        ({"aggregationPeriod": -1}, "aggregationPeriod"),
    ],
)
async def test_inputs_are_checked(shop: Shop, app: App, details: dict[str, Any], field: str) -> None:
    assert create(shop, app, **details)["errors"] == [{"field": field, "code": "INVALID"}]
    assert shop.problems.of(app) == []


async def test_long_messages_are_cut_and_the_oldest_of_a_hundred_goes(shop: Shop, app: App) -> None:
    create(shop, app, message="x" * 3000)
    assert len(shop.problems.of(app)[0].message) == 2048
    for number in range(100):
        create(shop, app, key=f"key-{number}")
    assert len(shop.problems.of(app)) == 100
    assert "vipps-auth" not in {problem.key_text for problem in shop.problems.of(app)}


async def test_dismissed_problems_are_not_counted_on(shop: Shop, app: App) -> None:
    create(shop, app)
    assert payload(ask(shop, DISMISS, app, input={"byApp": {"keys": ["vipps-auth"]}})) == {"errors": []}
    assert create(shop, app)["appProblem"]["count"] == 1
    assert payload(ask(shop, LOOK, app))["problems"] == [
        {"key": "vipps-auth", "count": 1, "isCritical": False, "dismissed": None},
        {"key": "vipps-auth", "count": 1, "isCritical": False, "dismissed": {"by": "APP", "userEmail": None}},
    ]


async def test_apps_dismiss_their_own_and_staff_any(shop: Shop, double: AppDouble, app: App) -> None:
    mine = create(shop, app)["appProblem"]["id"]
    double.manifest = manifest(id="other.example")
    other = await shop.install(MANIFEST_URL)
    by_id = {"byApp": {"ids": [mine]}}
    assert payload(ask(shop, DISMISS, other, input=by_id))["errors"] == [{"field": "ids", "code": "OUT_OF_SCOPE_APP"}]
    staff = shop.create_staff()
    assert payload(ask(shop, DISMISS, staff, input=by_id))["errors"] == [{"field": "byApp", "code": "INVALID"}]
    assert payload(ask(shop, DISMISS, staff, input={"byStaffWithIds": {"ids": [mine]}})) == {"errors": []}
    assert shop.problems.of(app)[0].dismissed_by is staff


async def test_inputs_of_a_dismissal_are_checked(shop: Shop, app: App) -> None:
    wrong = [({}, "REQUIRED"), ({"byApp": {}}, "REQUIRED"), ({"byApp": {"ids": ["a"], "keys": ["b"]}}, "INVALID")]
    wrong += [({"byApp": {"keys": ["k"] * 101}}, "INVALID")]
    for given, code in wrong:
        assert payload(ask(shop, DISMISS, app, input=given))["errors"][0]["code"] == code


@pytest.mark.usefixtures("app")
async def test_only_apps_report(shop: Shop) -> None:
    given = {"key": "key", "message": "message"}
    assert error_codes(ask(shop, CREATE, shop.create_staff(), input=given)) == ["PermissionDenied"]
    assert error_codes(ask(shop, CREATE, input=given)) == ["PermissionDenied"]
    assert error_codes(ask(shop, DISMISS, input={"byApp": {"keys": ["key"]}})) == ["PermissionDenied"]
