"""What both forms of OTLP need to know of stored values."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Protocol, TypeVar

import orjson

from traces.forward.outgoing import Sender

# Protobuf parsers stop at 100 nested messages, and a value takes three a level.
DEPTH_MAX = 24
INT_MIN, INT_MAX = -(2**63), 2**63 - 1
UINT64_MAX = 2**64 - 1
_BYTES = re.compile(r"base64:(\d{1,9}):([A-Za-z0-9+/]*={0,2})\Z")


class Sent(Protocol):
    """What has a sender."""

    @property
    def sender(self) -> Sender: ...


Item = TypeVar("Item", bound=Sent)


def bytes_of(text: str) -> bytes | None:
    """The bytes that are kept as `base64:<length>:<text>`; None where `text` is no such thing."""
    if not text.startswith("base64:"):
        return None
    found = _BYTES.match(text)
    if found is None:
        return None
    try:
        data = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        return None
    return data if len(data) == int(found[1]) else None


def as_text(value: Any) -> str:
    """A value nested too deeply, as the JSON of it."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


def nanoseconds(value: Any) -> int:
    """A time as an unsigned 64-bit integer; 0 where it is none."""
    return min(value, UINT64_MAX) if isinstance(value, int) and value > 0 else 0


def hex_bytes(value: Any, size: int) -> bytes:
    """The bytes of an id written in hex; empty where it has another shape."""
    try:
        data = bytes.fromhex(str(value))
    except ValueError:
        return b""
    return data if len(data) == size else b""


def by_sender(items: Iterable[Item]) -> Iterator[tuple[Sender, list[Item]]]:
    """The items grouped by who sent them, each group in its own order."""
    ordered = sorted(items, key=lambda item: item.sender.key)
    for _, group in groupby(ordered, key=lambda item: item.sender.key):
        held = list(group)
        yield held[0].sender, held
