"""What both clients have in common: everything but the call itself."""

import atexit
import logging
import os
import threading
import weakref
from typing import Any, Optional

from ._buffer import EventBuffer
from ._connection import Connection
from ._event import Event
from ._flusher import Flusher
from ._outcome import Delivered, Outcome, Refused, Unavailable
from ._retry import CallPlan
from ._stats import Counters, Stats

logger = logging.getLogger("neural_guard_client")

# What the end of a process may wait for events in the buffer.
SECONDS_AT_EXIT = 2.0


class Core:
    """May be used from any thread."""

    def __init__(self, connection: Connection, capacity: int) -> None:
        self.connection = connection
        self.settings = connection.settings
        self._capacity = capacity
        self._problem_told = False
        self.forget()
        _cores.add(self)

    def forget(self) -> None:
        """Begins anew, as in a forked process: the parent sends what is in its buffer."""
        self._lock = threading.Lock()
        self._counters = Counters()
        self._buffer = EventBuffer(self._capacity)
        self._flusher = Flusher(self.connection, self._buffer, self._settle_buffered)
        self._away = False
        self._closed = False

    def accept(
        self, event_type: str, severity: str, context: dict[str, Any], source: str
    ) -> Optional[Event]:
        """The event to send, or `None` with a log line."""
        reason = self._reason_against()
        if reason is not None:
            self._counters.count_failed()
            if reason:
                logger.error("no events are sent to the Neural Guard: %s", reason)
            return None
        try:
            return Event.encode(event_type, severity, context, source)
        except Exception as error:
            self._counters.count_failed()
            logger.error("an event (%r) cannot be sent: %s", event_type, error)
            return None

    def _reason_against(self) -> Optional[str]:
        """Empty if it was told before."""
        if self._closed:
            return "the client is closed"
        if self.settings.problem is None:
            return None
        with self._lock:
            told, self._problem_told = self._problem_told, True
        return "" if told else self.settings.problem

    def plan(self) -> CallPlan:
        """A guard that is known to be away is asked once, so that nobody waits for nothing."""
        return CallPlan(self.settings.total_timeout, once=self._away)

    def settle(self, event: Event, outcome: Outcome) -> Optional[dict[str, Any]]:
        """What the caller gets."""
        if isinstance(outcome, Unavailable):
            self._away = True
            self.keep(event, outcome.reason, outcome.retry_after)
            return None
        self._away = False
        self._flusher.wake()
        self._count(event, outcome)
        return outcome.answer if isinstance(outcome, Delivered) else None

    def keep(self, event: Event, reason: str, retry_after: Optional[float] = None) -> None:
        """Puts an event into the buffer."""
        gone = self._buffer.put(event)
        if self._closed and self._buffer.remove(event):
            gone = event
        if gone is not event:
            logger.warning(
                "event %s (%r) waits for the Neural Guard: %s; %d waiting",
                event.id,
                event.event_type,
                reason,
                len(self._buffer),
            )
        if gone is not None:
            logger.error(
                "event %s (%r, %s) is dropped, no room is left for it (%s); %d dropped so far",
                gone.id,
                gone.event_type,
                gone.severity,
                reason,
                self._counters.count_dropped(),
            )
        if len(self._buffer) > 0:
            self._flusher.start(retry_after)

    def _settle_buffered(self, event: Event, outcome: Outcome) -> None:
        self._away = False
        if not self._buffer.remove(event):
            return
        self._count(event, outcome)
        if len(self._buffer) == 0:
            logger.info("the Neural Guard has everything that waited for it")

    def _count(self, event: Event, outcome: Outcome) -> None:
        if isinstance(outcome, Refused):
            self._counters.count_failed()
            logger.error(
                "the Neural Guard refuses event %s (%r): %s",
                event.id,
                event.event_type,
                outcome.reason,
            )
        else:
            self._counters.count_sent()

    def wake(self) -> None:
        self._flusher.wake()

    @property
    def drained(self) -> bool:
        return len(self._buffer) == 0

    def close(self, seconds: float) -> None:
        """Tries once more to send what waits; what is left then is dropped."""
        if self._closed:
            return
        self._closed = True
        self._flusher.close(seconds)
        left = self._buffer.clear()
        if left > 0:
            total = self._counters.count_dropped(left)
            logger.error("%d events did not reach the Neural Guard; %d dropped so far", left, total)

    @property
    def stats(self) -> Stats:
        return self._counters.snapshot(len(self._buffer))


_cores: "weakref.WeakSet[Core]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for core in list(_cores):
        core.forget()


def _close_at_exit() -> None:
    for core in list(_cores):
        core.close(SECONDS_AT_EXIT)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
atexit.register(_close_at_exit)
