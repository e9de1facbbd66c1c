"""How soon `serve` is ready on SQLite, and how much memory it holds when idle."""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from app.demo import free_port

_COMMAND = "from app.cli import main; main()"


def serving() -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environment = dict(os.environ) | {"APP_URL": url, "SECRET_KEY": secrets.token_hex(32), "DATA_DIR": folder}
        for run in ("first start, makes the database", "second start"):
            began = time.monotonic()
            command = [sys.executable, "-c", _COMMAND, "serve", "--port", str(port)]
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603  # our own
            try:
                _await(url)
                ready = time.monotonic() - began
                time.sleep(3)
                print(f"serve, {run}: ready after {ready:.2f} s (goal 3), {_memory(process.pid)} MB idle (goal 130)")
            finally:
                process.terminate()
                process.wait(25)


def _await(url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    raise RuntimeError("serve did not become ready")


def _memory(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]
    return int(kilobytes) // 1024
