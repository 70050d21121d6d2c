"""A real server in a process of its own."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any, Optional

import httpx

API_KEY = "sentinel-key-of-the-tests"
ADMIN_KEY = "admin-key-of-the-tests"
REPOSITORY = Path(__file__).resolve().parents[3]


class NoServer(Exception):
    """The tests need the server and do without nothing."""


def binary() -> Path:
    named = os.environ.get("NEURAL_GUARD_SERVER")
    builds = [REPOSITORY / "target" / kind / "guard-server" for kind in ("release", "debug")]
    for path in [Path(named)] if named else builds:
        if path.is_file():
            return path.resolve()
    raise NoServer(
        "there is no guard-server to test against: build it with "
        "`cargo build --package guard-server`, or set NEURAL_GUARD_SERVER to one"
    )


class Guard:
    """Keeps its port and its folder over `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: Optional[subprocess.Popen[str]] = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._listen = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self._listen}"

    def start(self) -> "Guard":
        environment = {
            "NEURAL_GUARD__SERVER__LISTEN": self._listen,
            "NEURAL_GUARD__DATA_DIR": str(self._folder / "data"),
            "NEURAL_GUARD_API_KEY": API_KEY,
            "NEURAL_GUARD_ADMIN_KEY": ADMIN_KEY,
            "N8N_BASE_URL": "http://127.0.0.1:9",
            "RUST_LOG": "error",
        }
        self._process = subprocess.Popen(
            [str(binary())],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("listening on "):
                assert line.split()[-1] == self.url
                return self
        raise AssertionError(f"the server ended with {self._process.wait()}")

    def kill(self) -> None:
        """As `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def read(self, path: str, **query: Any) -> dict[str, Any]:
        answer = httpx.get(
            f"{self.url}{path}", params=query, headers={"Authorization": f"Bearer {ADMIN_KEY}"}
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def events(self, **query: Any) -> list[dict[str, Any]]:
        """Every event on record, the oldest first."""
        items: list[dict[str, Any]] = []
        page = self.read("/v1/events", limit=500, **query)
        items += page["items"]
        while page["next_cursor"]:
            page = self.read("/v1/events", limit=500, cursor=page["next_cursor"], **query)
            items += page["items"]
        return items[::-1]
