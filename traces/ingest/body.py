"""Reading request bodies as streams with a cap, whatever their framing; Django's own reader would lose chunked ones."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any

from django.http import HttpRequest
from gunicorn.http.errors import ParseException

from traces.canonical.types import WireError

READ_BYTES = 256 * 1024
# As much as a body may have: who sends 60 MB and is refused would see a reset in place of the 503. Time bounds it.
DISCARD_BYTES = 64 * 1024 * 1024
# A sender that sends nothing for so long has stopped. Without a bound, one byte on each of 16 connections took every
# thread of both processes for good. Exporters give up after 10 s themselves.
STALL_SECONDS = 10.0
DISCARD_SECONDS = 1.0


class Stalled(Exception):
    """The sender stopped sending in the middle of a body."""


def mib(size: int) -> str:
    """A size in words for a person: "64 MiB"."""
    return f"{size / 1048576:g} MiB"


def too_large(limit: int) -> WireError:
    """The 413 of a body over `limit` bytes."""
    return WireError(
        f"request body is over the limit of {mib(limit)} ({limit} bytes); send fewer at once (an exporter: in "
        "smaller batches)",
        413,
        8,
    )


def read_body(request: HttpRequest, limit: int) -> bytes:
    """The whole body as sent, at most `limit` bytes, in memory. Raises what `receive` raises."""
    whole = BytesIO()
    receive(request, limit, whole.write)
    return whole.getvalue()


def receive(request: HttpRequest, limit: int, write: Callable[[bytes], object]) -> None:
    """Hand the body on as it comes, at most `limit` bytes.

    WireError 413 beyond, 400 where the connection ends half-way or its chunks are none; Stalled after `STALL_SECONDS`
    without a byte.
    """
    environ: dict[str, Any] = request.environ  # type: ignore[attr-defined]
    with _patience(environ, STALL_SECONDS):
        for part in _parts(environ, limit):
            write(part)


def _parts(environ: dict[str, Any], limit: int) -> Iterator[bytes]:
    stream = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    length = limit
    if declared:
        try:
            length = int(declared)
        except ValueError:
            raise WireError("Content-Length is not a number") from None
        if length > limit:
            raise too_large(limit)
    elif not _is_chunked(environ) and not environ.get("wsgi.input_terminated"):
        return
    size = 0
    while size < length or not declared:
        part = _read(stream, min(length - size, READ_BYTES) if declared else READ_BYTES)
        if not part:
            break
        size += len(part)
        if size > limit:
            raise too_large(limit)
        yield part
    if declared and size < length:
        raise WireError(f"request body ended after {size} of {length} bytes")


def _read(stream: Any, size: int) -> bytes:
    try:
        part: bytes = stream.read(size)
    except TimeoutError:
        raise Stalled from None
    except OSError:
        raise WireError("the connection ended before the request body did") from None
    except ParseException:
        raise WireError("Transfer-Encoding: chunked, but the chunks cannot be read") from None
    return part


def discard_body(environ: dict[str, Any], limit: int = DISCARD_BYTES) -> None:
    """Read and forget what is left of the body, at most `limit` bytes.

    Gunicorn answers and closes on a sender that is still sending, who then sees a reset instead of the answer.
    """
    stream = environ["wsgi.input"]
    declared = environ.get("CONTENT_LENGTH") or ""
    if not declared and not _is_chunked(environ):
        return
    left = min(limit, int(declared)) if declared.isdigit() else limit
    deadline = time.monotonic() + DISCARD_SECONDS
    try:
        with _patience(environ, DISCARD_SECONDS):
            while left > 0 and time.monotonic() < deadline and (part := stream.read(min(left, READ_BYTES))):
                left -= len(part)
    except (OSError, ParseException):
        hang_up(environ)


@contextmanager
def _patience(environ: dict[str, Any], seconds: float) -> Iterator[None]:
    """Reads from the sender wait at most `seconds` for the next byte; TimeoutError then."""
    connection = environ.get("gunicorn.socket")
    if connection is None:
        yield
        return
    before = connection.gettimeout()
    connection.settimeout(seconds)
    try:
        yield
    finally:
        connection.settimeout(before)


def hang_up(environ: dict[str, Any]) -> None:
    """Read nothing more from this sender: gunicorn would wait for the rest of the body before it frees the thread."""
    connection = environ.get("gunicorn.socket")
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RD)


def _is_chunked(environ: dict[str, Any]) -> bool:
    return "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
