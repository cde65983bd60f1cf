"""A mail server that speaks slowly, or never: the talk ends in time, and what was taken counts as taken."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from django.core.mail import EmailMessage

from telltale.accounts import mail
from telltale.accounts.smtp import Lever


class Server:
    """A mail server on loopback. `silent`: words it does not answer; `trickle`: its greeting never ends."""

    def __init__(self, silent=(), *, trickle=False):
        self.taken, self.ended = [], threading.Event()
        self.at_goodbye = None
        self._silent, self._trickle = silent, trickle
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = f"smtp://127.0.0.1:{self._door.getsockname()[1]}?starttls=0"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        talk, _ = self._door.accept()
        with talk:
            try:
                while self._trickle:
                    talk.sendall(b"2")
                    self.ended.wait(0.02)
                self._answer(talk)
            except OSError:
                pass
        self.ended.set()

    def _answer(self, talk):
        file = talk.makefile("rb")
        talk.sendall(b"220 here\r\n")
        for line in file:
            word = line[:4].decode().strip().upper()
            if word == "QUIT" and self.at_goodbye is not None:
                self.at_goodbye()
                return
            if word in self._silent:
                continue
            talk.sendall({"DATA": b"354 go on\r\n", "QUIT": b"221 bye\r\n"}.get(word, b"250 yes\r\n"))
            if word == "DATA":
                text = b"".join(iter(file.readline, b".\r\n"))
                self.taken.append(text)
                if "TEXT" not in self._silent:
                    talk.sendall(b"250 taken\r\n")

    def close(self):
        self._trickle = False
        self._door.close()
        self._thread.join(5)


@pytest.fixture
def serving(settings):
    made = []

    def make(*args, **named):
        server = Server(*args, **named)
        made.append(server)
        settings.TELLTALE_SMTP_URL = server.url
        return server

    yield make
    for server in made:
        server.close()


def letter():
    return EmailMessage("Subject", "Text", "telltale@example.com", ["on-call@example.com"])


def test_a_server_that_takes_the_mail_is_waited_for(serving):
    server = serving()

    assert mail.send_now(letter(), 20)

    assert b"Subject: Subject" in server.taken[0]


@pytest.mark.parametrize(("silent", "trickle"), [((), True), (("MAIL",), False), (("TEXT",), False)])
def test_a_talk_that_takes_too_long_is_ended(serving, silent, trickle):
    server = serving(silent, trickle=trickle)

    with pytest.raises(TimeoutError, match=r"longer than 0\.3 s in all"):
        mail.send_now(letter(), 0.3)

    # The connection is gone: nothing of this talk can be taken later.
    assert server.ended.wait(5)


def test_a_mail_that_was_taken_counts_though_the_time_is_up_at_the_goodbye(serving):
    server = serving()
    backend = mail.smtp_backend(server.url)
    server.at_goodbye = backend._lever.pull

    assert backend.send_within([letter()], 20) == 1

    assert len(server.taken) == 1


def test_a_connection_that_comes_about_after_the_end_is_closed_at_once():
    ours, theirs = socket.socketpair()
    with theirs:
        lever = Lever()
        lever.pull()

        with pytest.raises(TimeoutError):
            lever.hold(ours)

        assert theirs.recv(1) == b""


def test_who_refuses_is_told_as_it_is(settings):
    with socket.create_server(("127.0.0.1", 0)) as door:
        settings.TELLTALE_SMTP_URL = f"smtp://127.0.0.1:{door.getsockname()[1]}"
    began = time.monotonic()

    with pytest.raises(ConnectionRefusedError):
        mail.send_now(letter(), 20)

    assert time.monotonic() - began < 10
