"""Against the real server."""

import asyncio
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from neural_guard_client import NeuralGuardClient, SyncNeuralGuardClient

from . import seed_client
from .guard import API_KEY, Guard

CONTEXT = {"backup_file": "a.sql.gz", "error": "Connection timeout", "retry_count": 0}


def test_an_event_is_answered_and_on_record(guard: Guard) -> None:
    async def run() -> None:
        async with NeuralGuardClient(guard.url, API_KEY) as client:
            answer = await client.send_event("backup_failed", "high", CONTEXT)
            assert answer is not None
            assert answer["status"] == "processed"
            assert answer["decision"] in ("playbook_triggered", "playbook_queued")
            assert answer["playbook_triggered"] == "backup-recovery"
            assert (client.stats.sent, client.stats.buffered) == (1, 0)
            [item] = guard.events()
            record = guard.read(f"/v1/events/{answer['event_id']}")["event"]
            assert record["context"] == CONTEXT
            assert record["source"] == "sentinel"
            age = datetime.now(timezone.utc) - datetime.fromisoformat(
                record["timestamp"].replace("Z", "+00:00")
            )
            assert timedelta(0) <= age < timedelta(seconds=10)
            assert "backup_failed" in str(item)

    asyncio.run(run())


@pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning")
def test_the_client_that_sentinel_has_keeps_working(guard: Guard) -> None:
    async def run() -> None:
        client = seed_client.NeuralGuardClient(base_url=guard.url, api_key=API_KEY)
        answer = await client.send_event(
            event_type="backup_failed", severity="high", context=CONTEXT
        )
        assert answer is not None
        assert answer["playbook_triggered"] == "backup-recovery"
        await client.client.aclose()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("event_type", "severity", "context", "said"),
    [
        ("backup_faild", "high", {}, "backup_failed"),
        ("backup_failed", "severe", {}, "severity"),
        ("backup_failed", "high", {"text": "x" * 70_000}, "context"),
        ("backup_failed", "high", {"text": "x" * 200_000}, "413"),
    ],
)
def test_what_the_guard_refuses_is_logged_and_not_repeated(
    guard: Guard,
    caplog: pytest.LogCaptureFixture,
    event_type: str,
    severity: str,
    context: "dict[str, object]",
    said: str,
) -> None:
    with SyncNeuralGuardClient(guard.url, API_KEY) as client:
        assert client.send_event(event_type, severity, context) is None
        assert (client.stats.failed, client.stats.buffered) == (1, 0)
    [line] = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert "refuses event" in line
    assert said in line


def test_a_wrong_key_is_logged_without_the_key(
    guard: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    with SyncNeuralGuardClient(guard.url, "a-key-that-nobody-knows") as client:
        assert client.send_event("backup_failed", "high", CONTEXT) is None
        assert client.stats.failed == 1
    assert "status 401" in caplog.text
    assert "a-key-that-nobody-knows" not in caplog.text


def test_odd_file_names_and_values_arrive(guard: Guard) -> None:
    context = {
        "file": "r\udcffport \U0001f9e0.gz",
        "at": datetime(2024, 1, 2, tzinfo=timezone.utc),
        "users": {"b", "a"},
        "error": OSError("no space"),
    }
    with SyncNeuralGuardClient(guard.url, API_KEY) as client:
        answer = client.send_event("backup_failed", "high", context)
    assert answer is not None
    assert guard.read(f"/v1/events/{answer['event_id']}")["event"]["context"] == {
        "file": "r?port \U0001f9e0.gz",
        "at": "2024-01-02T00:00:00+00:00",
        "users": ["a", "b"],
        "error": "no space",
    }


def test_what_happened_while_the_guard_was_away_is_on_record_once(guard: Guard) -> None:
    async def run() -> None:
        async with NeuralGuardClient(guard.url, API_KEY, total_timeout=1.0) as client:
            assert await client.send_event("anomaly_detected", "low", {"number": -1}) is not None
            guard.kill()
            for number in range(20):
                answer = await client.send_event("anomaly_detected", "low", {"number": number})
                assert answer is None
            made_by = datetime.now(timezone.utc)
            assert client.stats.buffered == 20
            await asyncio.to_thread(guard.start)
            assert await client.flush(15)
            assert (client.stats.sent, client.stats.dropped, client.stats.failed) == (21, 0, 0)
        records = [_event(item) for item in guard.events()]
        assert [record["context"]["number"] for record in records] == list(range(-1, 20))
        assert all(record["timestamp"] <= made_by.isoformat() for record in records)

    asyncio.run(run())


def test_the_next_event_that_arrives_brings_the_others_along(guard: Guard) -> None:
    with SyncNeuralGuardClient(guard.url, API_KEY, total_timeout=1.0) as client:
        guard.kill()
        assert client.send_event("anomaly_detected", "low", {"number": 0}) is None
        guard.start()
        assert client.send_event("anomaly_detected", "low", {"number": 1}) is not None
        assert client.flush(10)
    assert len(guard.events()) == 2


def test_threads_lose_and_double_nothing_while_the_guard_is_killed(guard: Guard) -> None:
    threads, each = 8, 30
    with SyncNeuralGuardClient(guard.url, API_KEY, total_timeout=1.0) as client:

        def send(thread: int) -> None:
            for number in range(each):
                client.send_event("anomaly_detected", "low", {"number": thread * each + number})

        senders = [threading.Thread(target=send, args=(thread,)) for thread in range(threads)]
        for sender in senders:
            sender.start()
        for _ in range(2):
            guard.kill()
            guard.start()
        for sender in senders:
            sender.join()
        assert client.flush(30)
        assert client.stats.sent == threads * each
    counted = Counter(_event(item)["context"]["number"] for item in guard.events())
    assert counted == dict.fromkeys(range(threads * each), 1)


def _event(item: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = item["event"]
    return event
