"""Fixtures."""

import logging
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from .both import Client
from .fake import Fake, Reply
from .guard import Guard, binary

Start = Callable[..., Fake]
MakeClient = Callable[..., Client]

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "sentinel"))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NEURAL_GUARD_URL", "NEURAL_GUARD_API_KEY", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _all_log_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    eventually(lambda: not [t for t in threading.enumerate() if "neural-guard" in t.name])


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    binary()
    guard = Guard(tmp_path).start()
    yield guard
    guard.kill()


@pytest.fixture
def fake() -> Iterator[Start]:
    started: list[Fake] = []

    def start(*replies: Reply) -> Fake:
        started.append(Fake(replies or (Reply(),)))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def make() -> Iterator[MakeClient]:
    made: list[Client] = []

    def client(*args: Any, **options: Any) -> Client:
        made.append(Client(*args, **options))
        return made[-1]

    yield client
    for one in made:
        one.close(0.1)


def eventually(holds: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to be in time"
        time.sleep(0.01)
