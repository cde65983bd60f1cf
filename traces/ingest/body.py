"""Reading request bodies as streams with a cap, whatever their framing; Django's own reader would lose chunked ones."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from traces.canonical.types import WireError

READ_BYTES = 256 * 1024
DISCARD_BYTES = 4 * 1024 * 1024


def mib(size: int) -> str:
    """A size in words for a person: "64 MiB"."""
    return f"{size / 1048576:g} MiB"


def too_large(limit: int) -> WireError:
    """The 413 of a body over `limit` bytes."""
    return WireError(
        f"request body is over the limit of {mib(limit)} ({limit} bytes); lower the exporter's batch size", 413, 8
    )


def read_body(request: HttpRequest, limit: int) -> bytes:
    """The whole body as sent, at most `limit` bytes; WireError 413 beyond, 400 where the sender stopped half-way."""
    environ: dict[str, Any] = request.environ  # type: ignore[attr-defined]
    stream = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared:
        try:
            length = int(declared)
        except ValueError:
            raise WireError("Content-Length is not a number") from None
        if length > limit:
            raise too_large(limit)
        return _read_exactly(stream, length)
    if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower() or environ.get("wsgi.input_terminated"):
        return _read_to_end(stream, limit)
    return b""


def discard_body(environ: dict[str, Any], limit: int = DISCARD_BYTES) -> None:
    """Read and forget what is left of the body, at most `limit` bytes.

    Gunicorn answers and closes on a sender that is still sending, who then sees a reset instead of the answer.
    """
    stream = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    left = min(limit, int(declared)) if declared.isdigit() else limit
    while left > 0 and (part := stream.read(min(left, READ_BYTES))):
        left -= len(part)


def _read_exactly(stream: Any, length: int) -> bytes:
    parts: list[bytes] = []
    left = length
    while left:
        part = stream.read(min(left, READ_BYTES))
        if not part:
            raise WireError(f"request body ended after {length - left} of {length} bytes")
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_to_end(stream: Any, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := stream.read(READ_BYTES):
        size += len(part)
        if size > limit:
            raise too_large(limit)
        parts.append(part)
    return b"".join(parts)
