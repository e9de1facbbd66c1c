"""Logs and metrics: constant event names, ids as fields, and nothing confidential in either."""

import logging
import re
import sys
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.usecases.sweep import Swept

_SECRET_NAMES = re.compile(r"token|secret|authorization|password|phone|e_?mail|name$|signature|subscription_key|cookie")
_PLAIN_NAMES = frozenset({"event_name", "logger_name", "hostname"})
_PATTERNS = (
    (re.compile(r"eyJ[\w-]{6,}\.[\w.-]+"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [hidden]"),
    (re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+\.[^\s@\"'<>]+"), "[e-mail]"),
    (re.compile(r"(?<![\w-])\+?(?:47|45|358)?\d{8}(?![\w-])"), "[number]"),
)


def scrub(text: str) -> str:
    """Text without tokens, credentials, e-mail addresses and phone numbers."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if _SECRET_NAMES.search(name.lower()) and name not in _PLAIN_NAMES:
            event[name] = "[hidden]"
        elif isinstance(value, str) and name not in {"timestamp", "level"}:
            event[name] = scrub(value)
    return event


def configure_logging(level: str, log_format: str) -> None:
    renderer = structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Libraries speak through the same filter, and only when something is wrong.
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge()], force=True)


class _Bridge(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        event = {"logger": record.name, "text": record.getMessage()}
        structlog.get_logger().log(record.levelno, "library.message", exc_info=record.exc_info, **event)


class Metrics:
    """The process's numbers for Prometheus, in a registry of their own so that tests do not share them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Requests answered", ["route", "status"], registry=self.registry)
        self.seconds = Histogram("http_request_seconds", "Time to answer", ["route"], registry=self.registry)
        self.swept = Counter("swept_rows", "Rows the sweeper took up", ["sort"], registry=self.registry)
        self.bugs = Counter("unforeseen_errors", "Exceptions that no rule foresaw", registry=self.registry)
        self.findings = Gauge(
            "reconciliation_open_findings",
            "Differences between our books and Vipps' that are left",
            registry=self.registry,
        )
        self.dead_letters = Gauge("dead_letters", "Work that waits for a person", registry=self.registry)
        self.renewal_gaps = Gauge(
            "renewal_gaps", "Subscriptions without the renewal that their schedule says", registry=self.registry
        )
        self.last_sweep = Gauge("last_sweep_timestamp_seconds", "When the sweeper last ended", registry=self.registry)

    def record_sweep(self, swept: Swept) -> None:
        for sort in Swept.__dataclass_fields__:
            self.swept.labels(sort).inc(getattr(swept, sort))
        self.last_sweep.set_to_current_time()

    def bug(self, error: BaseException) -> None:
        self.bugs.inc()
        structlog.get_logger().error("error.unforeseen", exc_info=error)


class RequestLog:
    """ASGI middleware: one log line and one count a request; the path without its query, which may hold anything."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=uuid.uuid4().hex[:12])

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(seconds)
            structlog.get_logger().info(
                "request.answered", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1)
            )
