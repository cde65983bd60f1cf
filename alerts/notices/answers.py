"""What an answer means, and when to try again. Pure.

Only 2xx is delivered. Nothing else loses a message within a day: also what says "wrong address" is tried again, more
slowly, because a receiver that somebody mends after an hour must not have missed anything.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

# So many seconds after the first, second, … failed attempt, and the last of them ever after.
PAUSES = (5, 15, 45, 120, 300, 600, 1200, 1800)
SLOW_PAUSES = (60, 120, 300, 600, 1200, 1800)
JITTER = 0.1
GIVE_UP = timedelta(hours=24)
# A receiver may ask for a pause; it is believed for so many attempts, and within bounds.
BELIEVED = 8
ASKED_MOST = timedelta(hours=6)
BUSY = frozenset({408, 425, 429})
# About this very message: the next one may well be taken.
OF_CONTENT = frozenset({400, 413, 415, 422})


class Fate(StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    AGAIN = "again"  # the receiver is away or busy: nothing goes there for now
    WRONG = "wrong"  # its settings are wrong: nothing goes there for longer
    REFUSED = "refused"  # it does not take this message; others may pass it
    NOTHING = "nothing"  # there was nothing to send


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt came to. `words` quote nothing that answered. `asked`: the pause that the receiver asked for."""

    fate: Fate
    words: str = ""
    status: int | None = None
    asked: timedelta | None = None
    ref: str = ""

    @property
    def is_delivered(self) -> bool:
        return self.fate is Fate.DELIVERED


def read_answer(status: int, headers: Mapping[str, str], now: datetime) -> Outcome:
    """What an HTTP answer means. Header names in lower case."""
    if 200 <= status < 300:
        return Outcome(Fate.DELIVERED, f"Answered {status}.", status)
    if 300 <= status < 400:
        words = f"It answers with a redirect (HTTP {status}), which is not followed. Enter the final address."
        return Outcome(Fate.WRONG, words, status)
    asked = retry_after(headers.get("retry-after", ""), now)
    if status in BUSY:
        words = "It asks to slow down" if status == 429 else "It was not ready"
        return Outcome(Fate.AGAIN, f"{words} (HTTP {status}).", status, asked)
    if status >= 500:
        return Outcome(Fate.AGAIN, f"It cannot take messages now (HTTP {status}).", status, asked)
    if status in OF_CONTENT:
        return Outcome(Fate.REFUSED, f"It does not accept this message (HTTP {status}).", status)
    words = {
        401: "It does not accept the key (HTTP 401). Enter it again.",
        403: "It forbids this key or address to post (HTTP 403).",
        404: "It has nothing at this address (HTTP 404): the address or key was revoked or mistyped.",
        410: "The address is gone (HTTP 410). Make a new one there and enter it here.",
    }.get(status, f"It does not take messages at this address (HTTP {status}).")
    return Outcome(Fate.WRONG, words, status)


def retry_after(raw: str, now: datetime) -> timedelta | None:
    """What a Retry-After header asks for, within bounds; None where it asks for nothing that can be read."""
    text = raw.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(timedelta(seconds=int(text)), ASKED_MOST)
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
        asked = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(asked, timedelta(0)), ASKED_MOST)


def pause(outcome: Outcome, attempts: int, chance: float | None = None) -> timedelta:
    """How long to wait after `attempts` failed ones, the last of which came to `outcome`.

    `chance` in 0..1 replaces the dice: waits differ by a tenth, so that messages do not march in step.
    """
    steps = SLOW_PAUSES if outcome.fate in (Fate.WRONG, Fate.REFUSED) else PAUSES
    own = timedelta(seconds=steps[min(max(attempts, 1), len(steps)) - 1])
    dice = random.random() if chance is None else chance  # noqa: S311 - no secret
    if outcome.asked is not None:
        wait = max(outcome.asked, timedelta(seconds=1))
        # Never before what was asked for.
        return max(wait, own) if attempts > BELIEVED else wait * (1 + JITTER * dice)
    return own * (1 + JITTER * (2 * dice - 1))
