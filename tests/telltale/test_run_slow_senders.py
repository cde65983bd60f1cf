"""Slow senders hold nobody up: the real web process, its threads, and more of them than threads."""

from __future__ import annotations

import socket
import time
import urllib.request
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from telltale.accounts.models import Organisation
from telltale.projects import keys
from telltale.projects.models import Project
from telltale.run import gthread
from traces.write import partitions, spans

MANY = 24  # over twice TELLTALE_WEB_THREADS


@pytest.fixture
def dial(live):
    """Opens connections to the web process; all are closed at the end."""
    with ExitStack() as stack:

        def opened(data=b""):
            host = urlsplit(live)
            connection = socket.create_connection((host.hostname, host.port), timeout=20)
            stack.enter_context(connection)
            connection.sendall(data)
            return connection

        yield opened


def seconds_for(live, path="/healthz"):
    began = time.monotonic()
    with urllib.request.urlopen(live + path, timeout=20) as response:
        assert response.status == 200
    return time.monotonic() - began


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def read_answer(connection):
    """One answer of /healthz on a connection that stays open."""
    got = b""
    # The last header may end in 0 as the last chunk does.
    while not got.endswith(b"\r\n0\r\n\r\n"):
        part = connection.recv(65536)
        assert part, got
        got += part
    return got


@pytest.mark.parametrize(
    "begun",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ", b"\r\n\r\n", b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Len"],
)
def test_headers_that_dribble_hold_no_thread(live, dial, begun):
    slow = [dial(begun) for _ in range(MANY)]
    for connection in slow:
        connection.sendall(b"a" if begun else b"")

    assert seconds_for(live) < 2
    assert seconds_for(live, "/accounts/login/") < 4


def test_a_connection_kept_alive_may_not_dribble_either(live, dial):
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    kept = [dial(request) for _ in range(MANY // 2)]
    for connection in kept:
        assert read_answer(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(request[:20])

    assert seconds_for(live) < 2
    for connection in kept:
        connection.sendall(request[20:])
        assert read_answer(connection).startswith(b"HTTP/1.1 200")


def test_headers_in_pieces_and_several_requests_at_once_are_served(live, dial):
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    pieces = dial()
    for at in range(0, len(request), 7):
        pieces.sendall(request[at : at + 7])
        time.sleep(0.01)
    assert read_answer(pieces).startswith(b"HTTP/1.1 200")

    together = dial(request + request + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert read_all(together).count(b"HTTP/1.1 200") == 3


def test_headers_that_never_end_are_answered_and_closed(live, dial):
    began = time.monotonic()
    late, idle = dial(b"GET / HTTP/1.1\r\nHost: x\r\n"), dial()
    large = dial(b"GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * (gthread.HEAD_MAX_BYTES + 1))

    assert read_all(large).startswith(b"HTTP/1.1 431")
    assert read_all(late).startswith(b"HTTP/1.1 408")
    assert read_all(idle) == b""
    assert gthread.HEAD_SECONDS - 1 < time.monotonic() - began < gthread.HEAD_SECONDS + 5


def test_bodies_of_one_key_that_dribble_leave_the_door_open_for_another(live, dial):
    partitions.forget()
    spans.forget()
    organisation = Organisation.objects.create(name="Slow", slug="slow")
    project = Project.objects.create(organisation=organisation, name="slow", slug="slow")
    slow, other = (keys.make_key(project, name, ("ingest",)).secret for name in ("slow", "other"))
    head = (
        b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100000\r\nAuthorization: Bearer " + slow.encode() + b"\r\n\r\n{"
    )

    began = time.monotonic()
    dribbling = [dial(head) for _ in range(MANY)]
    time.sleep(0.5)
    asked = urllib.request.Request(
        live + "/api/v1/traces", b'{"name": "mine"}',
        {"Authorization": f"Bearer {other}", "Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(asked, timeout=10) as response:
        assert response.status == 200
    assert time.monotonic() - began < 8
    assert seconds_for(live) < 2

    # Those that hold a turn are let go of, whatever they dribble meanwhile.
    for connection in dribbling:
        connection.settimeout(0.01)
    open_ones = list(dribbling)
    while open_ones and time.monotonic() - began < gthread.GRACE_SECONDS + 10:
        for connection in list(open_ones):
            try:
                connection.sendall(b" ")
                if connection.recv(65536):
                    open_ones.remove(connection)
            except TimeoutError:
                continue
            except OSError:
                open_ones.remove(connection)
        time.sleep(0.3)
    assert open_ones == []
