"""A talk with a mail server that ends when it has to, however slowly the server speaks.

The time-out of a socket bounds one step of the talk, and a server that sends a byte now and then not even that. Here
the whole of it is bounded: name, connection, TLS, login, message.
"""

from __future__ import annotations

import contextlib
import smtplib
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

# What a thread that was cut off gets to say how far it came.
_LAST_WORDS_SECONDS = 1.0


class Lever:
    """Cuts a connection off, whichever thread speaks on it and whatever TLS made of its socket."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._is_pulled = False

    def hold(self, sock: socket.socket) -> None:
        """Take hold of a connection; TimeoutError where the lever was pulled before it came about."""
        with self._lock:
            if self._is_pulled:
                sock.close()
                raise TimeoutError("The mail server took too long to be reached.")
            # A duplicate stands for the same connection, and stays when TLS takes the socket over.
            self._sock = sock.dup()

    def pull(self) -> None:
        """End the connection that is held, and every one to come."""
        with self._lock:
            self._is_pulled = True
            if self._sock is not None:
                with contextlib.suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go."""
        with self._lock:
            if self._sock is not None:
                self._sock.close()
                self._sock = None


class _Plain(smtplib.SMTP):
    def __init__(self, lever: Lever, *args: Any, **named: Any) -> None:
        self._lever = lever
        super().__init__(*args, **named)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._lever.hold(sock)
        return sock


class _Tls(smtplib.SMTP_SSL, _Plain):
    """TLS from the start: what it wraps comes from the one above, held."""

    def __init__(self, lever: Lever, *args: Any, **named: Any) -> None:
        self._lever = lever
        smtplib.SMTP_SSL.__init__(self, *args, **named)


class Backend(EmailBackend):
    """Django's sender, bounded as a whole by `send_within`."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._lever = Lever()

    @property
    def connection_class(self) -> Callable[..., smtplib.SMTP]:  # type: ignore[override]
        """What Django makes its connection by."""
        return partial(_Tls if self.use_ssl else _Plain, self._lever)

    def send_within(self, messages: Sequence[EmailMessage], seconds: float) -> int:
        """Send within `seconds`; how many. TimeoutError where they run out; else as `send_messages` raises."""
        sent: list[int] = []
        failed: list[Exception] = []

        def speak() -> None:
            try:
                sent.append(self.send_messages(messages))
            except Exception as error:  # noqa: BLE001 - raised again where it is waited for
                failed.append(error)
            finally:
                self._lever.close()

        thread = threading.Thread(target=speak, name="mail-talk", daemon=True)
        thread.start()
        thread.join(seconds)
        is_late = thread.is_alive()
        if is_late:
            self._lever.pull()
            # It may have had the server's word already and wait for a goodbye alone.
            thread.join(_LAST_WORDS_SECONDS)
        if sent:
            return sent[0]
        if is_late:
            raise TimeoutError(f"The mail server took longer than {seconds:g} s in all.")
        raise failed[0]
