"""The client for threads."""

import os
import ssl
import time
from types import TracebackType
from typing import Any, Optional, Union

import httpx

from ._connection import Connection
from ._core import Core, logger
from ._event import Event
from ._outcome import Outcome, of_error
from ._settings import Settings
from ._stats import Stats

_POLL = 0.02


class SyncNeuralGuardClient:
    """Posts events to the guard; may be used from many threads, and after a fork.

    The arguments are those of `NeuralGuardClient`.
    """

    def __init__(
        self,
        base_url: Optional[str] = None,
        api_key: Optional[str] = None,
        *,
        connect_timeout: float = 1.0,
        total_timeout: float = 5.0,
        buffer_size: int = 1000,
        verify: Union[bool, ssl.SSLContext] = True,
        transport: Optional[httpx.MockTransport] = None,
    ) -> None:
        settings = Settings.resolve(base_url, api_key, connect_timeout, total_timeout)
        self._core = Core(Connection.prepare(settings, verify, transport), buffer_size)
        self._http: dict[int, httpx.Client] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._core.settings.base_url!r})"

    @property
    def base_url(self) -> str:
        return self._core.settings.base_url

    @property
    def stats(self) -> Stats:
        """Counters as of now."""
        return self._core.stats

    def send_event(
        self,
        event_type: str,
        severity: str,
        context: dict[str, Any],
        source: str = "sentinel",
    ) -> Optional[dict[str, Any]]:
        """The guard's answer; `None` and a log line if there is none. Never raises."""
        try:
            event = self._core.accept(event_type, severity, context, source)
            if event is None:
                return None
            return self._core.settle(event, self._deliver(event))
        except Exception as error:
            logger.error("an event could not be sent: %s", type(error).__name__)
            return None

    def _deliver(self, event: Event) -> Outcome:
        plan = self._core.plan()
        try:
            while True:
                outcome = self._core.connection.post(self._client(), event, plan.attempt_timeout())
                pause = plan.pause_after(outcome)
                if pause is None:
                    return outcome
                time.sleep(pause)
        except Exception as error:
            return of_error(error)
        except BaseException:
            self._core.keep(event, "the call was interrupted")
            raise

    def _client(self) -> httpx.Client:
        """One for each process: connections must not be shared with a parent."""
        held = self._http.get(os.getpid())
        if held is None:
            made = self._core.connection.open()
            held = self._http.setdefault(os.getpid(), made)
            if held is not made:
                made.close()
        return held

    def flush(self, timeout: float = 5.0) -> bool:
        """Tries now, and waits until nothing is left in the buffer; whether that came in time."""
        end = time.monotonic() + timeout
        self._core.wake()
        while not self._core.drained:
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL)
        return True

    def close(self, timeout: float = 2.0) -> None:
        """Tries once more to send what is in the buffer; what is left then is dropped."""
        self._core.close(timeout)
        http = self._http.pop(os.getpid(), None)
        if http is not None:
            http.close()

    def __enter__(self) -> "SyncNeuralGuardClient":
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
