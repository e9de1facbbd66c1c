"""Real processes on loopback: both simulators, and the app that may be killed and started again."""

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from app.demo.processes import command_line, free_port
from app.vipps.simulator import DEFAULT_MERCHANT

T = TypeVar("T")
PATIENCE = 60.0
SCOPES = ("agreements:read", "agreements:write", "charges:read", "charges:write", "token:read")


class Running:
    """One of our commands as a process of its own. Everything it says is in its log."""

    def __init__(self, log: Path, environment: Mapping[str, str], *arguments: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603  # our own command line
                command_line(*arguments), env=dict(environment), stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self, seconds: float = 25.0) -> int:
        """The exit code; kills what does not end by itself."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def await_page(self, url: str) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, f"it ended; its log says:\n{self.log.read_text()[-3000:]}"
            try:
                return httpx.get(url, timeout=5).status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        wait_for(f"{url} to answer", answers)


def wait_for(what: str, look: Callable[[], Any], seconds: float = PATIENCE, pause: float = 0.05) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(pause)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def in_a_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Asynchronous work outside of any event loop that runs here."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def plain_environment(**more: str) -> dict[str, str]:
    """This machine's environment without any setting of ours."""
    ours = {"APP_URL", "SECRET_KEY", "DATABASE_URL", "DATA_DIR", "ALLOWED_SALEOR_URLS", "ALLOW_ANY_SALEOR"}
    return {name: value for name, value in os.environ.items() if name not in ours} | more


def run(environment: Mapping[str, str], *arguments: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """One of our commands, to its end."""
    return subprocess.run(  # noqa: S603  # our own command line
        command_line(*arguments), env=dict(environment), capture_output=True, text=True, check=False, timeout=seconds
    )


@dataclass
class Simulators:
    vipps: str
    saleor: str

    def post(self, url: str, body: Any = None) -> Any:
        answer = httpx.post(url, json={} if body is None else body, timeout=30)
        assert answer.is_success, (url, answer.status_code, answer.text[:500])
        return answer.json() if answer.content else None

    def get(self, url: str) -> Any:
        return httpx.get(url, timeout=30).raise_for_status().json()

    def fault(self, **fault: Any) -> None:
        self.post(f"{self.vipps}/simulator/faults", fault)

    def latency(self, seconds: float) -> None:
        self.post(f"{self.vipps}/simulator/latency", {"seconds": seconds})

    def clear_faults(self) -> None:
        httpx.delete(f"{self.vipps}/simulator/faults", timeout=10).raise_for_status()

    def created(self, agreement: str) -> list[dict[str, Any]]:
        books = self.get(f"{self.vipps}/simulator/ledger")
        return [it for it in books if it["effect"] == "create" and it["agreement_id"] == agreement]

    def calls(self, operation: str, agreement: str) -> list[dict[str, Any]]:
        records = self.get(f"{self.vipps}/simulator/requests")
        return [it for it in records if it["operation"] == operation and agreement in it["path"]]

    def order(self, order_id: str) -> dict[str, Any]:
        orders = self.get(f"{self.saleor}/simulator/orders")
        return next(dict(it) for it in orders if it["id"] == order_id)


@contextmanager
def simulators(folder: Path) -> Iterator[Simulators]:
    """Both simulators, each in a process of its own."""
    vipps, saleor = free_port(), free_port()
    with ExitStack() as running:
        started = {}
        for name, port in (("vipps", vipps), ("saleor", saleor)):
            it = Running(folder / f"{name}.log", plain_environment(), "simulate", name, "--port", str(port))
            running.callback(it.terminate)
            started[port] = it
        for port, it in started.items():
            it.await_page(f"http://127.0.0.1:{port}/")
        yield Simulators(f"http://127.0.0.1:{vipps}", f"http://127.0.0.1:{saleor}")


@dataclass
class Machine:
    """The app with its settings and its database; its processes are started, killed and started again.

    On SQLite there is one process, `serve`; on PostgreSQL there are `workers` others beside it.
    """

    folder: Path
    outside: Simulators
    database: str = ""
    workers: int = 1
    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    secret_key: str = field(default_factory=lambda: secrets.token_hex(32))
    running: dict[str, Running] = field(default_factory=dict)
    _began: dict[str, int] = field(default_factory=dict)  # where in its log a process of that name began

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def shop(self) -> str:
        return f"{self.outside.saleor}/graphql/"

    @property
    def names(self) -> list[str]:
        """Of the processes that belong to it."""
        shared = self.database.startswith("postgresql")
        return ["serve", *(f"worker-{number + 1}" for number in range(self.workers if shared else 0))]

    def log(self, name: str = "serve") -> Path:
        return self.folder / f"{name}.log"

    def errors(self) -> list[str]:
        """What its processes logged as errors."""
        lines = [line for name in self.names for line in self.log(name).read_text().splitlines()]
        return [line for line in lines if '"level": "error"' in line or line.startswith("Traceback")]

    @property
    def environment(self) -> dict[str, str]:
        settings = {
            "APP_URL": self.url,
            "SECRET_KEY": self.secret_key,
            "DATA_DIR": str(self.folder),
            "ALLOWED_SALEOR_URLS": self.shop,
            "PRIVATE_NETWORKS": "allow",
            "VIPPS_TEST_URL": self.outside.vipps,
            "LOG_FORMAT": "json",
        }
        database = {"DATABASE_URL": self.database} if self.database else {}
        return plain_environment(**settings, **database, **self.settings)

    def runs(self, name: str = "serve") -> bool:
        return name in self.running and self.running[name].process.poll() is None

    def is_up(self, name: str) -> bool:
        """Whether a process that was started has come so far as to work."""
        if name != "serve":
            return b"worker.ready" in self.log(name).read_bytes()[self._began.get(name, 0) :]
        try:
            return httpx.get(f"{self.url}/healthz", timeout=1).is_success
        except httpx.TransportError:
            return False

    def launch(self, name: str) -> None:
        """Start one process, and do not wait for it."""
        log = self.log(name)
        self._began[name] = log.stat().st_size if log.exists() else 0
        arguments = ("serve", "--port", str(self.port)) if name == "serve" else ("worker",)
        self.running[name] = Running(self.log(name), self.environment, *arguments)

    def start(self) -> None:
        """Start what does not run, and wait until all is ready."""
        for name in self.names:
            if not self.runs(name):
                self.launch(name)
        self.running["serve"].await_page(f"{self.url}/readyz")

    def kill(self, *names: str) -> None:
        """End processes suddenly: those, or all."""
        for name in names or self.names:
            self.running[name].kill()

    def stop(self, *names: str) -> dict[str, int]:
        """End processes in order, those or all; their exit codes."""
        return {name: self.running[name].terminate() for name in names or self.names}

    def close(self) -> None:
        for it in self.running.values():
            if it.process.poll() is None:
                it.kill()

    def command(self, *arguments: str, **more: str) -> str:
        done = run(self.environment | more, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def install(self, api_version: str = "v2") -> None:
        self.outside.post(f"{self.outside.saleor}/simulator/install", {"manifest_url": f"{self.url}/api/manifest"})
        self.set_account(api_version)

    def set_account(self, api_version: str, channel: str = "default") -> None:
        self.command(
            *("account", "set", "--shop", self.shop, "--environment", "test", "--msn", DEFAULT_MERCHANT.msn),
            *("--client-id", DEFAULT_MERCHANT.client_id, "--agreement-url", "http://127.0.0.1/my-subscription"),
            *("--api-version", api_version, "--channel", channel),
            VIPPS_CLIENT_SECRET=DEFAULT_MERCHANT.client_secret,
            VIPPS_SUBSCRIPTION_KEY=DEFAULT_MERCHANT.subscription_key,
        )

    def subscribe(self, **more: Any) -> tuple[str, str]:
        """A new customer and an approved agreement, with more in it than usual."""
        simulator = f"{self.outside.saleor}/simulator"
        customer = self.outside.post(f"{simulator}/customers", {"email": f"{secrets.token_hex(6)}@example.com"})["id"]
        token = self.outside.post(f"{simulator}/tokens", {"kind": "customer", "user": customer})["token"]
        query = """mutation ($input: AgreementCreateInput!) {
          agreementCreate(input: $input) { agreement { id } errors { message } } }"""
        wish = {
            "price": 25000,
            "productName": "Coffee",
            "interval": {"unit": "MONTH", "count": 1},
            "redirectUrl": "http://127.0.0.1/thanks",
            **more,
        }
        headers = {"Authorization": f"Bearer {token}"}
        body = {"query": query, "variables": {"input": wish}}
        answer = httpx.post(f"{self.url}/graphql", json=body, headers=headers, timeout=30).json()
        agreement: str = answer["data"]["agreementCreate"]["agreement"]["id"]
        self.outside.post(f"{self.outside.vipps}/simulator/agreements/{agreement}/approve")
        return customer, agreement

    def order(self, customer: str, agreement: str) -> str:
        body = {"customer": customer, "amount": "199.90", "metadata": {"vipps-recurring.agreement": agreement}}
        order_id: str = self.outside.post(f"{self.outside.saleor}/simulator/orders", body)["id"]
        return order_id
