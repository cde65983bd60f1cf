"""The states of a monitor and of a point of its chart, with the words pages use."""

from __future__ import annotations

from enum import StrEnum

# What is said of a chart in control whose limits have judged nothing so far.
UNJUDGED = "no window was judged by its baseline yet"


class Standing(StrEnum):
    """Where a monitor stands (statistics.md 4). Muting is apart: a muted monitor goes on being charted."""

    LEARNING = "learning"  # no baseline yet
    IN_CONTROL = "in_control"
    ALARMED = "alarmed"
    ACKNOWLEDGED = "acknowledged"
    NO_DATA = "no_data"  # its windows are empty, and that is an alarm only where the definition says so
    TOO_LITTLE = "too_little"  # windows hold fewer than the least n
    STALE = "stale"  # what made the numbers changed (judge, rubric, encoder): a new baseline is due
    UNSTABLE = "unstable"  # the stretch to learn from has a change inside
    BROKEN = "broken"  # it cannot be evaluated; the error says why


class PointState(StrEnum):
    """What one window came to."""

    LEARNING = "learning"
    IN_LIMITS = "in_limits"
    OUT = "out"  # beyond a limit: an alarm, or drawn on while latched
    NO_DATA = "no_data"
    TOO_LITTLE = "too_little"  # fewer than the least n: merged forward or left undecided
    WAITING = "waiting"  # merged with the windows after it


class Kind(StrEnum):
    """What a series is made of: it decides the detector."""

    SHARE = "share"  # k of n
    SCORE = "score"  # weighted values on a bounded scale
    TIME = "time"  # values over 0, heavy tail
    COST = "cost"  # values of 0 or more
    COUNT = "count"  # events in a window
    LEVEL = "level"  # one number a window, with its own sd where known (a host's load, a ratio, a lag)
    CATEGORY = "category"  # counts by value
    VECTOR = "vector"  # embeddings


class Method(StrEnum):
    """How a monitor decides."""

    CHART = "chart"  # control chart: limits from the alert budget and a frozen baseline
    CUSUM = "cusum"  # control chart by two-sided CUSUM of window means
    SHEWHART = "shewhart"  # control chart, one point alone
    FIXED = "fixed"  # a threshold people set, with hysteresis
    OBJECTIVE = "objective"  # a share people promise, by burn rates with proof
    COMPOSITE = "composite"  # k of m members, or a weighted score of them
