"""Sentinel never hears of the guard's troubles, and nobody reads its secrets."""

import asyncio
import logging
import threading
from typing import Any

import httpx
import pytest

from neural_guard_client import NeuralGuardClient, SyncNeuralGuardClient

from .both import KEY, both
from .conftest import MakeClient, Start, eventually
from .fake import Reply


def circle() -> "dict[str, Any]":
    context: dict[str, Any] = {}
    context["itself"] = context
    return context


def deep() -> "dict[str, Any]":
    context: dict[str, Any] = {}
    for _ in range(100_000):
        context = {"in": context}
    return context


class Rude:
    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


@both
@pytest.mark.parametrize(
    "context",
    [{"x": object()}, {"x": float("nan")}, circle(), {("a",): 1}, {"x": Rude()}, {"x": b"raw"}],
    ids=["object", "nan", "circle", "key", "rude", "bytes"],
)
def test_what_json_cannot_hold(
    kind: str,
    context: "dict[Any, Any]",
    fake: Start,
    caplog: pytest.LogCaptureFixture,
    make: MakeClient,
) -> None:
    client = make(kind, fake().url)
    assert client.send(context=context) is None
    assert client.stats.failed == 1
    assert "cannot be sent" in caplog.text


@both
def test_what_is_nested_too_deep(kind: str, fake: Start, make: MakeClient) -> None:
    client = make(kind, fake().url)
    assert client.send(context=deep()) is None
    assert client.stats.failed == 1


@pytest.mark.parametrize("error", [RuntimeError, httpx.ConnectError, httpx.ReadTimeout, OSError])
def test_whatever_the_network_does(error: "type[Exception]") -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error("no")

    with SyncNeuralGuardClient(
        "http://guard", KEY, total_timeout=0.05, transport=httpx.MockTransport(fail)
    ) as client:
        assert client.send_event("backup_failed", "high", {}) is None
        assert client.stats.buffered == 1


@both
@pytest.mark.parametrize(
    "url", ["guard:3000", "http://", "ftp://x", "http://u:s3cret@guard", "\x00"]
)
def test_a_wrong_url_is_told_once(
    kind: str, url: str, caplog: pytest.LogCaptureFixture, make: MakeClient
) -> None:
    client = make(kind, url)
    assert client.send() is None
    assert client.send() is None
    assert (client.stats.failed, client.stats.buffered) == (2, 0)
    assert caplog.text.count("NEURAL_GUARD_URL") == 1
    assert "s3cret" not in caplog.text


@both
@pytest.mark.parametrize(
    "key", [None, "", "  ", "k\u00e9y-of-the-tests-01", "key\nof-the-tests-01"]
)
def test_without_a_usable_key_nothing_is_sent(
    kind: str, key: str, fake: Start, caplog: pytest.LogCaptureFixture, make: MakeClient
) -> None:
    server = fake()
    client = make(kind, server.url, api_key=key)
    assert client.send() is None
    assert client.send() is None
    assert (client.stats.failed, client.stats.buffered, server.seen) == (2, 0, [])
    assert len([r for r in caplog.records if r.levelno >= logging.ERROR]) == 1
    assert not key or not key.strip() or key not in caplog.text


def test_arguments_come_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, fake: Start
) -> None:
    server = fake()
    assert NeuralGuardClient().base_url == "http://neural-guard:3000"
    monkeypatch.setenv("NEURAL_GUARD_URL", server.url + "/")
    monkeypatch.setenv("NEURAL_GUARD_API_KEY", KEY + "\n")
    with SyncNeuralGuardClient() as client:
        assert client.base_url == server.url
        assert client.send_event("backup_failed", "high", {}) is not None
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert SyncNeuralGuardClient("http://other", "another").base_url == "http://other"


@both
def test_the_key_is_in_no_log_line_and_no_repr(
    kind: str, fake: Start, caplog: pytest.LogCaptureFixture, make: MakeClient
) -> None:
    for reply in (Reply(), Reply(401), Reply(500), Reply(body=b"x")):
        client = make(kind, fake(reply).url, total_timeout=0.1)
        client.send()
        client.close(0.1)
    assert len(caplog.records) > 10, "the lines of the HTTP library are among them"
    assert KEY not in caplog.text
    for one in (NeuralGuardClient("http://g", KEY), SyncNeuralGuardClient("http://g", KEY)):
        assert KEY not in repr(one) + str(one) + repr(one._core.settings)


def test_a_cancelled_call_is_cancelled_and_its_event_is_sent(fake: Start) -> None:
    server = fake(Reply(seconds=0.3), Reply())

    async def run() -> None:
        async with NeuralGuardClient(server.url, KEY) as client:
            call = asyncio.create_task(client.send_event("backup_failed", "high", {}))
            await asyncio.to_thread(eventually, lambda: server.seen)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await client.flush(5)
            assert client.stats.sent == 1

    asyncio.run(run())
    assert len({seen.event["id"] for seen in server.seen}) == 1


def test_a_thread_of_the_client_ends_with_what_it_had_to_do(fake: Start, make: MakeClient) -> None:
    client = make("sync", fake(Reply(503, {"Retry-After": "1"}), Reply()).url, total_timeout=0.9)
    before = threading.active_count()
    client.send()
    eventually(lambda: client.stats.sent == 1)
    eventually(lambda: threading.active_count() <= before + 1)
