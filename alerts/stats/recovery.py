"""Whether a series is back: windows after the response judged by the baseline from before the trouble."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from evals.stats.results import LEVEL

State = Literal["back", "not_yet", "out", "waiting", "no_size"]

WINDOWS_LEAST = 5
# What is left of the shift must be surely under this part of it.
LEFT_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where a series stands after a response.

    `windows` in a row within limits up to now, `hours` of them (`hours_needed`). `size`: the shift of the incident in
    standard deviations of the baseline. `left`: the part of it that those windows still show, with an interval that
    holds at every look (`level`); None under 1 window or without a size. States: "back"; "not_yet" (within limits, for
    too short or not surely enough); "out" (the last window is out of limits); "waiting" (no window since); "no_size"
    (back within limits for long enough, but nothing says by how much it had moved).
    """

    state: State
    windows: int
    hours: float
    hours_needed: float
    out_since: int
    size: float | None
    left: float | None
    left_low: float | None
    left_high: float | None
    level: float

    @property
    def is_back(self) -> bool:
        """Whether it counts as back."""
        return self.state in {"back", "no_size"}


def judge_recovery(
    during: ArrayLike, after: ArrayLike, out: ArrayLike, hours: ArrayLike, *, hours_needed: float, level: float = LEVEL
) -> Recovery:
    """Whether the windows after a response are back by the old baseline.

    `during` (m,): z of the windows from the onset to the response. `after` (n,): z of each window since, NaN where it
    has none; `out` (n,): whether it was beyond a limit; `hours` (n,): how long each is. z are in standard deviations of
    the baseline, so that its mean is 0. What counts are the windows in a row within limits up to now: as long as
    needed, 5 at least, and what is left of the shift surely under half of it. People look again and again and stop when
    they like the answer, so the interval is a confidence sequence: right at every look at once with `level`. One begins
    anew after each window out of limits. Assumes windows of sd 1, or as far apart as they are where that is more.
    Source: Robbins 1970; Waudby-Smith et al. 2024 (the normal mixture).
    """
    shift = np.asarray(during, dtype=np.float64)
    z, beyond, long = np.asarray(after, np.float64), np.asarray(out, np.bool_), np.asarray(hours, np.float64)
    if not (z.shape == beyond.shape == long.shape):
        raise ValueError("as many z, flags and hours are needed")
    shift = shift[np.isfinite(shift)]
    size = float(shift.mean()) if shift.size else None
    places = np.flatnonzero(beyond)
    run = slice(int(places[-1]) + 1 if places.size else 0, z.size)
    kept, lasted = z[run][np.isfinite(z[run])], float(long[run].sum())
    windows, out_since = int(z[run].size), int(places.size)
    left = low = high = None
    if size and kept.size:
        mean = float(kept.mean())
        half = _half(kept, max(WINDOWS_LEAST, round(hours_needed / max(float(np.median(long[run])), 1e-9))), level)
        left, one, two = mean / size, (mean - half) / size, (mean + half) / size
        low, high = min(one, two), max(one, two)

    def come_to(state: State) -> Recovery:
        return Recovery(state, windows, lasted, hours_needed, out_since, size, left, low, high, level)

    if not z.size:
        return come_to("waiting")
    if not windows:
        return come_to("out")
    if lasted < hours_needed - 1e-9 or windows < WINDOWS_LEAST:
        return come_to("not_yet")
    if size is None or not kept.size:
        return come_to("no_size")
    return come_to("back" if high is not None and high < LEFT_MOST else "not_yet")


def _half(z: np.ndarray[tuple[int], np.dtype[np.float64]], tightest: int, level: float) -> float:
    """Half the width of the confidence sequence of a mean of `z` (t,), tightest at `tightest` windows."""
    t, alpha = z.size, 1 - level
    spread = max(1.0, float(z.std(ddof=1)) if t > 1 else 1.0)
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / tightest
    return spread * math.sqrt(2 * (t * rho2 + 1) / (t * t * rho2) * math.log(math.sqrt(t * rho2 + 1) / alpha))
