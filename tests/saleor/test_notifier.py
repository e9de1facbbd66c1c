"""Notices on their way to a shop's own endpoint: signed, without redirects, and to nowhere inside our network."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from app.domain.account import Account
from app.domain.errors import Misconfigured, OutcomeUnknown, ProviderError, Rejected, Unavailable
from app.domain.notice import Notice, NoticeKind
from app.saleor.notifier import WebhookNotifier
from tests.builders import NOW, SHOP, an_account

SECRET = "a-secret-for-the-tests-of-notices"
URL = "https://mail.example/notices?shop=1"

NOTICE = Notice(
    id="11111111-2222-5333-8444-555555555555",
    shop=SHOP,
    account_id="account",
    kind=NoticeKind.RENEWAL_FAILED,
    subscription_id="subscription-1",
    data={"agreement": "agr_1", "order": "T3JkZXI6MQ==", "amount": 24900, "currency": "NOK", "until": None},
    created_at=NOW,
)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def an_endpoint(url: str | None = URL, secret: str | None = SECRET) -> Account:
    return an_account(notify_url=url, notify_secret=secret)


def answering(answer: Callable[[httpx.Request], httpx.Response], **over: Any) -> tuple[WebhookNotifier, list[Any]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request)

    client = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return WebhookNotifier(client, Clock(), **over), seen


def status(code: int, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(code, headers=headers, text="noted")


async def test_a_notice_is_sent_as_signed_json() -> None:
    notifier, seen = answering(status(204))
    await notifier.send(an_endpoint(), NOTICE)
    [request] = seen
    assert (request.method, str(request.url), request.headers["Content-Type"]) == ("POST", URL, "application/json")
    assert json.loads(request.content) == {
        "id": NOTICE.id,
        "kind": "renewal.failed",
        "subscription": "subscription-1",
        "agreement": "agr_1",
        "data": {"order": "T3JkZXI6MQ==", "amount": 24900, "currency": "NOK", "until": None},
        "createdAt": "2026-03-02T09:00:00+00:00",
    }
    at = int(NOW.timestamp())
    expected = hmac.new(SECRET.encode(), str(at).encode() + b"." + request.content, hashlib.sha256).hexdigest()
    assert request.headers["Vipps-Recurring-Signature"] == f"t={at},v1={expected}"


async def test_a_repeat_has_the_same_body_and_another_signature() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200)

    clock = Clock()
    notifier = WebhookNotifier(httpx.AsyncClient(transport=httpx.MockTransport(handle)), clock)
    await notifier.send(an_endpoint(), NOTICE)
    clock.now += timedelta(minutes=5)
    await notifier.send(an_endpoint(), NOTICE)
    assert seen[0].content == seen[1].content
    assert seen[0].headers["Vipps-Recurring-Signature"] != seen[1].headers["Vipps-Recurring-Signature"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (400, Rejected),
        (401, Rejected),
        (403, Rejected),
        (404, Rejected),
        (410, Rejected),
        (422, Rejected),
        (408, Unavailable),
        (425, Unavailable),
        (429, Unavailable),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (301, Unavailable),
    ],
)
async def test_only_a_no_for_good_is_a_refusal(code: int, kind: type[ProviderError]) -> None:
    notifier, _seen = answering(status(code))
    with pytest.raises(kind) as failure:
        await notifier.send(an_endpoint(), NOTICE)
    assert failure.value.status == code


async def test_a_redirect_is_not_followed() -> None:
    notifier, seen = answering(status(307, Location="https://evil.example/"))
    with pytest.raises(Unavailable):
        await notifier.send(an_endpoint(), NOTICE)
    assert [request.url.host for request in seen] == ["mail.example"]


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadTimeout("x"), OSError("x"), TimeoutError()])
async def test_no_answer_is_an_unknown_outcome(error: Exception) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    notifier, _seen = answering(fail)
    with pytest.raises(OutcomeUnknown) as failure:
        await notifier.send(an_endpoint(), NOTICE)
    assert SECRET not in str(failure.value)
    assert "mail.example" not in failure.value.message


async def test_an_endpoint_that_keeps_us_waiting_is_left() -> None:
    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, _request: httpx.Request) -> httpx.Response:
            await asyncio.sleep(60)
            return httpx.Response(200)

    notifier = WebhookNotifier(httpx.AsyncClient(transport=Slow()), Clock(), deadline=0.01)
    with pytest.raises(OutcomeUnknown):
        await notifier.send(an_endpoint(), NOTICE)


@pytest.mark.parametrize(
    "url",
    [
        "http://mail.example/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://10.0.0.7/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://db.internal/",
        "https://mail.example:8443/",
        "https://user:pass@mail.example/",
        "https://mail.example\\@127.0.0.1/",
        "https://mail.example/#x",
        "https://mail.example/ x",
        "https://mail.example/\r\nHost: x",
        "ftp://mail.example/",
        "https:///x",
        "mail.example",
        "",
        "https://mail.example/" + "x" * 3000,
    ],
)
async def test_an_address_that_must_not_be_called_is_not_called(url: str) -> None:
    notifier, seen = answering(status(200))
    with pytest.raises(Misconfigured):
        await notifier.send(an_endpoint(url), NOTICE)
    assert seen == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8025/notices", "http://localhost:8025", "https://mail.example:8443/x"]
)
async def test_private_addresses_are_called_where_the_operator_allows_them(url: str) -> None:
    notifier, seen = answering(status(200), allow_private=True)
    await notifier.send(an_endpoint(url), NOTICE)
    assert len(seen) == 1


@pytest.mark.parametrize(("url", "secret"), [(None, SECRET), (URL, None), (URL, "")])
async def test_without_endpoint_or_secret_nothing_is_sent(url: str | None, secret: str | None) -> None:
    notifier, seen = answering(status(200))
    with pytest.raises(Misconfigured):
        await notifier.send(an_endpoint(url, secret), NOTICE)
    assert seen == []


async def test_what_the_endpoint_says_is_not_read() -> None:
    read: list[int] = []

    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                read.append(1)
                yield b"x" * 65536

    notifier, _seen = answering(lambda _request: httpx.Response(200, stream=Endless()))
    await notifier.send(an_endpoint(), NOTICE)
    assert read == []
