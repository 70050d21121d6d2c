"""Event loops, threads, forks, and the end of the process."""

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest

from neural_guard_client import NeuralGuardClient, SyncNeuralGuardClient

from .both import KEY
from .conftest import Start
from .fake import Fake, Reply


def test_a_client_made_before_any_loop_works_in_several(fake: Start) -> None:
    client = NeuralGuardClient(fake().url, KEY)

    async def run() -> None:
        for _ in range(2):
            assert await client.send_event("backup_failed", "high", {}) is not None

    for _ in range(3):
        asyncio.run(run())
    threads = [threading.Thread(target=asyncio.run, args=(run(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.stats.sent == 14


def test_two_hundred_at_once(fake: Start) -> None:
    server = fake()

    async def run() -> None:
        async with NeuralGuardClient(server.url, KEY, total_timeout=60) as client:
            calls = [client.send_event("backup_failed", "high", {"n": n}) for n in range(200)]
            await asyncio.gather(*calls)
            assert await client.flush(10)
            assert client.stats.sent == 200
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert len({seen.event["id"] for seen in server.seen}) == 200


def test_a_loop_is_not_stopped_while_the_guard_is_silent(fake: Start) -> None:
    server = fake(Reply(seconds=0.6))

    async def run() -> None:
        client = NeuralGuardClient(server.url, KEY, total_timeout=0.5)
        call = asyncio.create_task(client.send_event("backup_failed", "high", {}))
        longest, last = 0.0, time.monotonic()
        while not call.done():
            await asyncio.sleep(0.005)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        assert longest < 0.25
        await client.aclose(0.1)

    asyncio.run(run())


def test_many_threads_share_a_client(fake: Start) -> None:
    server = fake()
    with SyncNeuralGuardClient(server.url, KEY) as client:

        def send() -> None:
            for _ in range(25):
                assert client.send_event("backup_failed", "high", {}) is not None

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.stats.sent == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_begins_anew(fake: Start) -> None:
    server = fake(Reply(503, {"Retry-After": "60"}))
    program = """
import os, sys
from neural_guard_client import SyncNeuralGuardClient
client = SyncNeuralGuardClient()
client.send_event("backup_failed", "high", {"of": "parent"})
child = os.fork()
if child == 0:
    assert client.stats.buffered == 0
    client.send_event("backup_failed", "high", {"of": "child"})
    assert client.stats.buffered == 1
    client.close(0.5)
    os._exit(0 if client.stats.dropped == 1 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert client.stats.buffered == 1
"""
    ended = run(program, server)
    assert ended.returncode == 0, ended.stderr
    assert {seen.event["context"]["of"] for seen in server.seen} == {"parent", "child"}


ONE_EVENT = 'client.send_event("backup_failed", "high", {})'


@pytest.mark.parametrize(
    "ending",
    [
        f"asyncio.run({ONE_EVENT})",
        f"asyncio.run({ONE_EVENT}); asyncio.run({ONE_EVENT})",
        f"loop = asyncio.new_event_loop(); loop.run_until_complete({ONE_EVENT})\n"
        "loop.run_until_complete(loop.shutdown_asyncgens()); loop.close()",
    ],
    ids=["run", "twice", "loop"],
)
def test_a_process_ends_without_a_word(ending: str, fake: Start) -> None:
    program = f"""
import asyncio
from neural_guard_client import NeuralGuardClient
client = NeuralGuardClient()
{ending}
"""
    ended = run(program, fake())
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_process_that_ends_at_once_has_sent_what_it_could(fake: Start) -> None:
    server = fake(Reply(503, {"Retry-After": "60"}), Reply())
    program = f"""
from neural_guard_client import SyncNeuralGuardClient
client = SyncNeuralGuardClient()
{ONE_EVENT}
"""
    ended = run(program, server)
    assert ended.returncode == 0, ended.stderr
    assert len(server.seen) == 2


def run(program: str, server: Fake) -> "subprocess.CompletedProcess[str]":
    """With warnings as errors: they tell of everything that was left open."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "NEURAL_GUARD_URL": server.url, "NEURAL_GUARD_API_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
