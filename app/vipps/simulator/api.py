"""The API over ASGI: reads a call, lets faults strike, answers after the configured latency, keeps the record."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import parse_qsl

import httpx
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from app.vipps.simulator.answers import Answer, error_answer
from app.vipps.simulator.faults import Fault
from app.vipps.simulator.gateway import Call
from app.vipps.simulator.models import RequestRecord
from app.vipps.simulator.state import Simulator


class ConnectionDroppedError(httpx.RemoteProtocolError):
    """A connection that breaks before its answer: what httpx raises for a real one, so ASGITransport passes it on."""


class AnswerTimeoutError(httpx.ReadTimeout):
    """An answer that does not come in time."""


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """One operation as an ASGI application, which Starlette routes to without any further layer."""

    simulator: Simulator
    operation: str
    answer: Callable[[Call], Answer]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = await _read_call(self.simulator, self.operation, scope, receive)
        self.simulator.settle()
        fault = self.simulator.faults.strike(self.operation, call.method, call.path)
        answer = self._answer(call, fault)
        self.simulator.note(_record(self.simulator, call, answer, fault))
        delay = self.simulator.latency + ((fault.seconds or 0) if fault and fault.kind == "slow" else 0)
        if delay > 0:
            await asyncio.sleep(delay)
        if answer is not None:
            await _send(send, answer)
        elif fault is not None and fault.kind.startswith("timeout"):
            await _hang(receive, send, fault.seconds)
        else:
            await _drop(send, ConnectionDroppedError("The simulator dropped the connection."))

    def _answer(self, call: Call, fault: Fault | None) -> Answer | None:
        """None when the caller is to hear nothing, whether or not the request took effect."""
        if fault is None:
            return self.answer(call)
        true_answer = self.answer(call) if fault.reaches_api else None
        if fault.is_silent:
            return None
        if fault.kind == "garbage":
            return Answer(200, b"<html><body>An unexpected page", "text/html;charset=UTF-8")
        if fault.kind == "status":
            headers = (("Retry-After", fault.retry_after),) if fault.retry_after else ()
            return error_answer(fault.status, (), call.path, fault.style, headers)
        return true_answer


async def _read_call(simulator: Simulator, operation: str, scope: Scope, receive: Receive) -> Call:
    headers = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    # Where a header comes twice the last one counts.
    by_name = dict(headers)
    query = scope["query_string"].decode("latin-1")
    public_url = simulator.config.public_url or f"{scope['scheme']}://{by_name.get('host', 'localhost')}"
    return Call(
        operation=operation,
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(query, keep_blank_values=True)),
        query_text=query,
        path_parameters=scope["path_params"],
        headers=by_name,
        header_names=tuple(name for name, _ in headers),
        body=await Request(scope, receive).body(),
        base_url=public_url.rstrip("/"),
    )


def _record(simulator: Simulator, call: Call, answer: Answer | None, fault: Fault | None) -> RequestRecord:
    return RequestRecord(
        at=simulator.clock.now(),
        operation=call.operation,
        method=call.method,
        path=call.path,
        query=call.query_text,
        header_names=call.header_names,
        idempotency_key=call.idempotency_key,
        vipps_system={name: value for name, value in call.headers.items() if name.startswith("vipps-system-")},
        body_sha256=hashlib.sha256(call.body).hexdigest(),
        status=answer.status if answer else None,
        fault=fault.kind if fault else None,
    )


async def _send(send: Send, answer: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type.encode()))
    start: Message = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})


async def _hang(receive: Receive, send: Send, seconds: float | None) -> None:
    try:
        await asyncio.wait_for(_caller_gone(receive), seconds)
    except TimeoutError:
        await _drop(send, AnswerTimeoutError("The simulator let the time run out."))


async def _caller_gone(receive: Receive) -> None:
    """Ends when a real connection closes; over ASGITransport it lasts until the caller is cancelled."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _drop(send: Send, error: Exception) -> NoReturn:
    """An answer begun and never finished makes a real server close the connection under the caller."""
    headers = [(b"content-length", b"2"), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    raise error
