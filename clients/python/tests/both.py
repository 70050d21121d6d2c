"""One test for both clients."""

import asyncio
from typing import Any, Optional

import pytest

from neural_guard_client import NeuralGuardClient, Stats, SyncNeuralGuardClient

KEY = "key-of-the-tests-0123"


class Client:
    """Either client, called from a plain function."""

    def __init__(self, kind: str, url: Optional[str], **options: Any) -> None:
        key = options.pop("api_key", KEY)
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._sync: Optional[SyncNeuralGuardClient] = None
        if kind == "sync":
            self._sync = SyncNeuralGuardClient(url, key, **options)
        else:
            self._async = NeuralGuardClient(url, key, **options)
            self._loop = asyncio.new_event_loop()

    def send(self, severity: str = "high", **context: Any) -> "Optional[dict[str, Any]]":
        if self._sync is not None:
            return self._sync.send_event("backup_failed", severity, context)
        assert self._loop is not None
        return self._loop.run_until_complete(
            self._async.send_event("backup_failed", severity, context)
        )

    @property
    def stats(self) -> Stats:
        return self._sync.stats if self._sync is not None else self._async.stats

    def flush(self, seconds: float) -> bool:
        if self._sync is not None:
            return self._sync.flush(seconds)
        assert self._loop is not None
        return self._loop.run_until_complete(self._async.flush(seconds))

    def close(self, seconds: float = 1.0) -> None:
        if self._sync is not None:
            self._sync.close(seconds)
        elif self._loop is not None and not self._loop.is_closed():
            self._loop.run_until_complete(self._async.aclose(seconds))
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()


both = pytest.mark.parametrize("kind", ["async", "sync"])
