"""Hostile encodings and content types."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import zstandard

from tests.traces.hostile_case import (
    MIB,
    NATIVE,
    PROTOBUF,
    Case,
    trace_of,
)
from tests.traces.hostile_wire import (
    request,
    span,
)


def encodings_cases() -> Iterator[Case]:
    def coded(name: str, body: bytes, encoding: str, *status: int, items: int | None = None) -> Case:
        return Case(name, body, status=status, items=items, stored=items, headers={"Content-Encoding": encoding})

    def good(name: str) -> bytes:
        return request(span(1, trace_of(name)))

    packed = gzip.compress(good("packed"))
    yield coded("gzip", gzip.compress(good("gzip")), "gzip", 200, items=1)
    yield coded("x-gzip upper", gzip.compress(good("x-gzip upper")), "X-GZIP", 200, items=1)
    yield coded("gzip trailing zeros", gzip.compress(good("gzip trailing zeros")) + b"\0" * 64, "gzip", 200, items=1)
    yield coded("gzip trailing noise", packed + b"noise", "gzip", 400)
    yield coded("gzip cut", packed[:-9], "gzip", 400)
    yield coded("gzip without trailer", packed[:-8], "gzip", 400)
    yield coded("gzip header alone", packed[:10], "gzip", 400)
    yield coded("gzip one byte", packed[:1], "gzip", 400)
    yield coded("gzip wrong sum", packed[:-8] + b"\0" * 8, "gzip", 400)
    yield coded("gzip flipped", packed[:20] + bytes([packed[20] ^ 255]) + packed[21:], "gzip", 400)
    yield coded("gzip empty body", b"", "gzip", 200, 400)
    yield coded("gzip of nothing", gzip.compress(b""), "gzip", 200)
    yield coded("gzip of gzip", gzip.compress(packed), "gzip", 400)
    yield coded("gzip said twice", gzip.compress(packed), "gzip, gzip", 415)
    yield coded(
        "1,000 members", gzip.compress(b"") * 1_000 + gzip.compress(good("1,000 members")), "gzip", 200, items=1
    )
    yield coded("100,000 members", gzip.compress(b"") * 100_000, "gzip", 400, 413)
    yield coded("bomb", _bomb(), "gzip", 413)
    yield coded("bomb of bombs", gzip.compress(_bomb()), "gzip", 400, 413)
    yield coded("bomb of members", _bomb() * 50, "gzip", 413)
    yield coded("deflate bomb", zlib.compress(b"\0" * (80 * MIB), 9), "deflate", 413)
    yield coded("zstd bomb", _zstd_bomb(), "zstd", 400, 413)
    yield coded("deflate", zlib.compress(good("deflate")), "deflate", 200, items=1)
    yield coded("raw deflate", zlib.compress(good("raw deflate"))[2:-4], "deflate", 200, items=1)
    yield coded("deflate cut", zlib.compress(good("deflate cut"))[:-5], "deflate", 400)
    yield coded("deflate noise", b"noise", "deflate", 400)
    yield coded("zstd", zstandard.compress(good("zstd")), "zstd", 200, items=1)
    yield coded("zstd cut", zstandard.compress(good("zstd cut"))[:-3], "zstd", 400)
    yield coded("zstd noise", b"noise", "zstd", 400)
    yield coded("gzip called zstd", packed, "zstd", 400)
    yield coded("gzip called deflate", packed, "deflate", 400)
    yield coded("gzip called identity", packed, "identity", 400)
    yield coded("not packed", good("not packed"), "gzip", 400)
    yield coded("brotli", packed, "br", 415)
    yield coded("encoding 10 KB", packed, "g" * 7000, 415)
    yield coded("encoding of commas", packed, ",,,", 415)
    yield coded("encoding with parameter", packed, "gzip;q=1", 415)


def _bomb() -> bytes:
    """20 KB a member that unfold to 20 MB."""
    return gzip.compress(b"\0" * (20 * MIB), 9) * 4


def _zstd_bomb() -> bytes:
    return zstandard.ZstdCompressor(level=3).compress(b"\0" * (80 * MIB))


def types_cases() -> Iterator[Case]:
    good = request(span(1, trace_of("types")))
    for label, content_type in {
        "none": "",
        "octets": "application/octet-stream",
        "protobuf": "application/protobuf",
        "text": "text/plain",
        "form": "multipart/form-data; boundary=x",
        "grpc": "application/grpc",
        "junk": "!/!",
        "long": "a" * 7000,
        "json in words": "json",
        "two": "application/json, application/x-protobuf",
    }.items():
        yield Case(f"type {label}", good, content_type=content_type, status=(415,))
    yield Case("type upper", good, content_type='Application/X-Protobuf; charset=utf-8; x="y"', items=1)
    yield Case("type protobuf to native", good, NATIVE, PROTOBUF, status=(415,))
