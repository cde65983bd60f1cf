"""What turns a text into a vector, each under a key that says what made it: vectors of different keys never meet.

A key reads `kind:name:version/numbers`, such as `lexical:n-grams:1/256` or `endpoint:text-embedding-3-small/1536`.
"""

from __future__ import annotations

from alerts.encoders.kinds import (
    ENDPOINT,
    KINDS,
    LEXICAL,
    MINILM,
    SENDER,
    TEXT_CHARS_MAX,
    Encoded,
    EncoderMissing,
    key_of,
    kind_of,
    short_text,
)
from alerts.encoders.local import encode_here, is_installed
from alerts.encoders.sender import sent_vectors

__all__ = [
    "ENDPOINT",
    "KINDS",
    "LEXICAL",
    "MINILM",
    "SENDER",
    "TEXT_CHARS_MAX",
    "Encoded",
    "EncoderMissing",
    "encode_here",
    "is_installed",
    "key_of",
    "kind_of",
    "sent_vectors",
    "short_text",
]
