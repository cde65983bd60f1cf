"""Bodies unfolded as streams with a cap, so that 20 KB that unfold to 20 GB cost at most the cap."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO

import zstandard

from traces.canonical.types import WireError

ACCEPTED = ("identity", "gzip", "deflate", "zstd")
_STEP = 256 * 1024
_SLICE = 16 * 1024  # how much compressed data is looked at at once: what is left over is copied at every step
# Members or frames of one body. Senders write one; bgzip writes one for 64 KiB. Millions of empty ones only burn time.
MAX_MEMBERS = 4096
_GZIP_MAGIC = b"\x1f\x8b"
# A frame may ask for a window as large as its content; 32 MiB covers zstd's levels up to 19.
_ZSTD_WINDOW_BYTES = 1 << 25


def _no_count(size: int) -> None:
    """Nobody counts the bytes."""


def inflate(
    chunks: bytes | Iterable[bytes], encoding: str, limit: int, take: Callable[[int], None] = _no_count
) -> bytes:
    """The body without its Content-Encoding, at most `limit` bytes; `take` is called with the bytes it grows by.

    WireError 415 for an encoding that is unknown or stacked, 413 over the limit, 400 for corrupt or truncated data.
    A gzip body may have several members and padding of zero bytes after the last; a deflate body may lack its zlib
    wrapping, a zstd body may have several frames.
    """
    name = encoding.strip().lower() or "identity"
    source = _slices(chunks, name) if isinstance(chunks, bytes) else (p for c in chunks for p in _slices(c, name))
    if name == "identity":
        return _join(source, limit, _no_count)
    if name in ("gzip", "x-gzip"):
        return _join(_gzip(source), limit, take)
    if name == "deflate":
        return _join(_deflate(source), limit, take)
    if name == "zstd":
        return _join(_zstd(source), limit, take)
    raise WireError(
        f"Content-Encoding {encoding[:100]!r} is not accepted; send one of {', '.join(ACCEPTED)}", status=415, code=3
    )


def _slices(data: bytes, encoding: str) -> Iterable[bytes]:
    if encoding in ("identity", "zstd") or len(data) <= _SLICE:
        return [data]
    return (data[at : at + _SLICE] for at in range(0, len(data), _SLICE))


def _join(parts: Iterable[bytes], limit: int, take: Callable[[int], None]) -> bytes:
    first = b""
    whole = BytesIO()
    for part in parts:
        if whole.tell() + len(part) > limit:
            raise WireError(
                f"request body unfolds to more than the limit of {limit} bytes; send fewer at once (an exporter: in "
                "smaller batches)",
                status=413,
                code=8,
            )
        take(len(part))
        first = b"" if whole.tell() else part
        whole.write(part)
    # The only part as it is; else the buffer itself, where joining parts would hold the body twice.
    return first or whole.getvalue()


def _run(decoder: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What `decoder` makes of `data`, in steps; what it does not need stays in `decoder.unused_data`."""
    part = b""
    # A step that came out full may have left output inside the decoder, all input consumed.
    while (data or len(part) == _STEP) and not decoder.eof:
        part = decoder.decompress(data, _STEP)
        data = decoder.unconsumed_tail
        if part:
            yield part


def _gzip(source: Iterable[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(31)
    started = False  # whether the present member has begun
    held = b""
    done = 0
    try:
        for chunk in source:
            data = held + chunk
            held = b""
            while data:
                if not started:
                    # Between members: zero padding is legal, anything else that is no member is garbage and refused.
                    data = data.lstrip(b"\x00") if done else data
                    if not data:
                        break
                    if done and len(data) < 2:
                        held = data
                        break
                    if done and not data.startswith(_GZIP_MAGIC):
                        raise WireError("gzip body: data after the last member is no gzip member")
                    decoder, started = zlib.decompressobj(31), True
                yield from _run(decoder, data)
                data = decoder.unused_data if decoder.eof else b""
                if decoder.eof:
                    started, done = False, done + 1
                    if done > MAX_MEMBERS:
                        raise WireError(f"gzip body has more than {MAX_MEMBERS} members")
    except zlib.error as error:
        raise WireError(f"gzip body is corrupt: {error}") from None
    if started or held or not done:
        raise WireError("gzip body is truncated")


def _deflate(source: Iterable[bytes]) -> Iterator[bytes]:
    decoder: zlib._Decompress | None = None
    try:
        for chunk in source:
            if not chunk:
                continue
            if decoder is None:
                # A zlib header names method 8 in its low nibble; raw deflate practically never does.
                decoder = zlib.decompressobj(15 if chunk[0] & 0x0F == 8 and chunk[0] >> 4 <= 7 else -15)
            if decoder.eof:
                raise WireError("deflate body: data after its end")
            yield from _run(decoder, chunk)
    except zlib.error as error:
        raise WireError(f"deflate body is corrupt: {error}") from None
    if decoder is None or not decoder.eof:
        raise WireError("deflate body is truncated")
    if decoder.unused_data:
        raise WireError("deflate body: data after its end")


def _zstd(source: Iterable[bytes]) -> Iterator[bytes]:
    data = b"".join(source)
    _check_frames(data)
    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    try:
        with context.stream_reader(data, read_across_frames=True) as reader:
            while part := reader.read(_STEP):
                yield part
    except zstandard.ZstdError as error:
        raise WireError(f"zstd body is corrupt: {error}") from None


def _check_frames(data: bytes) -> None:
    """WireError 400 where the last frame is not whole: zstandard's bounded reader ends silently there."""
    at = frames = 0
    if not data:
        raise WireError("zstd body is truncated")
    while at < len(data):
        frames += 1
        if frames > MAX_MEMBERS:
            raise WireError(f"zstd body has more than {MAX_MEMBERS} frames")
        if data[at + 1 : at + 4] == b"\x2a\x4d\x18" and data[at] & 0xF0 == 0x50:  # skippable frame
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        else:
            try:
                header = data[at : at + 18]
                at += zstandard.frame_header_size(header)
                has_checksum = zstandard.get_frame_parameters(header).has_checksum
            except zstandard.ZstdError as error:
                raise WireError(f"zstd body is corrupt: {error}") from None
            is_last = False
            while not is_last:
                if at + 3 > len(data):
                    raise WireError("zstd body is truncated")
                block = int.from_bytes(data[at : at + 3], "little")
                is_last = bool(block & 1)
                at += 3 + (1 if block >> 1 & 3 == 1 else block >> 3)
            at += 4 * has_checksum
        if at > len(data):
            raise WireError("zstd body is truncated")
