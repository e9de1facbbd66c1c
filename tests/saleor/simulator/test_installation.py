"""An app is read, checked, written and handed its token; if it refuses, it is forgotten."""

import json

import httpx
import pytest

from app.saleor.simulator.installation import InstallationFailed
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.simulator import Simulator
from tests.saleor.simulator.doubles import MANIFEST_URL, AppDouble, manifest

APP_QUERY = {"query": "{ app { id identifier name isActive permissions { code } } }"}


def ask(shop: Simulator, token: str) -> object:
    return shop.execute(APP_QUERY, {"authorization": f"Bearer {token}"}).content["data"]["app"]


async def test_manifest_request_names_the_schema_version_and_the_shop(shop: Simulator, double: AppDouble) -> None:
    await shop.install(MANIFEST_URL)
    request = double.requests[0]
    assert (request.method, str(request.url)) == ("GET", MANIFEST_URL)
    assert request.headers["Saleor-Schema-Version"] == "3.23"
    assert request.headers["User-Agent"] == "Saleor/3.23"


async def test_handshake_hands_over_a_token_that_already_works(shop: Simulator, double: AppDouble) -> None:
    answers = []

    async def ask_back(token: str) -> None:
        answers.append(ask(shop, token))

    double.while_registering = ask_back
    app = await shop.install(MANIFEST_URL)
    assert double.requests[1].content == json.dumps({"auth_token": app.token}).encode()
    assert len(app.token) == 30
    codes = [{"code": "HANDLE_PAYMENTS"}, {"code": "MANAGE_ORDERS"}]
    expected = {"id": app.id, "identifier": "recurring.example", "name": "Recurring", "isActive": True}
    assert answers == [expected | {"permissions": codes}]


async def test_inactive_installation_has_a_dead_token(shop: Simulator, double: AppDouble) -> None:
    answers = []

    async def ask_back(token: str) -> None:
        answers.append(ask(shop, token))

    double.while_registering = ask_back
    app = await shop.install(MANIFEST_URL, activate=False)
    assert answers == [None]
    shop.activate_app(app)
    assert ask(shop, app.token) is not None


async def test_staff_may_grant_less_than_the_manifest_asks(shop: Simulator) -> None:
    app = await shop.install(MANIFEST_URL, ["MANAGE_ORDERS"])
    assert app.permissions == {"MANAGE_ORDERS"}


async def test_staff_cannot_grant_what_they_do_not_have(shop: Simulator) -> None:
    staff = shop.create_staff(permissions={"MANAGE_APPS"})
    with pytest.raises(InstallationFailed) as failure:
        await shop.install(MANIFEST_URL, by=staff)
    assert failure.value.codes == ["OUT_OF_SCOPE_PERMISSION"]
    assert shop.apps == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((400, {"error": {"message": "Not this shop."}}), "Not this shop."),
        ((500, {}), "App internal error (500). Try later or contact with app support."),
        ((403, {"error": {"code": "X"}}), "App internal error (403). Try later or contact with app support."),
    ],
)
async def test_refused_handshake_forgets_the_app(
    shop: Simulator, double: AppDouble, answer: tuple[int, object], text: str
) -> None:
    double.register = answer
    with pytest.raises(InstallationFailed, match=text.replace("(", r"\(").replace(")", r"\)")):
        await shop.install(MANIFEST_URL)
    assert shop.apps == []
    double.register = (200, {})
    assert (await shop.install(MANIFEST_URL)).id == "QXBwOjI="  # App:2: the number is used up


async def test_redirect_counts_as_success_and_is_not_followed(shop: Simulator, double: AppDouble) -> None:
    double.register = (302, {})
    app = await shop.install(MANIFEST_URL)
    assert app.is_installed
    assert len(double.requests) == 2


async def test_unreachable_app_fails_to_connect(shop: Simulator, double: AppDouble) -> None:
    async def hang(_token: str) -> None:
        raise httpx.ReadTimeout("slow")

    double.while_registering = hang
    with pytest.raises(InstallationFailed, match="Failed to connect to app"):
        await shop.install(MANIFEST_URL)


async def test_unreachable_manifest_is_tried_three_times(key: SigningKey) -> None:
    calls = []

    def fail(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        raise httpx.ConnectError("nobody there")

    shop = Simulator(clients=lambda: httpx.AsyncClient(transport=httpx.MockTransport(fail)), key=key)
    with pytest.raises(InstallationFailed) as failure:
        await shop.install(MANIFEST_URL)
    assert failure.value.codes == ["MANIFEST_URL_CANT_CONNECT"]
    assert len(calls) == 3


async def test_same_identifier_installs_only_once_until_deleted(shop: Simulator) -> None:
    first = await shop.install(MANIFEST_URL)
    with pytest.raises(InstallationFailed) as failure:
        await shop.install(MANIFEST_URL)
    assert failure.value.codes == ["UNIQUE"]
    shop.delete_app(first)
    second = await shop.install(MANIFEST_URL)
    assert (second.id, second.token) != (first.id, first.token)
    assert ask(shop, first.token) is None
    assert ask(shop, second.token) is not None


async def test_manifest_without_token_target_installs_from_3_23_on(double: AppDouble, key: SigningKey) -> None:
    double.manifest = manifest()
    del double.manifest["tokenTargetUrl"]
    await Simulator(version="3.23", clients=double.client, key=key).install(MANIFEST_URL)
    with pytest.raises(InstallationFailed) as failure:
        await Simulator(version="3.22", clients=double.client, key=key).install(MANIFEST_URL)
    assert [(p.field, p.code) for p in failure.value.problems] == [("tokenTargetUrl", "REQUIRED")]
