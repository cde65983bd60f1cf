"""Untrusted text made safe to show a model: hidden characters visible, marks broken, length bounded, fenced.

A fence is two lines that carry the call's nonce. The text between them holds no nonce (checked by the caller) and no
run of angle brackets, so that it can neither end its fence nor begin another.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence

NONCE_CHARS = 32
_NONCE = re.compile(r"[0-9a-f]{32}\Z")
# Characters that people do not see and models read: zero width, direction, tags, variation selectors above 16, fillers,
# controls. Joiners (U+200C, U+200D) and the emoji selectors (U+FE0E, U+FE0F) are left: scripts and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]+"
)
_SURROGATES = re.compile("[\ud800-\udfff]")
# Angle brackets and what looks like them.
_MARKS = re.compile("[<>＜＞﹤﹥‹›«»〈〉《》⟨⟩⟪⟫≪≫⋘⋙᚜᚛]{3,}")
_SHOWN_HIDDEN = 40


def new_nonce(texts: Iterable[str]) -> str:
    """128 random bits in hexadecimal that occur in none of `texts`."""
    texts = list(texts)
    while True:
        nonce = secrets.token_hex(NONCE_CHARS // 2)
        if not is_in(nonce, texts):
            return nonce


def is_nonce(nonce: str) -> bool:
    """Whether it has the shape of `new_nonce`."""
    return bool(_NONCE.match(nonce))


def is_in(nonce: str, texts: Iterable[str]) -> bool:
    """Whether a text holds the nonce, in any case of its letters."""
    return any(nonce in text.lower() for text in texts)


def clean(text: str) -> str:
    """`text` without what PostgreSQL and JSON cannot hold: NUL and halves of characters."""
    return _SURROGATES.sub("\ufffd", text.replace("\x00", "\ufffd"))


def visible(text: str) -> str:
    """`text` with hidden characters as marks such as [U+200B], and runs of angle brackets broken by backslashes."""
    text = _SURROGATES.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _HIDDEN.sub(_shown, text)
    return _MARKS.sub(lambda found: "\\".join(found.group()), text)


def without_hidden(text: str) -> str:
    """`text` without the characters that people do not see."""
    return _HIDDEN.sub("", text)


def has_hidden(text: str) -> bool:
    """Whether `text` holds characters that people do not see."""
    return _HIDDEN.search(text) is not None


def _shown(found: re.Match[str]) -> str:
    run = found.group()
    told = " ".join(f"U+{ord(c):04X}" for c in run[:_SHOWN_HIDDEN])
    if len(run) > _SHOWN_HIDDEN:
        told += f" and {len(run) - _SHOWN_HIDDEN:,} more"
    letters = "".join(chr(ord(c) - 0xE0000) for c in run if 0xE0020 <= ord(c) <= 0xE007E)
    if letters:  # tag characters are ASCII in hiding
        told += f" spelling {letters[:200]!r}"
    return f"[{told}]"


def shares(lengths: Sequence[int], total: int) -> list[int]:
    """How many characters each text may have so that all together have `total` at most: short whole, long ones even.

    The shares of texts that fit are given to those that do not.
    """
    left, shares_ = total, [0] * len(lengths)
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for done, at in enumerate(order):
        shares_[at] = min(lengths[at], left // (len(order) - done))
        left -= shares_[at]
    return shares_


def cut(text: str, limit: int, nonce: str) -> str:
    """`text`, or its beginning and end with a mark between that says how much is missing."""
    if len(text) <= limit:
        return text
    head = limit * 2 // 3
    tail = limit - head
    missing = len(text) - limit
    return f"{text[:head]}\n[{nonce}: {missing:,} characters left out here]\n{text[len(text) - tail :]}"


def fence(name: str, text: str, nonce: str) -> str:
    """`text` between two marks. `name` is ours, never the material's."""
    return f"<<<BEGIN {name} {nonce}>>>\n{text}\n<<<END {name} {nonce}>>>"
