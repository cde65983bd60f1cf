"""gunicorn's threaded worker, in which a slow sender holds no thread and a slow body holds one for a bounded time.

gunicorn gives a connection to a thread as soon as it is accepted and reads the headers there: sixteen connections that
send a byte every few seconds keep sixteen threads from everybody else. Here the main loop gathers the headers, without
waiting for anyone, and a request goes to a thread when they are complete.
"""

from __future__ import annotations

import contextlib
import selectors
import time
from functools import partial
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker

# Exporters give up after 10 s themselves.
HEAD_SECONDS = 10.0
# 100 fields of 300 bytes; a thousand slow connections then cost 32 MiB at most.
HEAD_MAX_BYTES = 32 * 1024
READ_BYTES = 16 * 1024
# A request may take this long whatever it brings, and a second more for each so many bytes.
GRACE_SECONDS = 10.0
BYTES_A_SECOND = 64 * 1024
END = b"\r\n\r\n"


class PacedUnreader(SocketUnreader):  # type: ignore[misc]
    """Reads from the connection; TimeoutError where a request comes more slowly than anybody's time is worth."""

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.begin()

    def begin(self) -> None:
        """Another request begins."""
        self._since = time.monotonic()
        self._bytes = 0

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next bytes from the connection."""
        if time.monotonic() > self._since + GRACE_SECONDS + self._bytes / BYTES_A_SECOND:
            raise TimeoutError("the request comes too slowly")
        data: bytes = super().chunk(size_hint)
        self._bytes += len(data)
        return data


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker; every way to a thread leads through `enqueue_req`, which is called in the main loop."""

    def enqueue_req(self, conn: Any) -> None:
        """Gather the headers of the next request of this connection, then give it to a thread."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        # What came together with the request before.
        conn.head = bytearray(conn.parser.unreader.take_buffered() if conn.parser else b"")
        conn.timeout = time.monotonic() + HEAD_SECONDS
        conn.sock.setblocking(False)
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._gather, conn))
        # Mostly it is all there already, and the loop need not be asked.
        self._gather(conn, conn.sock)

    def _gather(self, conn: Any, sock: Any) -> None:
        """Take what has come. The main loop calls this whenever there is something."""
        if not _is_complete(conn.head):
            try:
                part = sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                part = b""
            if not part:
                self._forget(conn)
                self._close(conn)
                return
            conn.head += part
        if _is_complete(conn.head):
            self._forget(conn)
            super().enqueue_req(conn)
        elif len(conn.head) > HEAD_MAX_BYTES:
            self._forget(conn)
            self._close(conn, b"431 Request Header Fields Too Large")

    def handle(self, conn: Any) -> Any:
        """Serve a request whose headers are complete. Runs in a thread."""
        if hasattr(conn, "head"):
            conn.data_ready = True
            if not conn.initialized:
                conn.init()
                conn.parser.unreader = PacedUnreader(conn.sock)
            conn.parser.unreader.begin()
            conn.parser.unreader.unread(bytes(conn.head))
        return super().handle(conn)

    def murder_pending(self) -> None:
        """Close connections whose headers did not come in time, or that a stopping worker need not wait for."""
        now = time.monotonic()
        for conn in [conn for conn in self.pending_conns if conn.timeout <= now or not (self.alive or conn.head)]:
            self._forget(conn)
            self._close(conn, b"408 Request Timeout" if conn.head else b"")

    def _forget(self, conn: Any) -> None:
        self.pending_conns.remove(conn)
        self.poller.unregister(conn.sock)

    def _close(self, conn: Any, status: bytes = b"") -> None:
        """Close, after a last word that is not waited for."""
        self.nr_conns -= 1
        if status:
            with contextlib.suppress(OSError):
                conn.sock.send(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        conn.close()


def _is_complete(head: bytearray) -> bool:
    """Whether the headers end in here; empty lines before the request are none of it."""
    return END in (head.lstrip(b"\r\n") if head[:1] in b"\r\n" else head)
