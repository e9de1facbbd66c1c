"""Webhooks: registered with Vipps, told from forged ones by their signature, and read."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.errors import InvalidInput, Misconfigured, OutcomeUnknown, Rejected, Unauthenticated, Unavailable
from app.domain.provider import WebhookRegistry
from app.domain.records import VippsEvent
from app.vipps.simulator import Mischief, Simulator, SimulatorClock, SimulatorConfig, create_app
from app.vipps.webhooks import EVENTS, VippsWebhooks, read_event, verify
from tests.builders import NOW
from tests.vipps.helpers import THIRD_KEY, Wire, a_provider, active, an_http, answering

HOOK = "https://app.example/api/webhooks/vipps/1"

# Vipps' own vector (facts: VIPPS 12.6).
OFFICIAL_SECRET = "A0+AeKBRG2KRGvnNwJpQlb6IJFk48CKXCIcrLoHncVJKDILsQSxS6NWCccwWm6r6FhGKhiHTBsG2wo/xU6FY/A=="
OFFICIAL_URL = "https://webhook.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63"
OFFICIAL_BODY = b'{"some-unique-content":"ee6e441b-cc4a-46f8-895d-a5af79bcc233/hello-world"}'
SIGNED = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="
OFFICIAL_HEADERS = {
    "x-ms-date": "Thu, 30 Mar 2023 08:38:32 GMT",
    "x-ms-content-sha256": "lNlsp1XA03N34HrQsVzPgJKtC+r7l/RBF4V3JQUWMj4=",
    "Authorization": SIGNED + "agAiSyogQbDHpeucoNwYz+yAr5nJ+v+zasdkSbqzv+U=",
}
# Made with the same algorithm: a port and a query.
SECOND_SECRET = "090a478d-37ff-4e77-970e-d457aeb26a3a"
SECOND_URL = "https://shop.example.com:8443/hooks/vipps?tenant=42"
SECOND_BODY = (
    b'{"agreementId":"agr_kFW4chk","agreementUUID":"82ce990f-d08a-448c-bd26-ee6be8418d06","agreementExternalId":null,'
    b'"eventType":"recurring.agreement-stopped.v1","occurred":"2023-10-11T09:51:04.562829303Z","actor":"MERCHANT"}'
)
SECOND_HEADERS = {
    "x-ms-date": "Wed, 11 Oct 2023 09:51:05 GMT",
    "x-ms-content-sha256": "OnRgDJ+yXRjb4x3zNMWngh0J95WPCxOwsIjwRrXmIE8=",
    "Authorization": SIGNED + "DT0Flm2UHDNnq13y/uyrme7PBHWyVmUEOBnDZB3fff4=",
}


def genuine(
    secrets: list[str] | None = None,
    url: str = OFFICIAL_URL,
    body: bytes = OFFICIAL_BODY,
    headers: Mapping[str, str] = OFFICIAL_HEADERS,
) -> None:
    verify([OFFICIAL_SECRET] if secrets is None else secrets, url, body, headers)


def test_vipps_own_sample_is_genuine() -> None:
    genuine()


def test_a_sample_with_a_port_and_a_query_is_genuine() -> None:
    genuine([SECOND_SECRET], SECOND_URL, SECOND_BODY, SECOND_HEADERS)


def test_a_signature_made_with_the_decoded_secret_is_forged() -> None:
    wrong = OFFICIAL_HEADERS | {"Authorization": SIGNED + "T3+NXHMmhNVEjW5PeJ4Gql70nf0MOXCAY9CoZDxuVQw="}
    with pytest.raises(Unauthenticated):
        genuine(headers=wrong)


def test_the_signature_may_come_under_the_other_name() -> None:
    renamed = {("X-Vipps-" if name == "Authorization" else "") + name: it for name, it in OFFICIAL_HEADERS.items()}
    genuine(headers=renamed)
    genuine(headers=renamed | {"Authorization": "Basic c29tZTpwcm94eQ=="})
    with pytest.raises(Unauthenticated):
        genuine(headers=renamed | {"X-Vipps-Authorization": SIGNED + "AAAA"})


def test_header_names_are_read_in_any_case() -> None:
    genuine(headers={name.upper(): value for name, value in OFFICIAL_HEADERS.items()})
    genuine(headers=httpx.Headers(OFFICIAL_HEADERS))


@pytest.mark.parametrize("host", ["evil.example", "webhook.site:8080", ""])
def test_the_requests_own_host_is_not_believed(host: str) -> None:
    genuine(headers=OFFICIAL_HEADERS | {"Host": host, "X-Forwarded-Host": host})


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_of_several_secrets_will_do(place: int) -> None:
    secrets = ["another secret", "and another"]
    secrets.insert(place, OFFICIAL_SECRET)
    genuine(secrets)


@pytest.mark.parametrize("secrets", [[], [""], ["", ""]])
def test_without_a_secret_nothing_is_genuine(secrets: list[str]) -> None:
    """Not even what is signed with an empty one."""
    digest = OFFICIAL_HEADERS["x-ms-content-sha256"]
    text = f"POST\n/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63\n{OFFICIAL_HEADERS['x-ms-date']};webhook.site;{digest}"
    empty = base64.b64encode(hmac.digest(b"", text.encode(), hashlib.sha256)).decode()
    for headers in (OFFICIAL_HEADERS, OFFICIAL_HEADERS | {"Authorization": SIGNED + empty}):
        with pytest.raises(Unauthenticated, match="register again with: account check"):
            genuine(secrets, headers=headers)


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://WEBHOOK.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63", True),
        ("https://webhook.site:443/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63", True),
        ("https://webhook.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63#here", True),
        ("https://webhook.site:8443/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63", False),
        ("https://webhook.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63/", False),
        ("https://webhook.site/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63?x=1", False),
        ("https://webhook.example/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63", False),
        ("https://webhook.site", False),
    ],
)
def test_the_address_is_part_of_what_is_signed(url: str, *, fits: bool) -> None:
    if fits:
        genuine(url=url)
    else:
        with pytest.raises(Unauthenticated):
            genuine(url=url)


@pytest.mark.parametrize("name", list(OFFICIAL_HEADERS))
@pytest.mark.parametrize("value", [None, "", " ", "é", "\ud800", "HMAC-SHA256", "Bearer token", SIGNED, SIGNED + "é"])
def test_a_header_that_is_missing_foreign_or_malformed_is_refused(name: str, value: str | None) -> None:
    headers = {it: text for it, text in OFFICIAL_HEADERS.items() if it != name}
    if value is not None:
        headers[name] = value
    with pytest.raises(Unauthenticated) as refused:
        genuine(headers=headers)
    assert OFFICIAL_SECRET not in refused.value.message
    assert len(refused.value.message) > 40


def test_a_body_that_was_exchanged_with_its_hash_is_refused() -> None:
    body = b'{"agreementId":"agr_1","eventType":"recurring.agreement-stopped.v1"}'
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    with pytest.raises(Unauthenticated):
        genuine(body=body, headers=OFFICIAL_HEADERS | {"x-ms-content-sha256": digest})


def one_changed(original: str) -> st.SearchStrategy[str]:
    """The text with one character changed, added or taken away."""
    places = st.integers(0, len(original) - 1)
    letters = st.characters(min_codepoint=33, max_codepoint=126)
    changes = st.tuples(places, letters, st.sampled_from(["change", "add", "take"]))

    def apply(change: tuple[int, str, str]) -> str:
        place, letter, how = change
        if how == "take":
            return original[:place] + original[place + 1 :]
        return original[:place] + letter + original[place + (how == "change") :]

    return changes.map(apply).filter(lambda text: text != original)


@given(place=st.integers(0, len(OFFICIAL_BODY) - 1), value=st.integers(0, 255))
def test_any_changed_byte_of_the_body_is_noticed(place: int, value: int) -> None:
    body = bytearray(OFFICIAL_BODY)
    body[place] ^= value
    if value:
        with pytest.raises(Unauthenticated):
            genuine(body=bytes(body))
    else:
        genuine(body=bytes(body))


@given(
    st.sampled_from(list(OFFICIAL_HEADERS)).flatmap(
        lambda it: st.tuples(st.just(it), one_changed(OFFICIAL_HEADERS[it]))
    )
)
def test_any_changed_byte_of_a_header_is_noticed(changed: tuple[str, str]) -> None:
    name, value = changed
    with pytest.raises(Unauthenticated):
        genuine(headers=OFFICIAL_HEADERS | {name: value})


@given(one_changed(OFFICIAL_SECRET))
def test_any_other_secret_is_noticed(secret: str) -> None:
    with pytest.raises(Unauthenticated):
        genuine([secret])


@given(
    one_changed("/e2cee29b-012e-4f1d-8ef4-e95fd74a7a63").filter(lambda path: path.startswith("/") and "#" not in path)
)
def test_any_changed_byte_of_the_path_is_noticed(path: str) -> None:
    with pytest.raises(Unauthenticated):
        genuine(url=f"https://webhook.site{path}")


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=80), max_size=5), st.binary(max_size=50))
def test_whatever_comes_in_is_refused_and_never_a_crash(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Unauthenticated):
        genuine(body=body, headers=headers)


# Reading.

CHARGE_EVENT = {
    "agreementId": "agr_kFW4chk",
    "chargeExternalId": "extId",
    "chargeId": "82ce990f-d08a-448c-bd26-ee6be8418d06",
    "amount": 300,
    "chargeType": "RECURRING",
    "eventType": "recurring.charge-canceled.v1",
    "currency": "NOK",
    "occurred": "2023-10-10T13:30:36.079765975Z",
    "amountCaptured": 0,
    "amountCanceled": 300,
    "amountRefunded": 0,
}


def event_of(**changes: Any) -> VippsEvent:
    body = {name: value for name, value in (CHARGE_EVENT | changes).items() if value is not ...}
    return read_event(json.dumps(body).encode())


def test_an_event_about_a_charge_is_read() -> None:
    event = event_of()
    assert event == VippsEvent(
        kind="recurring.charge-canceled.v1",
        occurred="2023-10-10T13:30:36.079765975Z",
        agreement_id="agr_kFW4chk",
        charge_id="82ce990f-d08a-448c-bd26-ee6be8418d06",
    )


def test_an_event_about_an_agreement_is_read() -> None:
    event = read_event(SECOND_BODY)
    assert (event.kind, event.agreement_id) == ("recurring.agreement-stopped.v1", "agr_kFW4chk")
    assert (event.charge_id, event.actor, event.occurred) == (None, "MERCHANT", "2023-10-11T09:51:04.562829303Z")


@pytest.mark.parametrize("absent", [None, ..., "", 7, [], {}])
def test_fields_may_be_missing_null_or_of_another_sort(absent: Any) -> None:
    event = event_of(chargeId=absent, actor=absent, amount=absent, currency=absent, brandNew={"a": [1]})
    assert (event.charge_id, event.actor) == (None, None)


def test_an_unheard_of_kind_is_read() -> None:
    assert event_of(eventType="recurring.agreement-paused.v7").kind == "recurring.agreement-paused.v7"


@pytest.mark.parametrize("absent", [None, ..., "", 7, []])
@pytest.mark.parametrize("name", ["eventType", "agreementId"])
def test_what_names_no_kind_or_no_agreement_is_refused(name: str, absent: Any) -> None:
    with pytest.raises(InvalidInput):
        event_of(**{name: absent})


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"text"', b"\xff", b"[" * 100_000, b"9" * 5_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_event(body)


def test_without_a_time_two_different_events_are_two() -> None:
    first, again = event_of(occurred=...), event_of(occurred=...)
    other = event_of(occurred=None, amountCanceled=200)
    assert first.key == again.key
    assert first.key != other.key


@given(st.dictionaries(st.sampled_from([*CHARGE_EVENT, "actor"]), st.none() | st.text() | st.integers()))
def test_any_fields_at_all_are_read_or_refused(changes: dict[str, Any]) -> None:
    try:
        event = event_of(**changes)
    except InvalidInput:
        return
    for text in (event.kind, event.occurred, event.agreement_id, event.charge_id or "", event.actor or ""):
        assert len(text) <= 100
        assert text.encode().decode() == text
        assert "\x00" not in text


# Registering.


@pytest.fixture
def webhooks(simulator: Simulator, client: httpx.AsyncClient) -> VippsWebhooks:
    return VippsWebhooks(an_http(client, simulator.clock.now))


def test_it_fits_the_protocol(webhooks: VippsWebhooks) -> None:
    """It is mypy that checks it."""
    registry: WebhookRegistry = webhooks
    assert registry is webhooks


async def test_a_webhook_is_registered_listed_and_removed(webhooks: VippsWebhooks, wire: Wire) -> None:
    registration_id, secret = await webhooks.register(HOOK)
    assert secret
    (listed,) = await webhooks.registrations()
    assert (listed.id, listed.url, listed.events) == (registration_id, HOOK, frozenset(EVENTS))
    assert len(EVENTS) == 10
    await webhooks.remove(registration_id)
    assert await webhooks.registrations() == []
    for request in wire.calls:
        assert request.url.path.startswith("/webhooks/v1/webhooks")
        assert "Idempotency-Key" not in request.headers
        assert request.headers["Merchant-Serial-Number"]


async def test_removing_what_is_gone_already_does_nothing(webhooks: VippsWebhooks) -> None:
    registration_id, _ = await webhooks.register(HOOK)
    for gone in (registration_id, registration_id, "00000000-0000-4000-8000-000000000000", "no-id-of-theirs"):
        await webhooks.remove(gone)


async def test_a_removal_that_is_refused_is_told(webhooks: VippsWebhooks, simulator: Simulator) -> None:
    registration_id, _ = await webhooks.register(HOOK)
    simulator.faults.add("status", status=409, operation="deleteWebhook")
    with pytest.raises(Rejected):
        await webhooks.remove(registration_id)


async def test_a_vipps_of_2023_is_asked_for_the_events_that_it_knows() -> None:
    problem = {
        "title": "Bad Request",
        "status": 400,
        "detail": "One or more validation errors occurred.",
        "extraDetails": [{"name": "events[9]", "reason": "Unknown."}],
    }
    made = httpx.Response(201, json={"id": "1", "secret": "s"})
    wire = answering(httpx.Response(400, json=problem), made)
    async with httpx.AsyncClient(transport=wire) as client:
        assert await VippsWebhooks(an_http(client)).register(HOOK) == ("1", "s")
    first, second = (json.loads(request.content)["events"] for request in wire.calls)
    assert first == list(EVENTS)
    assert sorted({*first} - {*second}) == [
        "recurring.charge-creation-failed.v1",
        "recurring.charge-refunded.v1",
    ]


async def test_an_address_that_vipps_refuses_is_refused(webhooks: VippsWebhooks, wire: Wire) -> None:
    with pytest.raises(Rejected, match="url"):
        await webhooks.register("https://not an address")
    assert len(wire.calls) == 1


async def test_too_many_webhooks_are_refused(client: httpx.AsyncClient, simulator: Simulator) -> None:
    webhooks = VippsWebhooks(an_http(client, simulator.clock.now))
    for _ in range(25):
        await webhooks.register(HOOK)
    with pytest.raises(Rejected, match="already"):
        await webhooks.register(HOOK)
    assert len(await webhooks.registrations()) == 25


@pytest.mark.parametrize("kind", ["reset-before", "reset-after", "garbage"])
async def test_a_lost_answer_leaves_a_registration_open_and_a_list_undone(
    webhooks: VippsWebhooks, simulator: Simulator, kind: Any
) -> None:
    simulator.faults.add(kind, operation="registerWebhook")
    with pytest.raises(OutcomeUnknown):
        await webhooks.register(HOOK)
    simulator.faults.add(kind, operation="listWebhooks")
    with pytest.raises(Unavailable):
        await webhooks.registrations()


@pytest.mark.parametrize(
    ("status", "error"), [(401, Misconfigured), (403, Misconfigured), (429, Unavailable), (500, Unavailable)]
)
async def test_other_trouble_is_sorted_as_usual(
    webhooks: VippsWebhooks, simulator: Simulator, status: int, error: type[Exception]
) -> None:
    for call in (lambda: webhooks.register(HOOK), webhooks.registrations, lambda: webhooks.remove("1")):
        simulator.faults.add("status", status=status, times=2)
        with pytest.raises(error):
            await call()
        simulator.faults.clear()


# From end to end: what the simulated Vipps signs and sends, we find genuine and read.


class Listener:
    """Our side of a webhook, with nothing behind it."""

    def __init__(self) -> None:
        self.secrets: list[str] = []
        self.events: list[VippsEvent] = []
        self.refused = 0

    def hear(self, request: httpx.Request) -> httpx.Response:
        try:
            verify(self.secrets, HOOK, request.content, request.headers)
        except Unauthenticated:
            self.refused += 1
            return httpx.Response(401)
        self.events.append(read_event(request.content))
        return httpx.Response(200)


@pytest.mark.parametrize(
    ("mischief", "comes_through"),
    [
        (Mischief(), True),
        (Mischief(x_authorization=True), True),
        (Mischief(stale=timedelta(days=3)), True),
        (Mischief(tamper="body"), False),
        (Mischief(tamper="body-and-hash"), False),
        (Mischief(tamper="signature"), False),
        (Mischief(tamper="secret"), False),
    ],
)
async def test_what_vipps_sends_is_heard_and_what_others_send_is_not(
    mischief: Mischief, *, comes_through: bool
) -> None:
    listener = Listener()
    transport = httpx.MockTransport(listener.hear)
    simulator = Simulator(
        SimulatorConfig(), SimulatorClock(NOW), clients=lambda: httpx.AsyncClient(transport=transport)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(simulator))) as client:
        _, secret = await VippsWebhooks(an_http(client, simulator.clock.now)).register(HOOK)
        listener.secrets = ["an older one", secret]
        simulator.mischief = mischief
        vipps = a_provider("v3", client, simulator.clock.now)
        agreement_id = await active(vipps, simulator)
        await vipps.stop_agreement(agreement_id, key=THIRD_KEY)
        await simulator.deliver()
    if comes_through:
        assert [(event.kind, event.agreement_id, event.actor) for event in listener.events] == [
            ("recurring.agreement-activated.v1", agreement_id, None),
            ("recurring.agreement-stopped.v1", agreement_id, "MERCHANT"),
        ]
        assert len({event.key for event in listener.events}) == 2
    else:
        assert listener.events == []
    assert (listener.refused == 0) is comes_through
