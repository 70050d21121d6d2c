"""What waits for the guard."""

import pytest

from .both import both
from .conftest import MakeClient, Start, eventually
from .fake import Fake, Reply

AWAY = Reply(503, {"Retry-After": "120"})


def numbers(server: Fake) -> list[int]:
    return [seen.event["context"]["number"] for seen in server.seen]


@both
def test_the_oldest_of_the_lowest_severity_goes_first(
    kind: str, fake: Start, caplog: pytest.LogCaptureFixture, make: MakeClient
) -> None:
    server = fake(AWAY)
    client = make(kind, server.url, buffer_size=3)
    for number, severity in enumerate(["high", "low", "medium", "low", "critical", "low", "high"]):
        client.send(severity, number=number)
    stats = client.stats
    assert (stats.buffered, stats.dropped) == (3, 4)
    assert "4 dropped so far" in caplog.text
    server.seen.clear()
    server.replies = [Reply()]
    assert client.flush(5)
    assert numbers(server) == [0, 4, 6]
    assert client.stats.sent == 3


@both
def test_without_a_buffer_what_cannot_be_sent_is_dropped(
    kind: str, fake: Start, make: MakeClient
) -> None:
    client = make(kind, fake(AWAY).url, buffer_size=0)
    client.send()
    assert (client.stats.buffered, client.stats.dropped) == (0, 1)


@both
def test_it_is_sent_in_order_by_itself_with_its_own_time_and_id(
    kind: str, fake: Start, make: MakeClient
) -> None:
    server = fake(Reply(503))
    client = make(kind, server.url, total_timeout=0.5)
    for number in range(3):
        client.send(number=number)
    refused = {seen.event["context"]["number"]: seen.body for seen in server.seen}
    server.replies = [Reply(503), Reply()]
    eventually(lambda: client.stats.buffered == 0)
    accepted = server.seen[-3:]
    assert [seen.event["context"]["number"] for seen in accepted] == [0, 1, 2]
    assert [seen.body for seen in accepted] == [refused[number] for number in range(3)]


@both
def test_what_is_left_at_the_end_is_tried_once_more(
    kind: str, fake: Start, make: MakeClient
) -> None:
    server = fake(AWAY, Reply())
    client = make(kind, server.url)
    client.send(number=1)
    client.close()
    assert numbers(server) == [1, 1]
    assert client.stats.sent == 1


@both
def test_what_then_remains_is_counted_and_a_closed_client_sends_nothing(
    kind: str, fake: Start, caplog: pytest.LogCaptureFixture, make: MakeClient
) -> None:
    server = fake(AWAY)
    client = make(kind, server.url)
    client.send()
    client.close()
    assert (client.stats.buffered, client.stats.dropped) == (0, 1)
    assert "1 events did not reach the Neural Guard" in caplog.text


@both
def test_flush_says_when_it_did_not_come_in_time(kind: str, fake: Start, make: MakeClient) -> None:
    client = make(kind, fake(AWAY).url)
    assert client.flush(0.1)
    client.send()
    assert not client.flush(0.1)
    client.close(0.1)
