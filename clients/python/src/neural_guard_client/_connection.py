"""How the guard is reached: one attempt over HTTP, for threads and for asyncio."""

import logging
import ssl
import time
from dataclasses import dataclass
from typing import Optional, Union

import anyio
import httpx

from ._event import Event
from ._outcome import Outcome, Unavailable, of_error, of_response
from ._settings import Settings

logger = logging.getLogger("neural_guard_client")

# No answer of the guard comes near it.
_LONGEST_ANSWER = 1024 * 1024
_TOO_LONG = Unavailable("the answer is too long to be the guard's")
_TOO_LATE = Unavailable("the answer took too long")


@dataclass(frozen=True)
class Connection:
    """Makes HTTP clients and sends events with them."""

    settings: Settings
    verify: Union[bool, ssl.SSLContext]
    transport: Optional[httpx.MockTransport]

    @classmethod
    def prepare(
        cls,
        settings: Settings,
        verify: Union[bool, ssl.SSLContext],
        transport: Optional[httpx.MockTransport],
    ) -> "Connection":
        """Reads the certificates now: that takes a while, for which an event loop would stop."""
        try:
            verify = httpx.create_ssl_context(verify=verify)
        except Exception as error:
            # Each attempt fails the same way then, and says so.
            logger.error("the certificates cannot be read: %s", error)
        return cls(settings, verify, transport)

    def open(self) -> httpx.Client:
        return httpx.Client(verify=self.verify, transport=self.transport)

    def open_async(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self.verify, transport=self.transport)

    def post(self, http: httpx.Client, event: Event, seconds: float) -> Outcome:
        """Ends in time even if the body of the answer comes in drips."""
        end = time.monotonic() + seconds
        try:
            with http.stream(
                "POST",
                self.settings.events_url,
                content=event.body,
                headers=self.settings.headers,
                timeout=self.settings.timeout(seconds),
            ) as response:
                body = bytearray()
                for part in response.iter_bytes():
                    body += part
                    if len(body) > _LONGEST_ANSWER:
                        return _TOO_LONG
                    if time.monotonic() > end:
                        return _TOO_LATE
                return of_response(response.status_code, response.headers, bytes(body))
        except Exception as error:
            return of_error(error)

    async def post_async(self, http: httpx.AsyncClient, event: Event, seconds: float) -> Outcome:
        """Ends in time whatever the guard does."""
        try:
            with anyio.fail_after(seconds):
                async with http.stream(
                    "POST",
                    self.settings.events_url,
                    content=event.body,
                    headers=self.settings.headers,
                    timeout=self.settings.timeout(seconds),
                ) as response:
                    body = bytearray()
                    async for part in response.aiter_bytes():
                        body += part
                        if len(body) > _LONGEST_ANSWER:
                            return _TOO_LONG
                    return of_response(response.status_code, response.headers, bytes(body))
        except TimeoutError:
            return _TOO_LATE
        except Exception as error:
            return of_error(error)
