"""Simulators and app as real processes on loopback, with a database of their own: for tests, and to look around."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from app.demo.errors import StoryError

_START_SECONDS = 60.0


def _vipps(url: str) -> Any:
    from app.vipps.simulator import Simulator, SimulatorConfig, create_app

    return create_app(Simulator(SimulatorConfig(public_url=url)))


def _saleor(url: str, *, small: bool) -> Any:
    from app.saleor.simulator.server import create_app
    from app.saleor.simulator.simulator import Simulator

    api = f"{url}/graphql/"
    return create_app(Simulator(api, schema_directory=None) if small else Simulator(api))


def serve_simulator(which: str, host: str, port: int, *, small: bool = False) -> None:
    """Serve one simulator in this process. A `small` Saleor knows the part of the schema that it serves, and starts
    quicker; otherwise it takes Saleor's whole schema where that stands beside the project.
    """
    url = f"http://{host}:{port}"
    served = _vipps(url) if which == "vipps" else _saleor(url, small=small)
    uvicorn.run(served, host=host, port=port, log_level="warning", access_log=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything of one demo runs."""

    app: str
    vipps: str
    saleor: str
    environment: Mapping[str, str]

    @property
    def shop(self) -> str:
        return f"{self.saleor}/graphql/"


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port: int = it.getsockname()[1]
        return port


def command_line(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from app.cli import main; main()", *arguments]


@contextmanager
def _process(place: Place, log: Path, *arguments: str) -> Iterator[None]:
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the demo, which then ends its processes in order.
        started = subprocess.Popen(  # noqa: S603  # our own command line
            command_line(*arguments), env=dict(place.environment), stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield
        finally:
            started.send_signal(signal.SIGTERM)
            try:
                started.wait(25)
            except subprocess.TimeoutExpired:
                started.kill()


def _await(url: str, log: Path) -> None:
    """Wait until `url` answers 200."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, timeout=2).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise StoryError(f"{url} did not come up; its log says:\n{log.read_text()[-2000:]}")


@contextmanager
def processes() -> Iterator[Place]:
    """Start all three on free ports, with a fresh SQLite file and a secret key of their own; end them at the end."""
    with tempfile.TemporaryDirectory(prefix="vipps-recurring-demo-") as folder, ExitStack() as running:
        ports = {name: free_port() for name in ("app", "vipps", "saleor")}
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        settings = {
            "APP_URL": urls["app"],
            "SECRET_KEY": secrets.token_hex(32),
            "DATA_DIR": folder,
            "ALLOWED_SALEOR_URLS": f"{urls['saleor']}/graphql/",
            "PRIVATE_NETWORKS": "allow",
            "VIPPS_TEST_URL": urls["vipps"],
            "LOG_FORMAT": "json",
        }
        inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "SECRET_KEY"}}
        place = Place(urls["app"], urls["vipps"], urls["saleor"], inherited | settings)
        commands = {
            "vipps": ("simulate", "vipps", "--port", str(ports["vipps"])),
            "saleor": ("simulate", "saleor", "--small", "--port", str(ports["saleor"])),
            "app": ("serve", "--port", str(ports["app"])),
        }
        logs = {name: Path(folder) / f"{name}.log" for name in commands}
        for name, arguments in commands.items():
            running.enter_context(_process(place, logs[name], *arguments))
        for name, page in {"vipps": "/", "saleor": "/", "app": "/readyz"}.items():
            _await(urls[name] + page, logs[name])
        yield place


def command(place: Place, *arguments: str, **more: str) -> str:
    """Run one of our own commands as an operator would, with more environment variables; its output."""
    done = subprocess.run(  # noqa: S603  # our own command line
        command_line(*arguments), env=dict(place.environment) | more, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise StoryError(f"{' '.join(arguments)} failed: {done.stderr.strip()}")
    return done.stdout
