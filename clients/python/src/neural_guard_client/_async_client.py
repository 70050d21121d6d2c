"""The client for asyncio."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator
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


class NeuralGuardClient:
    """Posts events to the guard; may be made before there is an event loop, and used in several.

    Args:
        base_url: where the guard is; else `NEURAL_GUARD_URL`, else `http://neural-guard:3000`.
        api_key: else `NEURAL_GUARD_API_KEY`; without one, nothing is sent, which is logged once.
        connect_timeout: seconds for making a connection.
        total_timeout: seconds for a call with all its attempts.
        buffer_size: how many events may wait for the guard while it is away.
        verify: as in httpx; an `ssl.SSLContext` for a certificate authority of one's own.
        transport: a stand-in for the network, in tests.
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
        self._loops: dict[asyncio.AbstractEventLoop, _LoopClient] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._core.settings.base_url!r})"

    @property
    def base_url(self) -> str:
        return self._core.settings.base_url

    @property
    def stats(self) -> Stats:
        """Counters as of now."""
        return self._core.stats

    async def send_event(
        self,
        event_type: str,
        severity: str,
        context: dict[str, Any],
        source: str = "sentinel",
    ) -> Optional[dict[str, Any]]:
        """The guard's answer; `None` and a log line if there is none.

        Raises nothing but `asyncio.CancelledError`; a cancelled event is sent from the buffer.
        """
        try:
            event = self._core.accept(event_type, severity, context, source)
            if event is None:
                return None
            return self._core.settle(event, await self._deliver(event))
        except Exception as error:
            logger.error("an event could not be sent: %s", type(error).__name__)
            return None

    async def _deliver(self, event: Event) -> Outcome:
        plan = self._core.plan()
        try:
            while True:
                http = await self._client()
                seconds = plan.attempt_timeout()
                outcome = await self._core.connection.post_async(http, event, seconds)
                pause = plan.pause_after(outcome)
                if pause is None:
                    return outcome
                await asyncio.sleep(pause)
        except Exception as error:
            return of_error(error)
        except BaseException:
            self._core.keep(event, "the call was cancelled")
            raise

    async def _client(self) -> httpx.AsyncClient:
        """One for each event loop: connections belong to the loop that made them."""
        loop = asyncio.get_running_loop()
        held = self._loops.get(loop)
        if held is None or held.http.is_closed:
            for other in [other for other in list(self._loops) if other.is_closed()]:
                self._loops.pop(other, None)
            held = self._loops[loop] = _LoopClient(self._core.connection.open_async())
            await held.bind()
        return held.http

    async def flush(self, timeout: float = 5.0) -> bool:
        """Tries now, and waits until nothing is left in the buffer; whether that came in time."""
        end = time.monotonic() + timeout
        self._core.wake()
        while not self._core.drained:
            if time.monotonic() >= end:
                return False
            await asyncio.sleep(_POLL)
        return True

    async def aclose(self, timeout: float = 2.0) -> None:
        """Tries once more to send what is in the buffer; what is left then is dropped."""
        await asyncio.get_running_loop().run_in_executor(None, self._core.close, timeout)
        held = self._loops.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held.http.aclose()

    async def __aenter__(self) -> "NeuralGuardClient":
        return self

    async def __aexit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.aclose()


class _LoopClient:
    """The HTTP client of a loop, which is closed at the end of the loop if nobody did before.

    `asyncio.run` closes the asynchronous generators that were begun in its loop, while it can
    still be used; one of them is here for that.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self._end = self._until_the_end()

    async def bind(self) -> None:
        await self._end.__anext__()

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self.http.aclose()
