"""Ids of sessions and users in addresses. Senders choose them freely: slashes, spaces, dots, any script, 1,024 bytes.

An id of plain characters stands in an address as it is. Any other is `~` and base64url of its UTF-8: what browsers and
proxies do to slashes, dots and percent signs cannot change it.
"""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress

# What nobody on the way rewrites. A dot in front could make a step up; longer ones are no nicer to read.
_PLAIN = re.compile(r"[A-Za-z0-9_@:=-][A-Za-z0-9._@:=-]{0,199}\Z")
# Ids are cut to this many bytes on the way in; nothing longer is anybody's.
ID_MAX = 1024


def write_id(text: str) -> str:
    """An id as an address has it: one part of a path that needs no quoting."""
    if _PLAIN.match(text):
        return text
    return "~" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_ids(part: str) -> list[str]:
    """The ids that this part of an address may mean, likeliest first; none where it can be no id."""
    ids = [part]
    if part.startswith("~"):
        with suppress(ValueError, binascii.Error):
            ids.insert(0, base64.b64decode(part[1:] + "=" * (-len(part[1:]) % 4), b"-_", validate=True).decode())
    return [found for found in dict.fromkeys(ids) if _can_be(found)]


def _can_be(text: str) -> bool:
    if not text or "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        return False
    return len(text.encode()) <= ID_MAX
