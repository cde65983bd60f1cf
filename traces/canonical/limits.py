"""What one span may hold at most. What is cut is flagged and its original size kept in the body."""

from __future__ import annotations

from dataclasses import dataclass

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one span. Sizes are bytes of UTF-8; cutting happens at a character boundary."""

    indexed_text_bytes: int = 1024  # names, models, users, sessions ...: a btree entry over about 2,700 bytes fails
    payload_text_bytes: int = 4 * 1024 * 1024  # one attribute's text
    attributes: int = 1024
    events: int = 1024
    links: int = 1024
    nesting: int = 64
    tags: int = 64
    far_past_ns: int = 400 * DAY_NS  # starts before receipt minus this are flagged, not refused
    far_future_ns: int = DAY_NS


DEFAULT_LIMITS = Limits()
