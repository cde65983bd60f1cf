"""Text for cells of CSV: what a spreadsheet would compute is made plain text."""

from __future__ import annotations

# The wide forms of the signs count where spreadsheets speak Chinese, Japanese or Korean.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")


def plain_text(text: str) -> str:
    """`text` with an apostrophe in front where a spreadsheet takes its beginning for a formula."""
    return "'" + text if text.startswith(FORMULA) else text
