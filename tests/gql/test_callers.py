"""Who may do what: every operation for every caller, and that a refusal leaves database and Vipps as they were."""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from app.domain.account import Scope
from app.domain.records import Finding, FindingKind, InboxEntry
from app.saleor.simulator.keys import SigningKey
from app.saleor.simulator.models import User
from tests.gql.helpers import (
    AGREEMENT_CANCEL,
    AGREEMENT_UPDATE,
    CHARGE_MAKE,
    CHARGES,
    ITEM_RESULTS,
    OTHER,
    Scene,
    a_scene,
    a_subscription_of,
    ask,
    forged,
    moving,
    two_shops,
)
from tests.web.helpers import nothing_happens, outside, saleor_hosts, stored, writes
from tests.world import AGREEMENT_CREATE, SHOP, World, basic, bearer

LETTER = "00000000-0000-4000-8000-00000000dead"
RETRY = "mutation ($ids: [ID!]!) { failureRetry(ids: $ids) { successes errors { code } } }"
RESULTS = f"{{ {ITEM_RESULTS} }}"
MOVE = "mutation ($id: ID!, $date: Date!) { agreementMove(id: $id, date: $date) { errors { field code message } } }"
UPDATE_TERMS = AGREEMENT_UPDATE.replace("agreementUpdate(", "agreementUpdateTerms: agreementUpdate(")
OK, NONE, ANONYMOUS, DENIED = "ok", "none of yours", "UNAUTHENTICATED", "PERMISSION_DENIED"

# Reads first; what ends the agreement comes last, so that each operation finds what it needs.
STAFF_READS = ("failures", "findings")
SHOP_READS = ("renewalForecast", "renewals")
READS = ("authTest", "agreement", "agreements", "charge", "charges", "chargeExplain", *SHOP_READS, *STAFF_READS)
WRITES = (
    "failureRetry",
    "agreementCreate",
    "agreementUpdate",
    "chargeMake",
    "chargeCancel",
    "chargeRefund",
    "chargeCapture",
    "chargeRetry",
)
# The last two end it; names that are no operation's are other ways to call one.
OF_SUBSCRIPTIONS = (
    "agreementPause",
    "agreementResume",
    "agreementSkip",
    "agreementMove",
    "agreementUpdateTerms",
    "agreementLinkRevoke",
    "agreementCancelLater",
    "agreementCancel",
)
OPERATIONS = (*READS, *WRITES, *OF_SUBSCRIPTIONS)

RIGHT_SCOPE = {
    "agreement": Scope.AGREEMENTS_READ,
    "agreements": Scope.AGREEMENTS_READ,
    "charge": Scope.CHARGES_READ,
    "charges": Scope.CHARGES_READ,
    "chargeExplain": Scope.CHARGES_READ,
    "agreementCreate": Scope.AGREEMENTS_WRITE,
    "agreementUpdate": Scope.AGREEMENTS_WRITE,
    "chargeMake": Scope.CHARGES_WRITE,
    "chargeCancel": Scope.CHARGES_WRITE,
    "chargeRefund": Scope.CHARGES_WRITE,
    "chargeCapture": Scope.CHARGES_WRITE,
    **dict.fromkeys(SHOP_READS, Scope.AGREEMENTS_READ),
    **dict.fromkeys(OF_SUBSCRIPTIONS, Scope.AGREEMENTS_WRITE),
}


def request(scene: Scene, operation: str) -> tuple[str, dict[str, Any]]:
    agreement = scene.agreement
    draft = {
        "price": 10_000,
        "productName": "Tea",
        "interval": {"unit": "MONTH"},
        "redirectUrl": "https://shop.example/thanks",
    }

    def charge(charge_id: str, **more: Any) -> dict[str, Any]:
        return {"charges": [{"agreementId": agreement, "chargeId": charge_id} | more]}

    price: dict[str, Any] = {"charges": [{"agreementId": agreement, "price": 1000, "description": "x"}]}
    one = "query ($agreement: ID!, $charge: ID!) { charge(agreementId: $agreement, chargeId: $charge) { id } }"
    requests: dict[str, tuple[str, dict[str, Any]]] = {
        "authTest": ("{ authTest { ok error { message } } }", {}),
        "agreement": ("query ($id: ID!) { agreement(id: $id) { id customerId } }", {"id": agreement}),
        "agreements": ("{ agreements { totalCount edges { node { id } } } }", {}),
        "charge": (one, {"agreement": agreement, "charge": scene.paid}),
        "charges": (CHARGES, {"ids": [agreement]}),
        "chargeExplain": ("query ($id: ID!) { chargeExplain(id: $id) { moments { what text } } }", {"id": scene.paid}),
        "failures": ("{ failures { id kind what objectId reason attempts } }", {}),
        "findings": ("{ findings { kind agreementId ours theirs repaired } }", {}),
        "failureRetry": (RETRY, {"ids": [LETTER]}),
        "agreementCreate": (AGREEMENT_CREATE, {"input": draft}),
        "agreementUpdate": (AGREEMENT_UPDATE, {"id": agreement, "input": {"productName": "Tea"}}),
        "agreementCancel": (AGREEMENT_CANCEL, {"ids": [agreement]}),
        "agreementCancelLater": (
            f"mutation ($ids: [ID!]!) {{ agreementCancelLater: agreementCancel(ids: $ids, at: PERIOD_END) {RESULTS} }}",
            {"ids": [agreement]},
        ),
        "agreementPause": (f"mutation ($ids: [ID!]!) {{ agreementPause(ids: $ids) {RESULTS} }}", {"ids": [agreement]}),
        "agreementResume": (
            f"mutation ($ids: [ID!]!) {{ agreementResume(ids: $ids) {RESULTS} }}",
            {"ids": [agreement]},
        ),
        "agreementSkip": (f"mutation ($ids: [ID!]!) {{ agreementSkip(ids: $ids) {RESULTS} }}", {"ids": [agreement]}),
        "agreementLinkRevoke": (
            f"mutation ($ids: [ID!]!) {{ agreementLinkRevoke(ids: $ids) {RESULTS} }}",
            {"ids": [agreement]},
        ),
        "agreementMove": (MOVE, {"id": agreement, "date": "2026-05-02"}),
        "agreementUpdateTerms": (UPDATE_TERMS, {"id": agreement, "input": {"shippingMethodId": "U2hpcHBpbmc6MQ=="}}),
        "renewalForecast": ('{ renewalForecast(from: "2026-03-01", to: "2026-12-31") { count total { minor } } }', {}),
        "renewals": ("{ renewals { totalCount edges { node { agreementId } } } }", {}),
        "chargeMake": (CHARGE_MAKE, price),
        "chargeCancel": (moving("chargeCancel"), charge(scene.due)),
        "chargeRefund": (moving("chargeRefund"), charge(scene.paid, description="x", price=500)),
        "chargeCapture": (moving("chargeCapture"), charge(scene.reserved)),
        "chargeRetry": (f"mutation ($ids: [ID!]!) {{ chargeRetry(ids: $ids) {RESULTS} }}", {"ids": [scene.paid]}),
    }
    return requests[operation]


def outcome(operation: str, answer: dict[str, Any]) -> str:
    """OK, or in one word why not."""
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["code"])
    found = answer["data"][operation]
    if found is None or found == []:
        return NONE
    if isinstance(found, list):
        return OK
    if found.get("totalCount") == 0 or found.get("count") == 0:
        return NONE
    if found.get("errors"):
        code = str(found["errors"][0]["code"])
        if operation == "chargeRetry" and code == "ILLEGAL_STATE":
            return OK  # it was let in as far as to the charge, which has not failed
        return NONE if code == "NOT_FOUND" else code
    return OK if found.get("ok", True) else str(found["error"])


def expected(default: str, **other: str) -> dict[str, str]:
    return {operation: other.get(operation, default) for operation in OPERATIONS}


NOBODY = expected(ANONYMOUS)
CUSTOMER = expected(
    OK,
    authTest=DENIED,
    chargeExplain=DENIED,
    renewalForecast=DENIED,
    renewals=DENIED,
    failures=DENIED,
    findings=DENIED,
    failureRetry=DENIED,
    agreementUpdate=DENIED,
    agreementUpdateTerms=DENIED,
    agreementLinkRevoke=DENIED,
    chargeMake=DENIED,
    chargeCancel=DENIED,
    chargeRefund=DENIED,
    chargeCapture=DENIED,
    chargeRetry=DENIED,
)
# A stranger may make agreements of their own and sees nothing of this one.
OTHER_CUSTOMER = CUSTOMER | dict.fromkeys(
    [
        *("agreement", "agreements", "charge", "charges"),
        *(name for name in OF_SUBSCRIPTIONS if CUSTOMER[name] == OK),
    ],
    NONE,
)
# Failures and findings are for people: a machine would only retry for ever what a person has to look at.
CLIENT = expected(OK, failures=DENIED, findings=DENIED, failureRetry=DENIED)
READER = expected(DENIED, **dict.fromkeys(READS, OK))
ELSEWHERE = expected(NONE, authTest=OK, agreementCreate=OK)

Proof = Callable[[Scene], Awaitable[Mapping[str, str]]]


async def _nobody(_scene: Scene) -> Mapping[str, str]:
    return {}


async def _customer(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.customer))


async def _customer_in_the_other_header(scene: Scene) -> Mapping[str, str]:
    return {"Authorization-Bearer": scene.shop.tokens.access(scene.customer)}


async def _other_customer(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.shop.create_customer("kari@example.com")))


async def _staff_without_permission(scene: Scene) -> Mapping[str, str]:
    return scene.staff("MANAGE_PRODUCTS", "MANAGE_USERS")


async def _staff_who_read(scene: Scene) -> Mapping[str, str]:
    return scene.staff("MANAGE_ORDERS")


async def _staff_who_move_money(scene: Scene) -> Mapping[str, str]:
    return scene.staff("HANDLE_PAYMENTS")


async def _other_shops_staff(scene: Scene) -> Mapping[str, str]:
    return scene.staff("HANDLE_PAYMENTS", "MANAGE_ORDERS", shop=scene.other)


async def _other_shops_customer(scene: Scene) -> Mapping[str, str]:
    """Users of two shops may have the same id."""
    return bearer(scene.other.tokens.access(scene.other.create_customer(), user_id=scene.customer.id))


async def _client(scene: Scene) -> Mapping[str, str]:
    return await scene.world.client()


async def _other_shops_client(scene: Scene) -> Mapping[str, str]:
    return await scene.world.client(shop=OTHER)


async def _refresh(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.refresh(scene.customer))


async def _expired(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.expired(scene.customer))


async def _expired_staff(scene: Scene) -> Mapping[str, str]:
    user = _staff(scene)
    past = int(scene.world.time.now.timestamp()) - 60
    return bearer(scene.shop.tokens.dashboard(user, scene.app, exp=past))


def _of_app(scene: Scene, app: Any) -> Mapping[str, str]:
    key = scene.shop.key
    claims = key.read_token(scene.shop.tokens.dashboard(_staff(scene), scene.app))
    assert claims is not None
    return bearer(key.sign_token(claims | {"app": app}))


def _staff(scene: Scene) -> User:
    return scene.shop.create_staff(f"staff-{len(scene.shop.users)}@example.com")


async def _of_another_app(scene: Scene) -> Mapping[str, str]:
    return _of_app(scene, "QXBwOjk5OQ==")


async def _of_no_app(scene: Scene) -> Mapping[str, str]:
    return _of_app(scene, None)


async def _of_the_other_shops_app(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.other.tokens.dashboard(scene.other.create_staff("x@example.com"), scene.other_app, iss=SHOP))


async def _customer_as_thirdparty(scene: Scene) -> Mapping[str, str]:
    claims: dict[str, Any] = {"type": "thirdparty", "app": scene.app.id, "user_permissions": ["HANDLE_PAYMENTS"]}
    return bearer(scene.shop.tokens.access(scene.customer, **claims))


async def _staff_access(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(_staff(scene)))


async def _invented_type(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.customer, type="confirm-email-change"))


async def _without_type(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.customer, type=None))


async def _without_expiry(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.customer, exp=None))


async def _without_user(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.customer, user_id=None))


@contextmanager
def forging(scene: Scene) -> Iterator[None]:
    """Tokens signed with somebody else's key that calls itself the shop's."""
    scene.shop.tokens.key = forged(scene.shop.key)
    yield
    scene.shop.tokens.key = scene.shop.key


async def _forged(scene: Scene) -> Mapping[str, str]:
    with forging(scene):
        return bearer(scene.shop.tokens.access(scene.customer))


async def _forged_staff(scene: Scene) -> Mapping[str, str]:
    with forging(scene):
        return bearer(scene.shop.tokens.dashboard(_staff(scene), scene.app))


async def _signed_by_the_other_shop(scene: Scene) -> Mapping[str, str]:
    """Shop B's own key, and a token that says it is from shop A."""
    return bearer(scene.other.tokens.access(scene.other.create_customer(), iss=scene.shop.api_url))


async def _of_an_unknown_shop(scene: Scene) -> Mapping[str, str]:
    return bearer(scene.shop.tokens.access(scene.customer, iss="https://evil.example/graphql/"))


async def _garbage(_scene: Scene) -> Mapping[str, str]:
    return bearer("a.b.c")


async def _wrong_secret(_scene: Scene) -> Mapping[str, str]:
    return basic("vrc_unknown", "secret")


async def _app_token(scene: Scene) -> Mapping[str, str]:
    """The app's own token for Saleor opens nothing here."""
    return bearer(scene.app.token)


CALLERS: dict[str, tuple[Proof, dict[str, str]]] = {
    "nobody": (_nobody, NOBODY),
    "customer": (_customer, CUSTOMER),
    "customer, Authorization-Bearer": (_customer_in_the_other_header, CUSTOMER),
    "other customer": (_other_customer, OTHER_CUSTOMER),
    "staff without permission": (_staff_without_permission, expected(DENIED)),
    "staff with MANAGE_ORDERS": (_staff_who_read, READER),
    "staff with HANDLE_PAYMENTS": (_staff_who_move_money, expected(OK)),
    "other shop's staff": (_other_shops_staff, ELSEWHERE | {"agreements": NONE}),
    "other shop's customer": (_other_shops_customer, OTHER_CUSTOMER),
    "API client": (_client, CLIENT),
    "other shop's API client": (
        _other_shops_client,
        ELSEWHERE | {"failures": DENIED, "findings": DENIED, "failureRetry": DENIED},
    ),
}

# All of these are nobody.
IMPOSTORS: dict[str, Proof] = {
    "refresh token": _refresh,
    "expired token": _expired,
    "expired staff token": _expired_staff,
    "token of another app": _of_another_app,
    "staff token of no app": _of_no_app,
    "customer with a staff token's claims": _customer_as_thirdparty,
    "staff access token": _staff_access,
    "another type of token": _invented_type,
    "token without type": _without_type,
    "token without expiry": _without_expiry,
    "token without user": _without_user,
    "forged token": _forged,
    "forged staff token": _forged_staff,
    "token signed by another shop": _signed_by_the_other_shop,
    "staff token signed by another shop": _of_the_other_shops_app,
    "token of an unknown shop": _of_an_unknown_shop,
    "garbage": _garbage,
    "wrong secret": _wrong_secret,
    "the app's own token": _app_token,
}


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    world = await two_shops(sqlite_url)
    await _give_up_on_a_webhook(world)
    scene = await a_scene(world)
    await a_subscription_of(scene)
    yield scene
    await world.context.close()
    assert world.unforeseen == []


async def _give_up_on_a_webhook(world: World) -> None:
    """A dead letter of the first shop, and a difference between its books and Vipps'."""
    now = world.time.now
    entry = InboxEntry(LETTER, SHOP, "saleor", "order_created", "order_created/1", "{}", now)
    async with world.context.store.begin() as unit:
        account = (await unit.accounts.of_shop(SHOP))[0]
        finding = Finding(SHOP, account.id, FindingKind.CHARGE_AMOUNT, "agr_1", "1", "2", repaired=False, found_at=now)
        await unit.inbox.add(entry)
        await unit.inbox.dead(SHOP, LETTER, now, "given up")
        await unit.findings.replace(SHOP, account.id, [finding])


@pytest.mark.parametrize("name", CALLERS)
async def test_every_operation_answers_this_caller_as_the_table_says(scene: Scene, name: str) -> None:
    proof, table = CALLERS[name]
    headers = await proof(scene)
    seen = {}
    for operation in OPERATIONS:
        before = await state(scene.world)
        seen[operation] = outcome(operation, await ask(scene.world, *request(scene, operation), headers))
        if seen[operation] != OK:
            assert await state(scene.world) == before, f"{operation} was refused and changed something"
    assert seen == table


async def state(world: World) -> Any:
    """A refused read may have been looked up at Vipps; nothing more."""
    return await stored(world), list(world.vipps.ledger), writes(world)


async def test_whoever_proves_nothing_is_nobody(scene: Scene) -> None:
    seen = {}
    async with nothing_happens(scene.world):
        for name, proof in IMPOSTORS.items():
            headers = await proof(scene)
            for operation in OPERATIONS:
                code = outcome(operation, await ask(scene.world, *request(scene, operation), headers))
                # An unknown key is looked up at the shop once; until that may be done again the answer is to wait.
                if code not in ({ANONYMOUS, "UNAVAILABLE"} if "signed by another shop" in name else {ANONYMOUS}):
                    seen[(name, operation)] = code
    assert seen == {}


async def test_an_api_client_needs_the_scope_of_the_operation_and_no_other(scene: Scene) -> None:
    for operation, right in RIGHT_SCOPE.items():
        without = await scene.world.client(*(scope for scope in Scope if scope is not right))
        async with nothing_happens(scene.world):
            assert outcome(operation, await ask(scene.world, *request(scene, operation), without)) == DENIED
        client = await scene.world.client(right)
        assert outcome(operation, await ask(scene.world, *request(scene, operation), client)) == OK


async def test_a_refused_caller_makes_no_call_to_vipps_at_all(scene: Scene) -> None:
    customer = await _customer(scene)
    for headers in ({}, await _refresh(scene), await _staff_without_permission(scene)):
        async with nothing_happens(scene.world):
            for operation in OPERATIONS:
                assert outcome(operation, await ask(scene.world, *request(scene, operation), headers)) != OK
    async with nothing_happens(scene.world):
        for operation in ("authTest", "agreementUpdate", "chargeMake", "chargeCancel", "chargeRefund", "chargeCapture"):
            assert outcome(operation, await ask(scene.world, *request(scene, operation), customer)) == DENIED


async def test_a_second_shop_on_the_same_merchant_account_reaches_no_agreement_of_the_first(database_url: str) -> None:
    """On both databases: it is a row of the first shop that keeps the second one out."""
    world = await two_shops(database_url)
    scene = await a_scene(world)
    await a_subscription_of(scene)
    for headers in (
        await _other_shops_client(scene),
        await _other_shops_staff(scene),
        await _other_shops_customer(scene),
    ):
        async with nothing_happens(world):
            for operation in OPERATIONS:
                if operation in {"authTest", "agreementCreate"}:
                    continue
                assert outcome(operation, await ask(world, *request(scene, operation), headers)) in {NONE, DENIED}
    assert outcome("agreement", await ask(world, *request(scene, "agreement"), await _client(scene))) == OK
    await world.context.close()


async def test_a_customer_makes_agreements_for_nobody_else(scene: Scene) -> None:
    headers = await _customer(scene)
    query, variables = request(scene, "agreementCreate")
    theirs = scene.shop.create_customer("kari@example.com")
    async with nothing_happens(scene.world):
        answer = await ask(scene.world, query, {"input": variables["input"] | {"customerId": theirs.id}}, headers)
    assert outcome("agreementCreate", answer) == DENIED

    answer = await ask(scene.world, query, variables, headers)
    made = answer["data"]["agreementCreate"]["agreement"]["id"]
    owner = await ask(
        scene.world, "query ($id: ID!) { agreement(id: $id) { customerId } }", {"id": made}, await _client(scene)
    )
    assert owner["data"]["agreement"]["customerId"] == scene.customer.id


async def test_a_customers_list_holds_their_own_whatever_the_filter(scene: Scene) -> None:
    query = "query ($filter: AgreementFilter) { agreements(filter: $filter) { totalCount edges { node { id } } } }"
    stranger = await _other_customer(scene)
    for wanted in ({}, {"customerId": scene.customer.id}, {"status": ["ACTIVE"]}):
        found = (await ask(scene.world, query, {"filter": wanted}, stranger))["data"]["agreements"]
        assert found == {"totalCount": 0, "edges": []}
    own = (await ask(scene.world, query, {"filter": {"customerId": "VXNlcjo5OTk="}}, await _customer(scene)))["data"]
    assert [it["node"]["id"] for it in own["agreements"]["edges"]] == [scene.agreement]


async def test_unknown_and_not_yours_look_the_same(scene: Scene) -> None:
    headers = await _other_customer(scene)
    query = CHARGES
    theirs = (await ask(scene.world, query, {"ids": [scene.agreement]}, headers))["data"]["charges"]["errors"]
    none = (await ask(scene.world, query, {"ids": ["agr_unknown"]}, headers))["data"]["charges"]["errors"]
    assert theirs[0] | {"id": "", "message": ""} == none[0] | {"id": "", "message": ""}
    assert theirs[0]["message"].replace(scene.agreement, "X") == none[0]["message"].replace("agr_unknown", "X")


async def test_tokens_end_with_the_installation(scene: Scene) -> None:
    headers = [await _customer(scene), await _staff_who_move_money(scene), await _client(scene)]
    scene.shop.delete_app(scene.app)
    await scene.world.drain()
    for them in headers:
        async with nothing_happens(scene.world):
            for operation in OPERATIONS:
                assert outcome(operation, await ask(scene.world, *request(scene, operation), them)) == ANONYMOUS


async def test_a_rotated_key_is_fetched_once_and_old_tokens_are_refused(scene: Scene) -> None:
    old = await _customer(scene)
    scene.shop.rotate_key()
    new = await _customer(scene)
    calls = _key_fetches(scene.world)
    for _ in range(3):
        assert outcome("agreement", await ask(scene.world, *request(scene, "agreement"), new)) == OK
    assert _key_fetches(scene.world) == calls + 1
    for _ in range(5):
        assert outcome("agreement", await ask(scene.world, *request(scene, "agreement"), old)) != OK
    assert _key_fetches(scene.world) == calls + 1


HOSTILE_HEADERS: list[dict[str, Any]] = [
    {"alg": "none"}, {"alg": "HS256"}, {"alg": "RS512"}, {"alg": None}, {"alg": ["RS256"]}, {"alg": {"x": 1}},
    {"kid": []}, {"kid": {}}, {"kid": 5}, {"kid": None}, {"kid": "x" * 10_000}, {"crit": ["exp"]}, {"crit": 5},
    {"crit": ["b64"], "b64": False}, {"jku": "https://evil.example/jwks.json"}, {"zip": "DEF"},
]  # fmt: skip


async def test_a_token_with_a_hostile_header_is_nobodys(scene: Scene) -> None:
    token = scene.shop.tokens.access(scene.customer)
    statuses = {}
    async with nothing_happens(scene.world):
        for over in HOSTILE_HEADERS:
            header = {"alg": "RS256", "kid": scene.shop.key.kid, "typ": "JWT"} | over
            changed = f"{_part(header)}.{token.split('.', maxsplit=1)[1]}"
            query, variables = request(scene, "agreement")
            body = {"query": query, "variables": variables}
            answer = await outside(scene.world).post("/graphql", json=body, headers=bearer(changed))
            statuses[str(over)[:60]] = answer.status_code
            if answer.status_code == 200:
                assert outcome("agreement", answer.json()) in {ANONYMOUS, "UNAVAILABLE"}
    assert {over: status for over, status in statuses.items() if status != 200} == {}


HOSTILE_CLAIMS: list[Any] = [
    [], "iss", 5, None, {}, {"iss": None}, {"iss": 5}, {"iss": []}, {"iss": ""}, {"iss": "\x00"}, {"iss": "\ud800"},
    {"iss": "x" * 10_000}, {"iss": "https://evil.example/graphql/"},
]  # fmt: skip


async def test_a_token_with_hostile_claims_is_nobodys(database_url: str) -> None:
    """On both databases: its issuer is looked up before anything is proven."""
    world = await two_shops(database_url)
    key = SigningKey()
    wrong = []
    async with nothing_happens(world):
        for claims in HOSTILE_CLAIMS:
            token = key.sign_token(claims)
            for headers in (bearer(token), {"Authorization-Bearer": token}, {"Authorization": f"JWT {token}"}):
                try:
                    answer = await ask(world, "{ agreements { totalCount } }", None, headers)
                except AssertionError:
                    wrong.append(claims)
                    continue
                assert outcome("agreements", answer) == ANONYMOUS
    await world.context.close()
    assert wrong == []


def _part(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def _key_fetches(world: World) -> int:
    return sum(call.url.path == "/.well-known/jwks.json" for call in saleor_hosts(world).calls)
