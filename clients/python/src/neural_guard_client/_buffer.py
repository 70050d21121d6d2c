"""Events that wait for the guard, in the order in which they were made."""

import threading
from typing import Optional

from ._event import Event

_RANKS = {"low": 0, "medium": 1, "high": 2, "critical": 3}


def _rank(event: Event) -> int:
    # The guard knows no other word; it will refuse the event whenever it gets it.
    return _RANKS.get(event.severity, 0)


class EventBuffer:
    """Bounded; may be used from any thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = max(0, capacity)
        self._events: list[Event] = []
        self._lock = threading.Lock()

    def put(self, event: Event) -> Optional[Event]:
        """Returns the event that had to go: the oldest of the lowest severity, maybe this one."""
        with self._lock:
            at = len(self._events)
            while at > 0 and self._events[at - 1].sequence > event.sequence:
                at -= 1
            self._events.insert(at, event)
            if len(self._events) <= self._capacity:
                return None
            # `min` takes the first of equals, which is the oldest.
            index = min(range(len(self._events)), key=lambda i: _rank(self._events[i]))
            return self._events.pop(index)

    def oldest(self) -> Optional[Event]:
        with self._lock:
            return self._events[0] if self._events else None

    def remove(self, event: Event) -> bool:
        """Whether it was still there."""
        with self._lock:
            for index, held in enumerate(self._events):
                if held.id == event.id:
                    del self._events[index]
                    return True
            return False

    def clear(self) -> int:
        """Returns how many events were thrown away."""
        with self._lock:
            count = len(self._events)
            self._events.clear()
            return count

    def __len__(self) -> int:
        with self._lock:
            return len(self._events)
