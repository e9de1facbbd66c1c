"""The document in the Dashboard's frame: no data, and framed by this shop's Dashboards only."""

import httpx
import pytest

from app.saleor.simulator.site import Site
from tests.web.pages.visiting import Staff
from tests.world import SHOP, World, make_world

OPENED = {"domain": "shop.example", "saleorApiUrl": SHOP, "id": "QXBwOjQ=", "theme": "dark"}


def ancestors(answer: httpx.Response) -> str:
    return answer.headers["Content-Security-Policy"].rpartition("frame-ancestors ")[2]


async def test_the_shops_own_dashboard_may_frame_it(one_world: World) -> None:
    answer = await one_world.http.get("/app", params=OPENED)
    assert answer.status_code == 200
    assert ancestors(answer) == "https://shop.example"
    assert 'data-theme="dark"' in answer.text
    assert 'data-origins="https://shop.example"' in answer.text
    assert 'data-path="/home"' in answer.text
    assert "X-Frame-Options" not in answer.headers


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"saleorApiUrl": "https://other.example/graphql/"},
        {"saleorApiUrl": "https://evil.example; script-src *"},
        {"saleorApiUrl": "\x00"},
        {"saleorApiUrl": "x" * 5000},
        {"domain": "evil.example"},
    ],
)
async def test_nobody_frames_it_for_a_shop_that_has_not_installed_it(
    one_world: World, parameters: dict[str, str]
) -> None:
    answer = await one_world.http.get("/app", params=parameters)
    assert answer.status_code == 404
    assert ancestors(answer) == "'none'"
    assert "evil" not in answer.headers["Content-Security-Policy"]
    assert "<script" not in answer.text


async def test_parameters_may_be_repeated_or_the_old_one_alone(one_world: World) -> None:
    repeated = await one_world.http.get(f"/app?saleorApiUrl=&saleorApiUrl={SHOP}&saleorApiUrl={SHOP}")
    old = await one_world.http.get("/app", params={"domain": Site(SHOP, "3.23").domain})
    assert ancestors(repeated) == ancestors(old) == "https://shop.example"


async def test_a_shop_that_left_is_framed_by_nobody(one_world: World) -> None:
    one_world.saleor.delete_app(Staff(one_world).app)
    await one_world.drain()
    assert ancestors(await one_world.http.get("/app", params=OPENED)) == "'none'"


async def test_more_dashboards_are_named_by_a_setting(sqlite_url: str) -> None:
    setting = f"https://all.example,{SHOP}=https://mine.example,https://x.example/graphql/=https://other.example"
    world = make_world(sqlite_url, dashboard_origins=setting)
    await world.install()
    answer = await world.http.get("/app", params=OPENED)
    assert ancestors(answer) == "https://shop.example https://all.example https://mine.example"
    await world.context.close()


@pytest.mark.parametrize("setting", ["dashboard.example", "https://d.example/", "https://d.example;x", "*"])
def test_a_setting_that_is_no_origin_is_refused(setting: str, sqlite_url: str) -> None:
    with pytest.raises(ValueError, match="https://host"):
        make_world(sqlite_url, dashboard_origins=setting)


async def test_a_page_deeper_inside_opens_by_its_own_address(one_world: World) -> None:
    answer = await one_world.http.get("/app/accounts/new", params=OPENED)
    assert 'data-path="/accounts/new"' in answer.text
    attack = await one_world.http.get('/app/"><script>', params=OPENED)
    assert "<script>" not in attack.text


async def test_what_a_page_was_narrowed_down_to_comes_back_and_what_the_dashboard_adds_does_not(
    one_world: World,
) -> None:
    added = {"locale": "nb", "featureFlags[x][enabled]": "false", "appParams": "e30="}
    answer = await one_world.http.get("/app/overview", params=OPENED | added | {"period": "year"})
    assert 'data-path="/overview?period=year"' in answer.text
    twice = await one_world.http.get(f"/app/widgets/order?saleorApiUrl={SHOP}&orderId=&orderId=T3%3D&orderId=x")
    assert 'data-path="/widgets/order?orderId=T3%3D"' in twice.text


async def test_a_widget_has_no_way_to_other_pages(one_world: World) -> None:
    answer = await one_world.http.get("/app/widgets/order", params=OPENED | {"orderId": "T3JkZXI6MQ=="})
    assert 'data-mount="widget"' in answer.text
    assert "<nav" not in answer.text


async def test_the_document_is_the_same_for_everybody(one_world: World) -> None:
    nobody = await one_world.http.get("/app", params=OPENED)
    staff = await one_world.http.get("/app", params=OPENED, headers=Staff(one_world).headers())
    assert nobody.text == staff.text
    assert "Set-Cookie" not in nobody.headers


async def test_it_speaks_the_browsers_language_until_the_dashboard_says_which(one_world: World) -> None:
    answer = await one_world.http.get("/app", params=OPENED, headers={"Accept-Language": "nb-NO"})
    assert '<html lang="nb"' in answer.text
    assert "Hopp til innholdet" in answer.text


@pytest.mark.parametrize(("locale", "code"), [("nb", "nb"), ("nb-NO", "nb"), ("en", "en"), ("pl", "en"), ("", "nb")])
async def test_the_dashboards_language_counts_more_than_the_browsers(one_world: World, locale: str, code: str) -> None:
    headers = {"Accept-Language": "nb"}
    answer = await one_world.http.get("/app", params=OPENED | {"locale": locale}, headers=headers)
    assert f'<html lang="{code}"' in answer.text
