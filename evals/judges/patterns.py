"""People's regular expressions, matched in time linear in the text (RE2): none can hold up a worker."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

from evals.judges.fencing import clean

PATTERN_CHARS_MAX = 1_000
# A pattern's cache grows up to this as it is used; beyond, matching slows down and stays linear.
_MEMORY = 2 * 1024 * 1024


class BadPattern(ValueError):
    """A pattern that RE2 does not take; the text says why."""


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, ignore_case: bool = False) -> Any:
    """The compiled pattern. BadPattern where it is too long, or uses what cannot be matched in linear time."""
    if len(pattern) > PATTERN_CHARS_MAX:
        raise BadPattern(f"has {len(pattern):,} characters; at most {PATTERN_CHARS_MAX:,}.")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(clean(pattern), options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        told = "is no regular expression that RE2 takes (it knows no look-around and no back references)"
        raise BadPattern(f"{told}: {said[:200]}.") from None


def found_in(pattern: Any, text: str, *, is_whole: bool = False) -> str | None:
    """What the pattern first matches in `text`; None where it matches nothing."""
    text = text if text.isascii() else clean(text)
    match = pattern.fullmatch(text) if is_whole else pattern.search(text)
    return None if match is None else str(match.group())
