"""The numbers that rows of `traces_signal` are written with."""

from __future__ import annotations

from enum import IntEnum


class Target(IntEnum):
    """What a signal is about, as it was told."""

    TRACE = 1
    SPAN = 2
    SESSION = 3
    REQUEST = 4


class Kind(IntEnum):
    """What the end user did. OTHER is a name that nobody has mapped; OUTSIDE is a number of somebody's evaluator."""

    OTHER = 0
    THUMB = 1
    RATING = 2
    CORRECTION = 3
    FOLLOW_UP = 4
    RETRY = 5
    COPIED = 6
    EDITED = 7
    ABANDONED = 8
    ESCALATED = 9
    COMPLETED = 10
    CONVERSION = 11
    TEXT = 12
    OUTSIDE = 20


class Source(IntEnum):
    """Who says so."""

    END_USER = 1
    REVIEWER = 2
    MODEL = 3
    CODE = 4
    API = 5
