"""The embedded broker delivers, redelivers what a dead consumer held, and never loses a free message."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from kombu import Connection, Consumer, Queue

from telltale.jobs import transport
from telltale.jobs.models import Message

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def connect():
    opened = []

    def make():
        connection = Connection("telltale://")
        opened.append(connection)
        return connection

    yield make
    for connection in opened:
        connection.release()


def put(connection, *bodies, queue="notify"):
    with connection.Producer() as producer:
        for body in bodies:
            producer.publish(body, routing_key=queue, declare=[Queue(queue, routing_key=queue)], exchange="")


def taker(connection, got, *, queue="notify", ack=True, prefetch=1):
    def receive(body, message):
        got.append(body)
        if ack:
            message.ack()

    consumer = Consumer(connection.default_channel, [Queue(queue)], callbacks=[receive], prefetch_count=prefetch)
    consumer.qos(prefetch_count=prefetch)
    consumer.consume()
    return consumer


def drain(connection, seconds=0.3):
    try:
        while True:
            connection.drain_events(timeout=seconds)
    except socket.timeout:  # noqa: UP041
        pass


def test_connecting_warns_of_nothing(connect, caplog):
    with caplog.at_level("WARNING"):
        put(connect(), "one")
        connect().as_uri()

    assert caplog.records == []


def test_messages_arrive_in_order_and_are_gone_after_the_acknowledgement(connect):
    got = []
    put(connect(), "one", "two", "three")
    consuming = connect()
    taker(consuming, got)

    drain(consuming)

    assert got == ["one", "two", "three"]
    assert Message.objects.count() == 0


def test_queue_of_others_is_left_alone(connect):
    got = []
    put(connect(), "mine", queue="notify")
    put(connect(), "theirs", queue="judge")
    consuming = connect()
    taker(consuming, got)

    drain(consuming)

    assert got == ["mine"]
    assert Message.objects.get().queue == "judge"


def test_message_of_a_dead_consumer_is_delivered_again(connect, monkeypatch):
    monkeypatch.setattr(transport, "LEASE_SECONDS", 0.2)
    held, got = [], []
    put(connect(), "work")
    dead = connect()
    taker(dead, held, ack=False)
    drain(dead, 0.1)
    dead.transport._closed.set()  # what a kill does: nothing is renewed, nothing is released
    living = connect()
    taker(living, got)

    drain(living, 1.5)

    assert (held, got) == (["work"], ["work"])
    assert Message.objects.count() == 0


def test_held_message_is_renewed_and_stays_with_its_consumer(connect, monkeypatch):
    monkeypatch.setattr(transport, "LEASE_SECONDS", 0.6)
    held, got = [], []
    put(connect(), "long work")
    busy = connect()
    taker(busy, held, ack=False)
    drain(busy, 0.1)
    other = connect()
    taker(other, got)

    drain(other, 1.5)

    assert (held, got) == (["long work"], [])


def test_consumer_that_leaves_gives_its_messages_back(connect):
    held, got = [], []
    put(connect(), "work")
    leaving = connect()
    taker(leaving, held, ack=False)
    drain(leaving, 0.1)
    leaving.release()
    living = connect()
    taker(living, got)

    drain(living)

    assert got == ["work"]


def test_full_consumer_takes_no_more_than_its_prefetch(connect):
    held = []
    put(connect(), *range(5))
    consuming = connect()
    taker(consuming, held, ack=False, prefetch=2)

    drain(consuming)

    assert held == [0, 1]


def test_message_wakes_a_waiting_consumer_before_its_poll(connect, monkeypatch):
    monkeypatch.setattr(transport, "POLL_SECONDS", 20.0)
    got = []
    publishing, consuming = connect(), connect()
    taker(consuming, got)
    drain(consuming, 0.05)
    threading.Timer(0.3, put, (publishing, "wake")).start()
    began = time.monotonic()

    consuming.drain_events(timeout=15)

    assert got == ["wake"]
    assert time.monotonic() - began < 5


def test_message_that_kills_its_consumers_is_dropped(connect):
    got = []
    put(connect(), "poison", "fine")
    Message.objects.filter(pk=Message.objects.earliest("pk").pk).update(deliveries=transport.DELIVERIES_MAX)
    consuming = connect()
    taker(consuming, got)

    drain(consuming)

    assert got == ["fine"]
    assert Message.objects.count() == 0


def test_lost_connection_is_opened_again(connect):
    got = []
    publishing, consuming = connect(), connect()
    taker(consuming, got)
    put(publishing, "before")
    drain(consuming)
    for link in (publishing.default_channel.connection.link, consuming.transport.link):
        link.connection().close()

    put(publishing, "after")
    drain(consuming)

    assert got == ["before", "after"]


def test_delivery_without_acknowledgement_is_refused(connect):
    consumer = Consumer(connect().default_channel, [Queue("notify")], no_ack=True)

    with pytest.raises(NotImplementedError):
        consumer.consume()
