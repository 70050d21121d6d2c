"""An event as it is sent: encoded once, so that every repetition has the same bytes."""

import itertools
import json
import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any

_sequence = itertools.count()


@dataclass(frozen=True)
class Event:
    """`sequence` is the order in which events were made."""

    id: str
    event_type: str
    severity: str
    body: bytes
    sequence: int

    @classmethod
    def encode(
        cls, event_type: str, severity: str, context: dict[str, Any], source: str
    ) -> "Event":
        """Raises `TypeError`, `ValueError` or `RecursionError` for what JSON cannot hold."""
        event_id = str(uuid.uuid4())
        document = {
            "event_type": event_type,
            "severity": severity,
            "context": context,
            "source": source,
            "timestamp": datetime.now(timezone.utc).isoformat(),
            "id": event_id,
        }
        text = json.dumps(
            document, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
        # A file name that is not UTF-8 has lone surrogates, which the guard refuses.
        body = text.encode("utf-8", "replace")
        return cls(event_id, _text(event_type), _text(severity), body, next(_sequence))


def _text(value: Any) -> str:
    return str(value.value) if isinstance(value, Enum) else str(value)


def _plain(value: Any) -> Any:
    """What monitors often put into a context and JSON does not know."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (uuid.UUID, PurePath, Decimal, BaseException)):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, AbstractSet):
        return sorted(value, key=str)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a value of type `{type(value).__name__}` cannot be sent")
