"""Whether anything is going on. Where nothing is, tasks that look for work every two seconds may look less often.

Looking costs little, but some six looks in two seconds, each with its message, cost 1.5 % of a core for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# After the last sign of work, tasks keep their full rate this long: what follows from it is done meanwhile.
SETTLE_SECONDS = 30.0
LOOK_SECONDS = 1.0
_watched: list[Callable[[], bool]] = []


def watch(has_work: Callable[[], bool]) -> Callable[[], bool]:
    """Decorator: `has_work` says, cheaply, whether some work of a room is open. It may be asked every second."""
    _watched.append(has_work)
    return has_work


class Quiet:
    """Remembers when there was last a sign of work."""

    def __init__(self) -> None:
        self._busy_at = self._looked_at = time.monotonic()

    def __bool__(self) -> bool:
        """Whether nothing was open for `SETTLE_SECONDS`; looks at most once in `LOOK_SECONDS`."""
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            if any(has_work() for has_work in _watched):
                self._busy_at = now
        return now - self._busy_at > SETTLE_SECONDS
