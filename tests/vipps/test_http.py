"""The way to Vipps that every call takes: the token's life, the headers, and real connections that break."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from httpx_aiohttp import AiohttpTransport

from app.domain.agreement import AgreementChanges, AgreementStatus, TransactionType
from app.domain.errors import Misconfigured, OutcomeUnknown, Unavailable
from app.vipps.http import SystemNames
from app.vipps.simulator import Simulator
from tests.builders import NOW, a_charge_request, a_draft, nok
from tests.vipps.helpers import (
    AGR,
    GOOD,
    KEY,
    NAMES,
    OTHER_KEY,
    PHONE,
    Provider,
    Wire,
    a_provider,
    active,
    answering,
    initial,
    provider_of,
)

# The token.


async def test_twenty_first_calls_at_once_fetch_one_token(simulator: Simulator, v2: Provider) -> None:
    await asyncio.gather(*(v2.list_agreements() for _ in range(20)))
    assert simulator.tokens_issued == 1


async def test_a_token_is_kept_until_shortly_before_it_ends(simulator: Simulator, v2: Provider) -> None:
    await v2.list_agreements()
    simulator.advance(timedelta(seconds=3600 - 61))
    await v2.list_agreements()
    assert simulator.tokens_issued == 1
    simulator.advance(timedelta(seconds=1))
    await v2.list_agreements()
    assert simulator.tokens_issued == 2


async def test_a_revoked_token_is_renewed_once_and_the_call_succeeds(
    simulator: Simulator, vipps: Provider, wire: Wire
) -> None:
    agreement_id = await active(vipps, simulator)
    simulator.revoke_tokens()
    request = a_charge_request(agreement_id=agreement_id)
    assert await vipps.create_charge(request, key=KEY) == request.order_id
    assert simulator.tokens_issued == 2
    first, second = wire.calls[-2:]
    assert (first.content, first.headers["Idempotency-Key"]) == (second.content, second.headers["Idempotency-Key"])
    assert first.headers["Authorization"] != second.headers["Authorization"]


async def test_many_calls_with_a_revoked_token_renew_it_once(simulator: Simulator, v2: Provider) -> None:
    await v2.list_agreements()
    simulator.revoke_tokens()
    await asyncio.gather(*(v2.list_agreements() for _ in range(20)))
    assert simulator.tokens_issued == 2


async def test_a_token_that_is_refused_again_and_again_is_asked_for_twice_only(
    simulator: Simulator, v2: Provider, wire: Wire
) -> None:
    simulator.faults.add("status", status=401, operation="listAgreements", times=None)
    with pytest.raises(Misconfigured):
        await v2.list_agreements()
    assert len(wire.calls) == 2
    assert simulator.tokens_issued == 2


async def test_authenticate_always_fetches_a_new_token(simulator: Simulator, vipps: Provider) -> None:
    first, second = await vipps.authenticate(), await vipps.authenticate()
    assert simulator.tokens_issued == 2
    assert first.value != second.value
    assert second.expires_at == NOW + timedelta(hours=1)
    assert second.value not in repr(second)


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_secret": "wr0ng-s3cret"},
        {"client_id": "wrong-id"},
        {"subscription_key": "wr0ng-k3y"},
    ],
)
async def test_wrong_credentials_are_the_merchants_to_mend_and_stay_secret(
    simulator: Simulator, wire: Wire, wrong: dict[str, str]
) -> None:
    credentials = replace(GOOD, **wrong)
    async with provider_of("v2", wire, clock=simulator.clock.now, credentials=credentials) as vipps:
        calls: list[Callable[[], Awaitable[object]]] = [
            vipps.authenticate,
            lambda: vipps.create_agreement(a_draft(), key=KEY),
        ]
        for call in calls:
            with pytest.raises(Misconfigured) as refused:
                await call()
            for text in (str(refused.value), repr(refused.value), repr(credentials)):
                assert credentials.client_secret not in text
                assert credentials.subscription_key not in text


async def test_a_wrong_serial_number_is_the_merchants_to_mend(version: str, simulator: Simulator, wire: Wire) -> None:
    credentials = replace(GOOD, msn="654321")
    async with provider_of(version, wire, clock=simulator.clock.now, credentials=credentials) as vipps:
        with pytest.raises(Misconfigured, match="Invalid MSN"):
            await vipps.list_agreements()


@pytest.mark.parametrize("name", ["client_secret", "subscription_key", "client_id", "msn"])
async def test_credentials_that_no_header_can_carry_are_the_merchants_to_mend(wire: Wire, name: str) -> None:
    """Copied from a document, with a typographic dash in it."""
    async with provider_of("v2", wire, credentials=replace(GOOD, **{name: "s3cret\u2013tail"})) as vipps:
        with pytest.raises(Misconfigured) as refused:
            await vipps.create_charge(a_charge_request(), key=KEY)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("expires_in", ["86398", 86398])
async def test_the_lifetime_is_read_as_text_or_as_a_number(expires_in: str | int) -> None:
    token = httpx.Response(200, json={"access_token": "t0ken", "expires_in": expires_in, "token_type": "Bearer"})
    async with provider_of("v2", answering(httpx.Response(200), token=token)) as vipps:
        assert (await vipps.authenticate()).expires_at == NOW + timedelta(seconds=86398)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"<html>", b"[]", b'{"access_token": "x"}'),
        *(b'{"access_token": "x", "expires_in": "soon"}', b'{"access_token": "x", "expires_in": 1000000000000000}'),
    ],
)
async def test_a_token_answer_that_cannot_be_read_means_that_nothing_happened(body: bytes) -> None:
    wire = answering(httpx.Response(200), token=httpx.Response(200, content=body))
    async with provider_of("v2", wire) as vipps:
        with pytest.raises(Unavailable):
            await vipps.create_charge(a_charge_request(), key=KEY)
    assert wire.calls == []


@pytest.mark.parametrize("status", [302, 404, 405, 409, 415, 422, 429, 500, 503])
async def test_trouble_with_the_token_never_counts_as_a_no_to_the_charge(status: int) -> None:
    """A Rejected would settle a charge for good that Vipps has never heard of."""
    wire = answering(httpx.Response(200), token=httpx.Response(status))
    async with provider_of("v2", wire) as vipps:
        with pytest.raises((Unavailable, Misconfigured)):
            await vipps.create_charge(a_charge_request(), key=KEY)
    assert wire.calls == []


@pytest.mark.parametrize("kind", ["timeout-before", "reset-before", "reset-after", "garbage"])
async def test_a_token_that_does_not_come_leaves_a_write_unsent(
    simulator: Simulator, v2: Provider, wire: Wire, kind: Any
) -> None:
    simulator.faults.add(kind, operation="getAccessToken", seconds=0)
    with pytest.raises(Unavailable):
        await v2.create_agreement(a_draft(), key=KEY)
    assert wire.calls == []


async def test_a_token_that_hangs_until_the_deadline_leaves_a_write_unsent(simulator: Simulator, wire: Wire) -> None:
    """Also for those that wait for somebody else's token: nothing of theirs was sent, and they must know."""
    simulator.faults.add("timeout-before", operation="getAccessToken", times=None)
    async with provider_of("v2", wire, clock=simulator.clock.now, deadline=0.1) as vipps:
        calls = (vipps.create_charge(a_charge_request(agreement_id=AGR), key=KEY) for _ in range(3))
        failures = await asyncio.gather(*calls, return_exceptions=True)
    assert wire.calls == []
    assert [type(failure) for failure in failures] == [Unavailable] * 3


# Headers.


async def every_operation(vipps: Provider, simulator: Simulator) -> None:
    drafted = await vipps.create_agreement(a_draft(), key=KEY)
    await vipps.accept_agreement(drafted.agreement_id, PHONE)
    agreement_id = await active_with_reservation(vipps, simulator)
    await vipps.get_agreement(agreement_id)
    await vipps.list_agreements(AgreementStatus.ACTIVE)
    await vipps.update_agreement(agreement_id, AgreementChanges(price=nok(30_000)), key=KEY)
    charge_id = await vipps.create_charge(a_charge_request(agreement_id=agreement_id), key=KEY)
    await vipps.get_charge(agreement_id, charge_id)
    await vipps.list_charges(agreement_id)
    await vipps.cancel_charge(agreement_id, charge_id, key=KEY)
    await vipps.capture_charge(agreement_id, "INITIAL-1", nok(25_000), "All", key=KEY)
    await vipps.refund_charge(agreement_id, "INITIAL-1", nok(5_000), "Damaged", key=KEY)
    await vipps.stop_agreement(agreement_id, key=OTHER_KEY)


async def active_with_reservation(vipps: Provider, simulator: Simulator) -> str:
    draft = a_draft(initial_charge=initial(TransactionType.RESERVE_CAPTURE))
    made = await vipps.create_agreement(draft, key=OTHER_KEY)
    simulator.approve(made.agreement_id)
    return made.agreement_id


async def test_every_call_carries_every_header(version: str, simulator: Simulator, vipps: Provider, wire: Wire) -> None:
    await every_operation(vipps, simulator)
    assert len(wire.calls) == 13
    for request in wire.calls:
        headers = request.headers
        assert headers["Authorization"].startswith("Bearer ey")
        assert headers["Ocp-Apim-Subscription-Key"] == GOOD.subscription_key
        assert headers["Merchant-Serial-Number"] == GOOD.msn
        assert headers["Vipps-System-Name"] == "saleor"
        assert headers["Vipps-System-Version"] == "3.22"
        assert headers["Vipps-System-Plugin-Name"] == "vipps-recurring-saleor"
        assert headers["Vipps-System-Plugin-Version"] == "0.1.0"
        # The test environment's approval is the one write without a key in v2.
        keyless = request.method == "GET" or (version == "v2" and request.url.path.endswith("/accept"))
        assert ("Idempotency-Key" in headers) is not keyless
        assert "client_secret" not in headers
        assert headers.get("Content-Type") == ("application/json" if request.content else None)
        assert "Idempotent-Key" not in headers


async def test_each_version_keeps_to_its_own_paths(
    version: str, simulator: Simulator, vipps: Provider, wire: Wire
) -> None:
    await every_operation(vipps, simulator)
    assert all(request.url.path.startswith(f"/recurring/{version}/agreements") for request in wire.calls)


async def test_the_token_is_asked_for_with_the_headers_that_vipps_wants(v2: Provider, wire: Wire) -> None:
    await v2.authenticate()
    (request,) = wire.sent
    assert (request.method, request.content) == ("POST", b"")
    assert request.headers["client_id"] == GOOD.client_id
    assert request.headers["client_secret"] == GOOD.client_secret
    assert request.headers["Ocp-Apim-Subscription-Key"] == GOOD.subscription_key


async def test_the_token_is_asked_for_in_the_name_of_the_system(v2: Provider, wire: Wire) -> None:
    """Point 3 of Vipps' checklist: the serial number and the four system headers on every call, token included."""
    await v2.authenticate()
    wanted = {"Merchant-Serial-Number": GOOD.msn, **NAMES.headers()}
    assert {name: wire.sent[0].headers.get(name) for name in wanted} == wanted


async def test_system_names_are_cut_to_what_vipps_takes() -> None:
    assert set(SystemNames("n" * 31, "v" * 40, "p" * 99, "q" * 31).headers().values()) == {c * 30 for c in "nvpq"}


async def test_a_call_that_is_called_off_stays_called_off(simulator: Simulator, v2: Provider) -> None:
    """A cancelled task must not come to look like a timeout."""
    await v2.authenticate()
    simulator.faults.add("timeout-before", operation="listAgreements")
    task = asyncio.create_task(v2.list_agreements())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_answer_whose_packing_is_broken_leaves_a_write_open_and_a_read_undone(version: str) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(b"this is not gzip")
        return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=stream)

    async with provider_of(version, answering(broken)) as vipps:
        with pytest.raises(OutcomeUnknown):
            await vipps.create_charge(a_charge_request(), key=KEY)
        with pytest.raises(Unavailable):
            await vipps.get_agreement(AGR)


async def test_text_goes_over_the_wire_as_utf_8(version: str) -> None:
    wire = answering(httpx.Response(201, json={"chargeId": "ORD-1"}))
    async with provider_of(version, wire) as vipps:
        await vipps.create_charge(a_charge_request(description="Kaffe – mars ☕"), key=KEY)
    assert "Kaffe – mars ☕".encode() in wire.calls[0].content
    assert json.loads(wire.calls[0].content)["description"] == "Kaffe – mars ☕"


# The real transport over a real connection.

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def close_without_a_word(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """The server closes once this has come back."""


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def break_off_in_the_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"chargeId": ')
    await writer.drain()


async def break_off_in_the_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Le")
    await writer.drain()


async def speak_another_language(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP\r\n\r\n")
    await writer.drain()


async def send_a_broken_chunk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    await writer.drain()


async def send_an_endless_header(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n")
    await writer.drain()


async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def loopback(behaviour: Behaviour) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives out a token and then behaves as told; its address and the request lines it read."""
    lines: list[bytes] = []
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await answer(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), b": 0")
        await reader.readexactly(int(length.partition(b":")[2]))
        if b"/accesstoken/get" in head:
            body = b'{"access_token": "t0ken", "expires_in": "3600"}'
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            return
        lines.append(head.partition(b"\r\n")[0])
        await behaviour(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", lines
    finally:
        server.close()
        if serving:
            await asyncio.wait(serving, timeout=5)
        await server.wait_closed()


@asynccontextmanager
async def aiohttp_provider(base: str, deadline: float = 5.0) -> AsyncIterator[Provider]:
    async with httpx.AsyncClient(transport=AiohttpTransport()) as client:
        yield a_provider("v2", client, base=base, deadline=deadline)


SENDING: dict[str, Callable[[Provider], Awaitable[object]]] = {
    "charge": lambda v: v.create_charge(a_charge_request(), key=KEY),
    "cancel": lambda v: v.cancel_charge(AGR, "ORD-OPEN", key=KEY),
    "refund": lambda v: v.refund_charge(AGR, "INITIAL-1", nok(5_000), "Damaged", key=KEY),
}


@pytest.mark.parametrize(
    "behaviour",
    [
        close_without_a_word,
        reset,
        break_off_in_the_body,
        break_off_in_the_head,
        speak_another_language,
        send_a_broken_chunk,
        send_an_endless_header,
    ],
)
@pytest.mark.parametrize("name", list(SENDING))
async def test_a_connection_that_breaks_after_the_request_leaves_a_write_open(behaviour: Behaviour, name: str) -> None:
    """The transport calls some of these ConnectTimeout, as if nothing had been sent."""
    async with loopback(behaviour) as (base, lines), aiohttp_provider(base) as vipps:
        with pytest.raises(OutcomeUnknown):
            await SENDING[name](vipps)
    assert lines


@pytest.mark.parametrize(
    "behaviour", [close_without_a_word, reset, break_off_in_the_body, speak_another_language, send_a_broken_chunk]
)
async def test_a_connection_that_breaks_leaves_a_read_undone(behaviour: Behaviour) -> None:
    async with loopback(behaviour) as (base, _), aiohttp_provider(base) as vipps:
        with pytest.raises(Unavailable):
            await vipps.get_agreement(AGR)


async def test_a_server_that_says_nothing_ends_at_the_deadline() -> None:
    async with loopback(say_nothing) as (base, _), aiohttp_provider(base, deadline=0.3) as vipps:
        with pytest.raises(OutcomeUnknown):
            await vipps.create_charge(a_charge_request(), key=KEY)
        with pytest.raises(Unavailable):
            await vipps.get_agreement(AGR)


async def test_a_port_that_nobody_listens_on_leaves_a_write_unsent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{unused.getsockname()[1]}"
    async with aiohttp_provider(base) as vipps:
        with pytest.raises(Unavailable):
            await vipps.create_charge(a_charge_request(), key=KEY)


async def test_a_port_that_closes_after_the_token_leaves_a_write_unsent() -> None:
    async with loopback(say_nothing) as (base, lines):
        stack = aiohttp_provider(base)
        vipps = await stack.__aenter__()
        await vipps.authenticate()
    try:
        with pytest.raises(Unavailable):
            await vipps.create_charge(a_charge_request(), key=KEY)
    finally:
        await stack.__aexit__(None, None, None)
    assert lines == []
