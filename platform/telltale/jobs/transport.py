"""The embedded broker: a kombu transport on the table `jobs_message`, used where TELLTALE_BROKER_URL is empty.

A consumer takes a message by leasing its row, renews the lease while a task holds the message, and deletes the row at
the acknowledgement. A killed consumer's messages are free again when the lease runs out. NOTIFY wakes consumers; a poll
each second finds what a lost notification or an expired lease left. The transport mends its connections by itself, so
that work goes on within a second of the database's return. Nothing people see depends on a message: work is in rows.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty
from typing import Any, ClassVar

import psycopg
from django.db import connections
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

LEASE_SECONDS = 30.0
POLL_SECONDS = 1.0
# A message that was taken this often without an end has killed its consumers: it is dropped. The row it speaks of
# counts its own attempts and is found by the sweep.
DELIVERIES_MAX = 5
CHANNEL = "telltale_jobs"
LOST = (psycopg.OperationalError, psycopg.InterfaceError)

logger = logging.getLogger("telltale.jobs")

_PUT = "INSERT INTO jobs_message (queue, body, created_at, lease_by, deliveries) VALUES (%s, %s, now(), '', 0)"
_TAKE = """
UPDATE jobs_message SET
    lease_by = %(holder)s,
    lease_until = now() + %(seconds)s * interval '1 second',
    deliveries = deliveries + 1
WHERE id = (
    SELECT id FROM jobs_message
    WHERE queue = ANY(%(queues)s) AND (lease_until IS NULL OR lease_until < now())
    ORDER BY id LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, queue, body, deliveries
"""
_RENEW = """
UPDATE jobs_message SET lease_until = now() + %(seconds)s * interval '1 second'
WHERE lease_by = %(holder)s AND id = ANY(%(ids)s)
"""
_RELEASE = "UPDATE jobs_message SET lease_by = '', lease_until = NULL WHERE lease_by = %(holder)s AND id = ANY(%(ids)s)"
_DELETE = "DELETE FROM jobs_message WHERE id = %s AND lease_by = %s"


def register() -> None:
    """Make `telltale://` a broker URL."""
    TRANSPORT_ALIASES.setdefault("telltale", "telltale.jobs.transport:Transport")


def connect() -> psycopg.Connection[Any]:
    """A connection of the broker's own to Django's database; losing its last commits in a crash loses no work."""
    given = connections["default"].get_connection_params()
    known = {"dbname", "user", "password", "host", "port", "connect_timeout", "target_session_attrs"}
    params = {key: value for key, value in given.items() if key in known or key.startswith("ssl")}
    options = "-c synchronous_commit=off -c statement_timeout=5000"
    return psycopg.connect(**params, options=options, application_name="telltale broker", autocommit=True)


class Link:
    """A connection that is opened at first use and again after it was lost; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: psycopg.Connection[Any] | None = None

    def connection(self) -> psycopg.Connection[Any]:
        """The open connection; psycopg.OperationalError where there is no getting one."""
        with self._lock:
            if self._connection is None or self._connection.closed:
                self._connection = connect()
            return self._connection

    def run(self, statement: str, params: Any, *, tries: int = 1) -> list[tuple[Any, ...]]:
        """The rows of one statement, tried `tries` times where the connection is lost."""
        while True:
            tries -= 1
            try:
                cursor = self.connection().execute(statement, params)
                return cursor.fetchall() if cursor.description else []
            except LOST:
                self.close()
                if tries <= 0:
                    raise

    def close(self) -> None:
        """Close; the next use opens again."""
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(psycopg.Error):
                    self._connection.close()
                self._connection = None


class Queue(virtual.QoS):
    """Messages in the hands of tasks: the database holds them, nothing is put back from memory."""

    def restore_unacked(self) -> list[Any]:
        """Let go of all messages not acknowledged."""
        self._flush()
        tags = list(self._delivered)
        self._delivered.clear()
        self.channel.release(tags)
        return []

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As `restore_unacked`, once a channel."""
        self._on_collect.cancel()
        if not self._delivered.restored:
            self.restore_unacked()
            self._delivered.restored = True


class Channel(virtual.Channel):
    """A channel: publishes and takes messages over its transport's link."""

    QoS = Queue
    supports_fanout = False

    @property
    def _transport(self) -> Transport:
        transport = self.connection
        if not isinstance(transport, Transport):
            raise psycopg.InterfaceError("the channel is closed")
        return transport

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        self._transport.link.run(_PUT, (queue, dumps(message)), tries=2)
        self._transport.link.run("SELECT pg_notify(%s, %s)", (CHANNEL, queue), tries=2)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        return self._take([queue])[1]

    def _take(self, queues: Sequence[str]) -> tuple[str, Any]:
        transport = self._transport
        while True:
            params = {"holder": transport.holder, "seconds": LEASE_SECONDS, "queues": list(queues)}
            rows = transport.link.run(_TAKE, params)
            if not rows:
                raise Empty
            key, queue, body, deliveries = rows[0]
            if deliveries > DELIVERIES_MAX:
                logger.error("message %s of queue %s dropped after %s deliveries", key, queue, DELIVERIES_MAX)
                transport.link.run(_DELETE, (key, transport.holder))
                continue
            message = loads(body)
            message["properties"]["delivery_tag"] = str(key)
            transport.hold(key)
            return queue, message

    def drain_events(self, timeout: float | None = None, callback: Callable[..., Any] | None = None) -> None:
        """Take one message for any of the channel's queues and deliver it; Empty where there is none."""
        if not self._consumers or not self.qos.can_consume():
            raise Empty
        queue, message = self._take(self._active_queues)
        (callback or self._transport._deliver)(message, queue)

    def basic_consume(self, queue: str, no_ack: bool, callback: Any, consumer_tag: str, **kwargs: Any) -> None:
        """Consume with acknowledgement, the only way a lease ends well."""
        if no_ack:
            raise NotImplementedError("the embedded broker delivers with acknowledgement only")
        super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Done: the row goes."""
        super().basic_ack(delivery_tag, multiple)
        self._end(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Not done: the row is free again, or goes."""
        self.qos._quick_ack(delivery_tag)
        if requeue:
            self.release([delivery_tag])
        else:
            self._end(delivery_tag)

    def _end(self, delivery_tag: str) -> None:
        transport = self._transport
        transport.let_go([int(delivery_tag)])
        # With the database away the row stays and is delivered again: tasks are safe to run twice.
        with contextlib.suppress(*LOST):
            transport.link.run(_DELETE, (int(delivery_tag), transport.holder), tries=2)
        transport.wake()

    def release(self, delivery_tags: Sequence[str]) -> None:
        """Make messages free for others at once."""
        if not delivery_tags or self.connection is None:
            return
        keys = [int(tag) for tag in delivery_tags]
        self._transport.let_go(keys)
        with contextlib.suppress(*LOST):
            self._transport.link.run(_RELEASE, {"holder": self._transport.holder, "ids": keys})

    def _size(self, queue: str) -> int:
        return int(self._transport.link.run("SELECT count(*) FROM jobs_message WHERE queue = %s", (queue,))[0][0])

    def _purge(self, queue: str) -> int:
        gone = "DELETE FROM jobs_message WHERE queue = %s AND lease_until IS NULL RETURNING id"
        return len(self._transport.link.run(gone, (queue,)))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)


class Transport(virtual.Transport):
    """A consumer or publisher: one link for statements, one connection that listens, one thread that renews."""

    Channel = Channel
    driver_type = "postgresql"
    driver_name = "telltale"
    polling_interval = POLL_SECONDS
    # The table needs no host; kombu would warn of a missing one with each connection.
    default_connection_params: ClassVar[dict[str, Any]] = {}
    connection_errors: ClassVar[tuple[type[Exception], ...]] = (*virtual.Transport.connection_errors, *LOST)
    channel_errors: ClassVar[tuple[type[Exception], ...]] = (*virtual.Transport.channel_errors, psycopg.DataError)

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.holder = f"{os.getpid()}:{secrets.token_hex(6)}"
        self.link = Link()
        self._listening: psycopg.Connection[Any] | None = None
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._held: set[int] = set()
        self._held_lock = threading.Lock()
        self._closed = threading.Event()
        self._renewer: threading.Thread | None = None

    def driver_version(self) -> str:
        """The version of psycopg."""
        return psycopg.__version__

    def establish_connection(self) -> Any:
        """Connect for certain, so that an absent database is noticed here."""
        self.link.connection()
        return super().establish_connection()

    def close_connection(self, connection: Any) -> None:
        """Let go of messages and connections."""
        super().close_connection(connection)
        self._closed.set()
        self.link.close()
        self._stop_listening()

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Deliver one message; TimeoutError after `timeout` seconds without one."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except (Empty, *LOST):
                pass
            left = POLL_SECONDS if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout  # noqa: UP041 - the name kombu's callers know
            self._wait(min(left, POLL_SECONDS))

    def hold(self, key: int) -> None:
        """Renew the lease of message `key` from now on."""
        with self._held_lock:
            self._held.add(key)
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="broker leases", daemon=True)
                self._renewer.start()

    def let_go(self, keys: Sequence[int]) -> None:
        """Renew the leases of messages `keys` no more."""
        with self._held_lock:
            self._held.difference_update(keys)

    def wake(self) -> None:
        """End the wait of the consuming thread: there is room for a message again."""
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"1")

    def _renew(self) -> None:
        while not self._closed.wait(LEASE_SECONDS / 3):
            with self._held_lock:
                keys = list(self._held)
            if keys:
                with contextlib.suppress(*LOST):
                    self.link.run(_RENEW, {"seconds": LEASE_SECONDS, "holder": self.holder, "ids": keys})

    def _wait(self, seconds: float) -> None:
        """Until a notification, room for a message, or `seconds`."""
        sources: list[Any] = [self._wake_read]
        try:
            if self._listening is None:
                self._listening = connect()
                self._listening.execute(f"LISTEN {CHANNEL}")
                return  # what came in between is found by looking again
            sources.append(self._listening.fileno())
        except LOST:
            self._stop_listening()
        ready, _, _ = select.select(sources, [], [], seconds)
        if self._wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
        if self._listening is not None and len(ready) > (self._wake_read in ready):
            try:
                self._listening.pgconn.consume_input()
                while self._listening.pgconn.notifies():
                    pass
            except LOST:
                self._stop_listening()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            with contextlib.suppress(psycopg.Error):
                self._listening.close()
            self._listening = None

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._wake_read)
            os.close(self._wake_write)
