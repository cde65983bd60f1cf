"""How much each key may send a second, counted over all web processes of the machine.

A generic cell rate algorithm (ITU-T I.371, the "virtual scheduling" form): of each key one time is kept, the one at
which what it has sent so far would have been due at its rate. A request is let in while that time is less than
`BURST_SECONDS` ahead, and is charged for what was in it once that is known; so a large batch passes and is made up for
by the wait after it.
"""

from __future__ import annotations

import math
import mmap
import threading
import time

from django.conf import settings

from telltale.projects.keys import KeyHolder

BURST_SECONDS = 5.0
RETRY_MAX_SECONDS = 60
SLOTS = 4096
PROBES = 8
_NS = 1_000_000_000


class Quota:
    """The times of the keys, in memory that forked processes share: three numbers a slot, key, rate and time in ns.

    Processes do not wait for each other: two that charge one key in the same microsecond may lose one of the charges.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slots = memoryview(mmap.mmap(-1, SLOTS * 24)).cast("q")

    def wait_seconds(self, holder: KeyHolder) -> int:
        """0 where the key may send now, else after how many whole seconds it may try again."""
        rate = rate_of(holder)
        if not rate:
            return 0
        with self._lock:
            due = self._slots[self._slot_of(holder.key_id, rate) + 2]
        ahead = (due - time.monotonic_ns()) / _NS - BURST_SECONDS
        return min(math.ceil(ahead), RETRY_MAX_SECONDS) if ahead > 0 else 0

    def charge(self, holder: KeyHolder, items: int) -> None:
        """Count what a request of the key held; an empty one counts too."""
        rate = rate_of(holder)
        if not rate:
            return
        cost = max(items, 1) * _NS // rate
        now = time.monotonic_ns()
        with self._lock:
            slot = self._slot_of(holder.key_id, rate)
            self._slots[slot + 2] = max(self._slots[slot + 2], now) + cost

    def forget(self) -> None:
        """Forget every key (tests)."""
        with self._lock:
            for index in range(len(self._slots)):
                self._slots[index] = 0

    def _slot_of(self, key_id: int, rate: int) -> int:
        """Where the key is kept; it takes the place of the key nearby that has the least to make up for.

        With another rate than before it starts anew: who raises a limit does not wait for the end of the old one.
        """
        first = key_id * PROBES % SLOTS
        slots = [3 * ((first + probe) % SLOTS) for probe in range(PROBES)]
        chosen = next((slot for slot in slots if self._slots[slot] == key_id), None)
        if chosen is None:
            chosen = min(slots, key=lambda slot: self._slots[slot + 2])
        if (self._slots[chosen], self._slots[chosen + 1]) != (key_id, rate):
            self._slots[chosen], self._slots[chosen + 1], self._slots[chosen + 2] = key_id, rate, 0
        return chosen


def rate_of(holder: KeyHolder) -> int:
    """Spans, log records and metric points a second that the key may send; 0 for no limit."""
    limit = settings.INGEST_KEY_SPANS_A_SECOND if holder.spans_a_second is None else holder.spans_a_second
    return int(limit)


# Made before gunicorn forks, so that every web process counts in the same memory.
quota = Quota()
