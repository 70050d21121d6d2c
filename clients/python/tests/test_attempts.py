"""What a call does when the guard does not answer 200 at once."""

import time
from email.utils import formatdate

import pytest

from .both import both
from .conftest import MakeClient, Start, eventually
from .fake import Reply


@both
@pytest.mark.parametrize("status", [429, 503])
def test_it_comes_again_when_it_was_told_to(
    kind: str, status: int, fake: Start, make: MakeClient
) -> None:
    server = fake(Reply(status, {"Retry-After": "1"}), Reply())
    assert make(kind, server.url).send() is not None
    first, second = server.seen
    assert 1.0 <= second.at - first.at < 2.0
    assert first.body == second.body, "the same bytes, or the guard takes it for another event"
    assert first.event["id"]


@both
def test_a_date_may_say_when_too(kind: str, fake: Start, make: MakeClient) -> None:
    at = formatdate(time.time() + 2, usegmt=True)
    server = fake(Reply(503, {"Retry-After": at}), Reply())
    assert make(kind, server.url).send() is not None
    assert server.seen[1].at - server.seen[0].at > 0.8


@both
def test_who_is_told_to_come_late_does_not_wait(kind: str, fake: Start, make: MakeClient) -> None:
    server = fake(Reply(429, {"Retry-After": "60"}), Reply())
    client = make(kind, server.url)
    begun = time.monotonic()
    assert client.send() is None
    assert time.monotonic() - begun < 1.0
    assert client.stats.buffered == 1
    assert len(server.seen) == 1, "the flusher waits as it was told"


@both
@pytest.mark.parametrize("status", [500, 502, 504, 408, 425])
def test_other_troubles_are_tried_again(
    kind: str, status: int, fake: Start, make: MakeClient
) -> None:
    server = fake(Reply(status), Reply(status), Reply())
    client = make(kind, server.url)
    assert client.send() is not None
    assert len(server.seen) == 3
    assert client.stats.sent == 1


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_is_refused_is_logged_and_dropped(
    kind: str, status: int, fake: Start, make: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    problem = (
        b'{"title": "No", "detail": "unknown field", "errors": [{"pointer": "/a", "detail": "b"}]}'
    )
    server = fake(Reply(status, body=problem))
    client = make(kind, server.url)
    assert client.send() is None
    assert (client.stats.failed, client.stats.buffered, len(server.seen)) == (1, 0, 1)
    assert f"status {status}: unknown field; /a: b" in caplog.text


@both
@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>"),
        Reply(body=b"[]"),
        Reply(204, body=b""),
        Reply(302),
        Reply(body=b"\xff"),
    ],
)
def test_only_the_guard_can_accept_an_event(
    kind: str, reply: Reply, fake: Start, make: MakeClient
) -> None:
    client = make(kind, fake(reply).url, total_timeout=0.4)
    assert client.send() is None
    assert (client.stats.sent, client.stats.buffered) == (0, 1)


@both
def test_a_silent_guard_is_asked_twice_and_left_in_time(
    kind: str, fake: Start, make: MakeClient
) -> None:
    server = fake(Reply(seconds=1.5))
    client = make(kind, server.url, total_timeout=0.8)
    begun = time.monotonic()
    assert client.send() is None
    assert time.monotonic() - begun < 1.2
    assert len(server.seen) >= 2


@both
def test_an_answer_in_drips_is_cut_off(kind: str, fake: Start, make: MakeClient) -> None:
    client = make(kind, fake(Reply(drips=True)).url, total_timeout=0.6)
    begun = time.monotonic()
    assert client.send() is None
    assert time.monotonic() - begun < 1.0


@both
def test_a_guard_known_to_be_away_is_asked_once(kind: str, fake: Start, make: MakeClient) -> None:
    client = make(kind, "http://127.0.0.1:1", total_timeout=1.0)
    client.send()
    begun = time.monotonic()
    client.send()
    assert time.monotonic() - begun < 0.3
    assert client.stats.buffered == 2


@both
def test_an_event_that_breaks_the_guard_does_not_hold_up_the_others(
    kind: str, fake: Start, make: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neural_guard_client._flusher.pause_before", lambda *_: 0.001)
    monkeypatch.setattr("neural_guard_client._retry.pause_before", lambda *_: 9.0)
    server = fake(*[Reply(500)] * 11, Reply())
    client = make(kind, server.url)
    assert client.send() is None
    eventually(lambda: client.stats.failed == 1)
    assert client.send() is not None
    assert len(server.seen) == 12
