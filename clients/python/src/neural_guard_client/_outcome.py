"""What came of one attempt to send an event."""

import email.utils
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

# Longest part of an answer that is quoted in a log line.
_QUOTED = 300


@dataclass(frozen=True)
class Delivered:
    """The guard has it on record."""

    answer: dict[str, Any]


@dataclass(frozen=True)
class Refused:
    """It will never be accepted."""

    reason: str


@dataclass(frozen=True)
class Unavailable:
    """Not now; `retry_after` is in seconds, `broken` marks an answer 500."""

    reason: str
    retry_after: Optional[float] = None
    broken: bool = False


Outcome = Union[Delivered, Refused, Unavailable]


def of_response(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """4xx are final but for those that ask to come again; all but a proper 200 is tried again."""
    document = _json_object(body)
    if status == 200 and document is not None:
        return Delivered(document)
    if status == 200:
        return Unavailable("an answer 200 that is not the guard's")
    reason = _reason(status, document)
    if 400 <= status < 500 and status not in (408, 425, 429):
        return Refused(reason)
    return Unavailable(reason, _retry_after(headers.get("retry-after")), broken=status == 500)


def of_error(error: BaseException) -> Unavailable:
    detail = str(error)[:_QUOTED]
    name = type(error).__name__
    return Unavailable(f"{name}: {detail}" if detail else name)


def _json_object(body: bytes) -> Optional[dict[str, Any]]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _reason(status: int, problem: Optional[dict[str, Any]]) -> str:
    """The detail of a `problem+json`, with the places that are wrong."""
    if problem is None:
        return f"status {status}"
    said = [str(problem.get("detail") or problem.get("title") or "")]
    errors = problem.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            said.append(f"{error.get('pointer')}: {error.get('detail')}")
    text = "; ".join(part for part in said if part)[:_QUOTED]
    return f"status {status}: {text}" if text else f"status {status}"


def _retry_after(value: Optional[str]) -> Optional[float]:
    """Seconds or a date, as RFC 9110 has it."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
