"""The thread that sends what the buffer holds, as soon as the guard takes it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Optional

import httpx

from ._buffer import EventBuffer
from ._connection import Connection
from ._event import Event
from ._outcome import Outcome, Refused, Unavailable
from ._retry import LONGEST_PAUSE, LONGEST_RETRY_AFTER, pause_before

logger = logging.getLogger("neural_guard_client")

# So often an event may be answered 500 until it is the event's fault and not the guard's.
_BROKEN_ANSWERS = 10


class Flusher:
    """A thread and not a task: it outlives event loops, and runs only while something waits."""

    def __init__(
        self,
        connection: Connection,
        buffer: EventBuffer,
        settle: Callable[[Event, Outcome], None],
    ) -> None:
        self._connection = connection
        self._buffer = buffer
        self._settle = settle
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._closing_at: Optional[float] = None
        self._broken = ("", 0)

    def start(self, retry_after: Optional[float] = None) -> None:
        """Does nothing if it runs already."""
        with self._lock:
            if self._thread is not None or self._closing_at is not None:
                return
            self._awake.clear()
            pause = _pause(1, retry_after)
            self._thread = threading.Thread(
                target=self._run, args=(pause,), name="neural-guard-flusher", daemon=True
            )
            self._thread.start()

    def wake(self) -> None:
        """Tries now instead of at the end of the pause."""
        self._awake.set()

    def close(self, seconds: float) -> None:
        """Lets it try once more, within so many seconds."""
        with self._lock:
            self._closing_at = time.monotonic() + seconds
            thread = self._thread
        self.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(seconds)

    def _run(self, pause: float) -> None:
        try:
            with self._connection.open() as http:
                self._send_until_drained(http, pause)
        except Exception as error:
            logger.error("events wait for the next one to be sent: %s", type(error).__name__)
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _send_until_drained(self, http: httpx.Client, pause: float) -> None:
        attempt = 1
        while True:
            self._awake.wait(pause)
            self._awake.clear()
            closing = self._closing_at is not None
            before = self._buffer.oldest()
            stopped = self._send_all(http)
            if closing or (stopped is None and self._end_if_drained()):
                return
            attempt = attempt + 1 if before is self._buffer.oldest() else 1
            pause = _pause(attempt, stopped.retry_after if stopped else None)

    def _end_if_drained(self) -> bool:
        """Under the lock, so that an event put at this moment starts a new thread."""
        with self._lock:
            if len(self._buffer) > 0:
                return False
            self._thread = None
            return True

    def _send_all(self, http: httpx.Client) -> Optional[Unavailable]:
        """Returns what stopped it, or `None` when nothing is left."""
        while True:
            event = self._buffer.oldest()
            if event is None:
                return None
            seconds = self._seconds()
            if seconds <= 0:
                return Unavailable("closing")
            outcome = self._judged(event, self._connection.post(http, event, seconds))
            if isinstance(outcome, Unavailable):
                return outcome
            self._settle(event, outcome)

    def _seconds(self) -> float:
        seconds = self._connection.settings.total_timeout / 2
        if self._closing_at is None:
            return seconds
        return min(seconds, self._closing_at - time.monotonic())

    def _judged(self, event: Event, outcome: Outcome) -> Outcome:
        """One event that breaks the guard must not hold up all others for ever."""
        if not (isinstance(outcome, Unavailable) and outcome.broken):
            return outcome
        last, count = self._broken
        self._broken = (event.id, count + 1 if last == event.id else 1)
        if self._broken[1] < _BROKEN_ANSWERS:
            return outcome
        return Refused(f"{outcome.reason}, {_BROKEN_ANSWERS} times")


def _pause(attempt: int, retry_after: Optional[float]) -> float:
    return max(pause_before(attempt, LONGEST_PAUSE), min(retry_after or 0.0, LONGEST_RETRY_AFTER))
