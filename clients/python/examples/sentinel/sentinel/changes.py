"""Every change is made once for each `Idempotency-Key`, and is written down."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Optional

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .state import Change, State


@dataclass
class Answer:
    messages: list[Message] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return next((int(m["status"]) for m in self.messages if "status" in m), 500)

    @property
    def body(self) -> bytes:
        return b"".join(m.get("body", b"") for m in self.messages)

    async def give(self, send: Send) -> None:
        for message in self.messages:
            await send(message)


@dataclass
class Once:
    """A key on a path: who comes second waits for the first, and gets the same answer."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    answer: Optional[Answer] = None


class Changes:
    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "http" and scope["method"] in ("POST", "PUT", "DELETE")
        if not (changes and scope["path"].startswith("/api/")):
            await self._app(scope, receive, send)
            return
        key = Headers(scope=scope).get("idempotency-key")
        if key is None:
            answer = await self._make(scope, receive, None)
        else:
            once = self._once(key, scope)
            async with once.turn:
                answer = once.answer or await self._make(scope, receive, key)
                # What was not done may be tried again under the same key.
                once.answer = answer if answer.status < 400 else None
        await answer.give(send)

    def _once(self, key: str, scope: Scope) -> Once:
        keys = self._state.keys
        once = keys.setdefault((key, scope["method"], scope["path"]), Once())
        while len(keys) > self._state.KEYS_KEPT:
            keys.pop(next(iter(keys)))
        return once

    async def _make(self, scope: Scope, receive: Receive, key: Optional[str]) -> Answer:
        await asyncio.sleep(self._state.trial.seconds_per_change)
        answer = Answer()
        await self._app(scope, receive, answer.take)
        if answer.status < 400:
            at = datetime.now(timezone.utc).isoformat()
            said = json.loads(answer.body or b"null")
            self._state.log.append(Change(scope["method"], scope["path"], key, at, said))
        return answer
