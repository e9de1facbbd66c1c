"""Real processes: the demo, sudden death in the middle of a charge, orderly ends, settings and the command line."""

import contextlib
import json
import logging
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import structlog
from typer.testing import CliRunner, Result

from app.cli import app as commands
from app.demo import free_port
from app.demo.processes import command_line
from app.vipps.simulator import DEFAULT_MERCHANT
from tests.e2e.machines import (
    SCOPES,
    Machine,
    Simulators,
    in_a_thread,
    plain_environment,
    run,
    simulators,
    wait_for,
)

pytestmark = pytest.mark.e2e
LONG_KEY = "0123456789abcdef" * 4
# Faults that leave a call to Vipps in flight for as long as nobody hangs up: without and with its effect.
IN_FLIGHT = ("timeout-before", "timeout-after")


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulators]:
    with simulators(tmp_path_factory.mktemp("simulators")) as running:
        yield running


@pytest.fixture(scope="module")
def _installed(outside: Simulators, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with contextlib.closing(Machine(tmp_path_factory.mktemp("app"), outside)) as machine:
        machine.start()
        machine.install()
        yield machine


@pytest.fixture
def on_sqlite(_installed: Machine) -> Machine:
    """The app on an SQLite file, installed and running."""
    if not _installed.runs():
        _installed.start()
    return _installed


Cli = Callable[..., Result]


@pytest.fixture
def cli(_installed: Machine) -> Iterator[Cli]:
    """Our commands in this process, on the machine's database: a process for each takes seconds."""
    handlers, configured = list(logging.getLogger().handlers), structlog.get_config()

    def call(*arguments: str, **more: str) -> Result:
        ours = {name: value for name, value in _installed.environment.items() if os.environ.get(name) != value}
        return CliRunner().invoke(commands, arguments, env=ours | more)

    yield call
    logging.getLogger().handlers[:] = handlers
    structlog.configure(**configured)


def _killed_while_charging(machine: Machine, fault: dict[str, Any] | None, process: str = "serve") -> tuple[str, str]:
    """An order's charge is in flight when the process is killed. The order and the agreement."""
    customer, agreement = machine.subscribe()
    if fault is None:
        machine.outside.latency(2.0)
    else:
        machine.outside.fault(operation="createCharge", **fault)
    order = machine.order(customer, agreement)
    wait_for("the call to Vipps", lambda: machine.outside.calls("createCharge", agreement))
    machine.kill(process)
    machine.outside.latency(0.0)
    machine.outside.clear_faults()
    assert machine.outside.order(order)["privateMetadata"] == {}
    return order, agreement


def _charged_once(machine: Machine, order: str, agreement: str) -> None:
    shown = wait_for(
        "the order to show its charge",
        lambda: machine.outside.order(order)["privateMetadata"].get("vipps-recurring.charge"),
    )
    time.sleep(0.5)  # for whoever would charge it again
    [made] = machine.outside.created(agreement)
    assert made["charge_id"] == shown
    assert made["amount"] == 19_990
    calls = machine.outside.calls("createCharge", agreement)
    assert len({(it["idempotency_key"], it["body_sha256"]) for it in calls}) == 1
    assert len(machine.outside.order(order)["notes"]) == 1


@pytest.mark.parametrize("fault", [None, *IN_FLIGHT])
def test_a_process_killed_in_the_middle_of_a_charge_leaves_one_charge(on_sqlite: Machine, fault: str | None) -> None:
    order, agreement = _killed_while_charging(on_sqlite, {"kind": fault} if fault else None)

    on_sqlite.start()

    _charged_once(on_sqlite, order, agreement)


def _at_once(url: str, *commands: str) -> None:
    async def work() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        try:
            for command in commands:
                await connection.execute(command)
        finally:
            await connection.close()

    in_a_thread(work)


def _ready(machine: Machine) -> dict[str, bool]:
    answer: dict[str, bool] = httpx.get(f"{machine.url}/readyz", timeout=5).json()
    return answer


def test_workers_on_postgresql_carry_the_charges_and_leave_one_where_they_are_killed(
    tmp_path: Path, postgres: Any
) -> None:
    with simulators(tmp_path) as around, contextlib.closing(Machine(tmp_path, around, postgres.create())) as machine:
        machine.command("migrate")
        machine.launch("serve")
        machine.running["serve"].await_page(f"{machine.url}/healthz")
        assert _ready(machine) == {"database": True, "worker": False}
        machine.start()
        assert _ready(machine) == {"database": True, "worker": True}
        [said] = [line for line in machine.log("worker-1").read_text().splitlines() if "worker.ready" in line]
        assert json.loads(said)["loop"] == ("asyncio.windows_events" if sys.platform == "win32" else "uvloop")
        machine.install()
        order, agreement = _killed_while_charging(machine, {"kind": "timeout-after"}, "worker-1")
        # Another process could live still, so the leases have to run out: here they do without the wait.
        _at_once(machine.database, "UPDATE charge SET lease_until = now()", "UPDATE inbox SET lease_until = now()")
        machine.start()
        _charged_once(machine, order, agreement)

        machine.outside.latency(2.0)
        customer, agreement = machine.subscribe()
        order = machine.order(customer, agreement)
        wait_for("the call to Vipps", lambda: machine.outside.calls("createCharge", agreement))
        assert machine.stop("worker-1") == {"worker-1": 0}
        # It was asked to end in the middle of a charge, and has seen that through.
        _charged_once(machine, order, agreement)
        # What the killed one has left behind is still young enough to pass for a worker.
        _at_once(machine.database, "UPDATE worker SET seen_at = seen_at - interval '1 minute'")
        assert _ready(machine) == {"database": True, "worker": False}
        assert machine.stop("serve") == {"serve": 0}
        assert machine.errors() == []


def _nobody_around(folder: Path, database: str = "") -> Machine:
    return Machine(folder, Simulators("http://127.0.0.1:1", "http://127.0.0.1:1"), database=database)


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which a command said why it would not start."""
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_database_that_is_not_up_to_date_is_told_in_one_line(tmp_path: Path, postgres: Any, command: str) -> None:
    machine = _nobody_around(tmp_path, postgres.create())
    assert "vipps-recurring migrate" in _refused(run(machine.environment, command))


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_job_engine_that_is_not_installed_is_told_in_one_line(
    tmp_path: Path, request: pytest.FixtureRequest, command: str
) -> None:
    machine = _nobody_around(tmp_path, request.getfixturevalue("_postgres_migrated"))
    assert "the job engine has no tables yet: run vipps-recurring migrate" in _refused(
        run(machine.environment, command)
    )


class _NoEntry(socketserver.BaseRequestHandler):
    """A PostgreSQL server that lets nobody in."""

    def handle(self) -> None:
        tls_wanted = 80877103
        while len(start := self.request.recv(1024)) >= 8 and int.from_bytes(start[4:8]) == tls_wanted:
            self.request.sendall(b"N")
        fields = b'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user "app"\0\0'
        self.request.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)


@pytest.fixture
def no_entry() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _NoEntry) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_database_that_does_not_let_us_in_is_told_in_one_line_without_its_password(
    tmp_path: Path, postgres: Any, no_entry: str
) -> None:
    server = httpx.URL(postgres.create().replace("+asyncpg", "")).netloc.decode()
    # What is started, with which database, and what is said of it.
    cases = [
        ("serve", f"{no_entry}/shop", "password authentication failed"),
        ("worker", f"{no_entry}/shop", "password authentication failed"),
        ("migrate", f"{no_entry}/shop", "password authentication failed"),
        ("serve", f"{server}/nothing_like_it", 'database "nothing_like_it" does not exist'),
        ("serve", f"127.0.0.1:{free_port()}/shop", "Connect call failed"),
        ("serve", "no-such-host.invalid/shop", ""),
    ]

    def attempt(case: tuple[str, str, str]) -> subprocess.CompletedProcess[str]:
        url = f"postgresql+asyncpg://postgres:hush-hush@{case[1]}"
        return run(_nobody_around(tmp_path, url).environment, case[0])

    with ThreadPoolExecutor(2) as threads:
        ended = list(zip(cases, threads.map(attempt, cases), strict=True))

    for case, done in ended:
        line = _refused(done)
        assert line.startswith("the database cannot be used: "), case
        assert case[2] in line, case
        assert "hush-hush" not in done.stdout + done.stderr, case


def test_a_process_that_is_asked_to_end_does_so_in_order(on_sqlite: Machine) -> None:
    before = len(on_sqlite.errors())
    began = time.monotonic()
    codes = on_sqlite.stop()
    seconds = time.monotonic() - began

    assert seconds < 20
    assert on_sqlite.errors()[before:] == []
    assert codes == {"serve": 0}


def test_the_demo_tells_its_whole_story(tmp_path: Path) -> None:
    done = run(plain_environment(TMPDIR=str(tmp_path)), "demo", "--once", seconds=280)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Everything went as told" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.glob("vipps-recurring-demo-*")) == []


def test_a_demo_that_is_asked_to_end_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = plain_environment(TMPDIR=str(tmp_path))
    with (
        (tmp_path / "errors").open("w+") as errors,
        subprocess.Popen(  # noqa: S603  # our own command line
            command_line("demo"), env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as demo,
    ):
        assert demo.stdout is not None
        assert any("Nothing is kept." in line for line in demo.stdout)
        demo.send_signal(signal.SIGTERM)
        assert demo.wait(30) == 0
        errors.seek(0)
        assert "Traceback" not in errors.read()
    assert list(tmp_path.glob("vipps-recurring-demo-*")) == []


GOOD = {"APP_URL": "https://app.example", "SECRET_KEY": LONG_KEY}
# Settings that are wrong, which are named for it, and a value that must not be repeated.
MISTAKES: dict[str, tuple[dict[str, str], list[str], str]] = {
    "nothing set": ({}, ["APP_URL", "SECRET_KEY"], "\0"),
    "a short key among long ones": (GOOD | {"SECRET_KEY": f"{LONG_KEY},hush-hush"}, ["SECRET_KEY"], "hush-hush"),
    "another database": (
        GOOD | {"DATABASE_URL": "mysql://root:hush-hush@db/x", "MAX_SYNC_BATCH": "0"},
        ["DATABASE_URL", "MAX_SYNC_BATCH"],
        "hush-hush",
    ),
    "a password that is not written as it must be": (
        GOOD | {"DATABASE_URL": "postgresql+asyncpg://shop:hush/hush@db/shop"},
        ["DATABASE_URL"],
        "hush",
    ),
    "many at once": (
        {"APP_URL": "ftp://hush", "SECRET_KEY": "hush", "LOG_LEVEL": "hush", "PRIVATE_NETWORKS": "hush"},
        ["APP_URL", "SECRET_KEY", "LOG_LEVEL", "PRIVATE_NETWORKS"],
        "hush",
    ),
}


def test_wrong_settings_are_told_one_line_each_and_never_with_their_value(tmp_path: Path) -> None:
    def attempt(settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return run(plain_environment(DATA_DIR=str(tmp_path / "data")) | settings, "serve", "--port", "1")

    with ThreadPoolExecutor(2) as threads:
        ended = dict(zip(MISTAKES, threads.map(attempt, [it[0] for it in MISTAKES.values()]), strict=True))

    for name, (_, variables, value) in MISTAKES.items():
        done = ended[name]
        lines = done.stderr.splitlines()
        assert done.returncode == 1, name
        assert sorted(line.partition(":")[0] for line in lines) == sorted(variables), (name, done.stderr)
        assert all(re.fullmatch(r"[A-Z_]+: \S.{5,}", line) for line in lines), (name, done.stderr)
        assert value not in done.stdout + done.stderr, name
    assert not (tmp_path / "data").exists()


def test_accounts_are_set_listed_and_checked(on_sqlite: Machine, cli: Cli) -> None:
    listed = cli("account", "list", "--json").stdout
    [account] = json.loads(listed)
    assert account["shop"] == on_sqlite.shop
    assert account["msn"] == DEFAULT_MERCHANT.msn
    assert account["channel"] == "default"
    for secret in (DEFAULT_MERCHANT.client_secret, DEFAULT_MERCHANT.subscription_key):
        assert secret not in listed + cli("account", "list").stdout
    assert json.loads(cli("account", "check", "--json").stdout)[0]["sign in"] == "ok"

    secret_file = on_sqlite.folder / "client-secret"
    secret_file.write_text("a-wrong-client-secret\n")
    done = cli(
        *("account", "set", "--shop", on_sqlite.shop, "--environment", "test", "--msn", DEFAULT_MERCHANT.msn),
        *("--client-id", DEFAULT_MERCHANT.client_id, "--channel", "finland"),
        *("--client-secret-file", str(secret_file)),
        VIPPS_SUBSCRIPTION_KEY=DEFAULT_MERCHANT.subscription_key,
    )
    assert done.exit_code == 0
    checked = cli("account", "check", "--json")
    results = {it["channel"]: it["sign in"] for it in json.loads(checked.stdout)}
    assert checked.exit_code == 1
    assert results["default"] == "ok"
    assert "credentials" in results["finland"]
    assert "a-wrong-client-secret" not in checked.output


def test_an_account_of_a_shop_that_has_not_installed_the_app_is_refused(cli: Cli) -> None:
    done = cli(
        *("account", "set", "--shop", "https://nobody.example/graphql/", "--environment", "test"),
        *("--msn", "123456", "--client-id", "x"),
        VIPPS_CLIENT_SECRET="hush-hush",
        VIPPS_SUBSCRIPTION_KEY="hush-hush",
    )
    assert done.exit_code == 1
    assert "not installed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "hush-hush" not in done.output


def test_api_clients_are_made_listed_and_revoked(on_sqlite: Machine, cli: Cli) -> None:
    scopes = [part for scope in SCOPES for part in ("--scope", scope)]
    made = json.loads(cli("client", "create", "--shop", on_sqlite.shop, "--json", *scopes).stdout)
    pair = (made["id"], made["secret"])
    address = f"{on_sqlite.url}/vipps-recurring-payments/test/auth"
    assert made["scopes"] == sorted(SCOPES)
    assert httpx.get(address, auth=pair).status_code == 200
    listed = cli("client", "list", "--shop", on_sqlite.shop, "--json").stdout
    assert made["secret"] not in listed
    assert {it["id"]: it["state"] for it in json.loads(listed)}[made["id"]] == "active"

    assert cli("client", "revoke", made["id"]).exit_code == 0
    assert httpx.get(address, auth=pair).status_code == 401
    again = json.loads(cli("client", "list", "--shop", on_sqlite.shop, "--json").stdout)
    assert {it["id"]: it["state"] for it in again}[made["id"]] == "revoked"
    unknown = cli("client", "revoke", "vrc_nobody")
    assert unknown.exit_code == 1
    assert "no API client" in unknown.stderr


def test_migrate_may_be_run_again_and_turns_secrets_to_the_newest_key(on_sqlite: Machine, cli: Cli) -> None:
    old = on_sqlite.secret_key
    assert "up to date" in cli("migrate", SECRET_KEY=f"{LONG_KEY},{old}").stdout
    try:
        assert cli("account", "list", SECRET_KEY=LONG_KEY).exit_code == 0
        lost = cli("account", "list")
        assert lost.exit_code == 1
        assert "SECRET_KEY" in lost.stderr
        assert "Traceback" not in lost.output
    finally:
        cli("migrate", SECRET_KEY=f"{old},{LONG_KEY}")


def test_the_schema_that_is_printed_is_the_one_in_the_repository(cli: Cli) -> None:
    stored = Path(__file__).parents[2] / "graphql" / "extension.graphql"
    assert cli("schema").stdout == stored.read_text()
