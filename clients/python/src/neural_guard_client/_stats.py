"""Counters of a client."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """A snapshot."""

    sent: int
    """Events that the guard has on record, those from the buffer included."""
    buffered: int
    """Events that wait for the guard now."""
    dropped: int
    """Events for which the buffer had no room, or that were still in it at the end."""
    failed: int
    """Events that the guard refused, that JSON cannot hold, or for which there was no API key."""


class Counters:
    """The growing part of the statistics."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent = 0
        self._dropped = 0
        self._failed = 0

    def count_sent(self) -> None:
        with self._lock:
            self._sent += 1

    def count_failed(self) -> None:
        with self._lock:
            self._failed += 1

    def count_dropped(self, events: int = 1) -> int:
        """Returns how many were dropped in all."""
        with self._lock:
            self._dropped += events
            return self._dropped

    def snapshot(self, buffered: int) -> Stats:
        with self._lock:
            return Stats(self._sent, buffered, self._dropped, self._failed)
