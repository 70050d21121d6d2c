"""When to try again."""

import random
import time
from collections.abc import Callable
from typing import Optional

from ._outcome import Outcome, Unavailable

FIRST_PAUSE = 0.1
# A call never waits longer than this for its next attempt, the flusher never longer than that.
LONGEST_PAUSE_OF_A_CALL = 1.0
LONGEST_PAUSE = 30.0
# However long the guard asks for; a proxy may ask for a day.
LONGEST_RETRY_AFTER = 300.0


def pause_before(attempt: int, longest: float) -> float:
    """Doubling pauses, each between a half and the whole: not all senders come back at once."""
    whole = min(longest, FIRST_PAUSE * 2.0 ** min(attempt, 20))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311


class CallPlan:
    """The attempts of one call, all of them within its total time."""

    def __init__(
        self, total: float, once: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._once = once
        self._clock = clock
        self._end = clock() + total
        self._attempts = 0

    def attempt_timeout(self) -> float:
        """Half of the total, so that a silent guard can be asked again; never less than 1 ms."""
        return max(0.001, min(self._total / 2, self._end - self._clock()))

    def pause_after(self, outcome: Outcome) -> Optional[float]:
        """Seconds until the next attempt, or `None` if there is none."""
        if self._once or not isinstance(outcome, Unavailable):
            return None
        pause = pause_before(self._attempts, LONGEST_PAUSE_OF_A_CALL)
        if outcome.retry_after is not None:
            pause = max(pause, outcome.retry_after)
        self._attempts += 1
        return pause if pause < self._end - self._clock() else None
