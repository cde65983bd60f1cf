"""What a stream gave, piece by piece: when the first came, and what they say together, within bounds."""

from __future__ import annotations

import json
from typing import Any

from telltale_sdk._capture import MASK_MARGIN, VALUE_BYTES, masked_text, to_text
from telltale_sdk._guard import guarded
from telltale_sdk._span import Span

# What is kept for the output; the stream itself goes through whole.
KEPT_CHARS = VALUE_BYTES + MASK_MARGIN
KEPT_PIECES = 20_000


class Pieces:
    """The pieces of one span's stream. Text is kept as it came, so that a mask sees it joined; all else as JSON."""

    __slots__ = ("_captures", "_count", "_is_text", "_kept", "_left", "_missed", "_span")

    def __init__(self, span: Span, captures: bool) -> None:
        self._span = span
        self._captures = captures
        self._kept: list[tuple[bool, str]] = []
        self._is_text = True
        self._left = KEPT_CHARS
        self._missed = 0
        self._count = 0

    @guarded(None)
    def add(self, item: Any) -> None:
        """One more piece."""
        if not self._span.is_recording:
            return
        if not self._count and self._span.kind == "generation":
            self._span.first_token()
        self._count += 1
        if not (self._captures and self._span._captures):
            return
        if self._left <= 0 or len(self._kept) >= KEPT_PIECES:
            self._missed += 1
            return
        is_text = isinstance(item, str)
        # A text of the application's own subclass is copied; what is no text is read now, while it is as it was.
        text = str.__str__(item)[: self._left] if is_text else to_text(item, self._span._mask, self._left)
        self._is_text = self._is_text and is_text
        self._left -= max(len(text) if is_text or text.isascii() else 3 * len(text), 1)
        self._kept.append((is_text, text))

    @guarded(None)
    def end(self, value: Any = None, is_early: bool = False) -> None:
        """The stream is over; `value` is what the generator returned, `is_early` says that its taker closed it."""
        span = self._span
        if not span.is_recording:
            return
        if self._count:
            span._set("telltale.pieces", self._count)
        if is_early:
            span._set("telltale.closed_early", True)
        if not (self._captures and span._captures):
            return
        if not self._kept:
            if value is not None:
                span.set_output(value)
            return
        if self._is_text:
            text = "".join(text for _, text in self._kept)
            span.set_output(text)
            return
        mask = span._mask
        told = [
            json.dumps(masked_text(text, mask), ensure_ascii=False) if is_text else text for is_text, text in self._kept
        ]
        if self._missed:
            told.append(json.dumps(f"… [{self._missed:,} more pieces]", ensure_ascii=False))
        span._set("telltale.output", f"[{','.join(told)}]")
