"""A text with the escapes of its letters resolved, and the way back: a secret may be written `\\u0073k-...` within JSON
within JSON, to any depth."""

from __future__ import annotations

import re
from bisect import bisect_right

# Not those of control characters, nor halves of pairs, of which no secret is made.
_ESCAPE = re.compile(rb"\\+(?:u(?!00[01]|[dD][89a-fA-F])([0-9a-fA-F]{4})|x([2-7][0-9a-fA-F]))")


class View:
    """Bytes to look through; `places(start, end)` says where a part of them stands in the original."""

    __slots__ = ("_origins", "_starts", "data")

    def __init__(self, original: bytes) -> None:
        self._starts: list[int] = []
        self._origins: list[int] = []
        self.data = original
        if b"\\" not in original:
            return
        parts: list[bytes] = []
        size = taken = 0
        for match in _ESCAPE.finditer(original):
            start, end = match.span()
            letter = chr(int(match[1] or match[2], 16)).encode()
            parts += (original[taken:start], letter)
            size += start - taken + len(letter)
            taken = end
            # The letter itself stands at the whole escape; what follows is moved.
            self._starts += (size - len(letter), size)
            self._origins += (start, end)
        if parts:
            parts.append(original[taken:])
            self.data = b"".join(parts)

    def places(self, start: int, end: int) -> tuple[int, int]:
        """The (start, end) of the original that `data[start:end]` was read from."""
        return self._place(start), self._place(end)

    def _place(self, at: int) -> int:
        index = bisect_right(self._starts, at) - 1
        return at if index < 0 else self._origins[index] + (at - self._starts[index])
