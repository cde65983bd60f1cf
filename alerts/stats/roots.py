"""The one root of a rising function: how limits are found from wanted run lengths."""

from __future__ import annotations

from collections.abc import Callable


def rising_root(excess: Callable[[float], float], low: float, high: float, tolerance: float = 1e-9) -> float:
    """x within [low, high] where the rising, nearly straight `excess` passes 0, by false position (Illinois).

    `high` is doubled away from `low` until it is high enough. ValueError where the root lies below `low`.
    """
    at_low, at_high = excess(low), excess(high)
    if at_low > 0:
        raise ValueError(f"the root lies below {low}")
    while at_high < 0:
        low, at_low = high, at_high
        high *= 1.5
        at_high = excess(high)
    side = 0
    for _ in range(100):
        if high - low <= tolerance * max(1.0, abs(high)) or at_high == at_low:
            break
        x = (low * at_high - high * at_low) / (at_high - at_low)
        if not low < x < high:
            x = (low + high) / 2
        at = excess(x)
        if abs(at) <= tolerance:
            return x
        if at > 0:
            high, at_high = x, at
            at_low = at_low / 2 if side == 1 else at_low
            side = 1
        else:
            low, at_low = x, at
            at_high = at_high / 2 if side == -1 else at_high
            side = -1
    return (low + high) / 2
