"""One key cannot starve the others: turns and places to wait are shared out, and a key may have a rate."""

from __future__ import annotations

import gzip
import io
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest

from telltale.audit.models import AuditEntry
from telltale.projects import keys
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from traces.ingest import gate as gates
from traces.ingest import quota as quotas
from traces.ingest import refusals, views
from traces.ingest.body import READ_BYTES, receive
from traces.ingest.gate import Busy, Gate
from traces.ingest.quota import Quota
from traces.ingest.shed import Shed
from traces.ingest.spool import Spool
from traces.read.accounting import read_account
from traces.wire.compression import inflate
from traces.write import partitions, spans

BUSY, OTHER, THIRD = 1, 2, 3


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(gates, "WAIT_SECONDS", 0.01)


def held(gate, *key_ids):
    stack = ExitStack()
    for key_id in key_ids:
        stack.enter_context(gate.turn(key_id))
    return stack


class Waiting(threading.Thread):
    """A request that waits for a turn; `order` gets its key when it has one."""

    def __init__(self, gate, key_id, order):
        super().__init__(daemon=True)
        self.gate, self.key_id, self.order = gate, key_id, order
        before, pause = len(gate._waiting), threading.Event()
        self.start()
        for _ in range(500):
            if len(gate._waiting) > before:
                return
            pause.wait(0.002)
        raise AssertionError("it does not wait")

    def run(self):
        with self.gate.turn(self.key_id):
            self.order.append(self.key_id)


def test_the_last_turn_belongs_to_a_key_that_has_none(impatient):
    gate = Gate(4, 10**9)

    with held(gate, BUSY, BUSY, BUSY):
        with pytest.raises(Busy), gate.turn(BUSY):
            pass
        with gate.turn(OTHER), pytest.raises(Busy), gate.turn(OTHER):
            pass

    with held(gate, BUSY, BUSY, BUSY):
        pass


def test_a_gate_of_one_turn_still_opens(impatient):
    gate = Gate(1, 10**9)

    with gate.turn(BUSY), pytest.raises(Busy), gate.turn(OTHER):
        pass
    with gate.turn(BUSY):
        pass


def test_the_key_with_the_fewest_turns_is_called_first():
    gate, order = Gate(3, 10**9), []
    mine, theirs = held(gate, BUSY, BUSY), held(gate, THIRD)
    first, second = Waiting(gate, BUSY, order), Waiting(gate, OTHER, order)

    theirs.close()
    second.join(5)
    assert order == [OTHER]
    mine.close()
    first.join(5)

    assert order == [OTHER, BUSY]
    assert (gate._free, gate._turns, gate._waiting) == (3, {}, [])


def test_the_last_place_to_wait_belongs_to_a_key_that_has_none():
    gate, order = Gate(2, 10**9), []
    mine = held(gate, BUSY, OTHER)
    first = Waiting(gate, BUSY, order)

    with pytest.raises(Busy), gate.turn(OTHER):
        pass
    second = Waiting(gate, THIRD, order)
    with pytest.raises(Busy), gate.turn(4):
        pass

    mine.close()
    first.join(5)
    second.join(5)
    assert sorted(order) == [BUSY, THIRD]


def test_a_wait_that_is_over_leaves_its_place(impatient):
    gate = Gate(1, 10**9)

    with gate.turn(BUSY):
        for _ in range(5):
            with pytest.raises(Busy), gate.turn(OTHER):
                pass

    assert (gate._free, gate._waiting) == (1, [])


def test_before_the_work_begins_only_the_key_that_has_its_part_is_refused():
    gate = Gate(2, 10**9)
    busy, other = ({"HTTP_AUTHORIZATION": f"Bearer {name}"} for name in ("busy", "other"))
    mine = KeyHolder(BUSY, 7, "shop", frozenset({"ingest"}))
    gate.know(busy, mine)
    gate.know(other, KeyHolder(OTHER, 8, "else", frozenset({"ingest"})))

    assert not gate.is_crowded
    with held(gate, BUSY):
        assert gate.is_crowded
        waiting = Waiting(gate, BUSY, [])
        assert gate.who_is_refused(busy) is mine
        assert gate.who_is_refused(other) is False
        assert gate.who_is_refused({"HTTP_X_API_KEY": "unknown"}) is False
    waiting.join(5)


def test_a_quick_refusal_is_counted_under_the_project_of_its_key(monkeypatch):
    gate = Gate(2, 10**9)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/v1/traces", "HTTP_AUTHORIZATION": "Bearer busy"}
    gate.know(environ, KeyHolder(BUSY, 7, "shop", frozenset({"ingest"})))
    noted, said = [], []
    monkeypatch.setattr("traces.ingest.shed.gate", gate)
    monkeypatch.setattr(refusals, "note", lambda *told: noted.append(told))

    with held(gate, BUSY):
        waiting = Waiting(gate, BUSY, [])
        Shed(lambda *_: [b"through"])({**environ, "wsgi.input": None}, lambda status, headers: said.append(status))
    waiting.join(5)

    assert said == ["503 Service Unavailable"]
    assert noted[0][:4] == (7, "traces", 503, "busy")


def holder(rate, key_id=5):
    return KeyHolder(key_id, 7, "shop", frozenset({"ingest"}), rate)


@pytest.fixture
def at(monkeypatch):
    """The monotonic clock, in seconds; set `at.now`."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(quotas.time, "monotonic_ns", lambda: int(Clock.now * 10**9))
    return Clock


def test_a_key_may_send_a_burst_and_then_its_rate(at):
    quota, key = Quota(), holder(100)
    quota.charge(key, 500)
    assert quota.wait_seconds(key) == 0

    quota.charge(key, 300)

    assert quota.wait_seconds(key) == 3
    at.now += 2.5
    assert quota.wait_seconds(key) == 1
    at.now += 0.5
    assert quota.wait_seconds(key) == 0


def test_over_a_long_time_a_key_gets_its_rate_and_no_more(at):
    quota, key, sent = Quota(), holder(50), 0
    for _ in range(6000):
        if not quota.wait_seconds(key):
            quota.charge(key, 20)
            sent += 20
        at.now += 0.1

    assert sent == pytest.approx(50 * 600, rel=0.02)


def test_one_large_batch_is_waited_for_at_most_a_minute_at_a_time(at):
    quota, key = Quota(), holder(1)
    quota.charge(key, 100_000)

    assert quota.wait_seconds(key) == 60


def test_keys_have_times_of_their_own_also_in_a_crowd(at):
    quota = Quota()
    crowd = [holder(1, key_id) for key_id in range(1, 3000)]
    for key in crowd:
        quota.charge(key, 100)

    assert all(quota.wait_seconds(key) == 60 for key in crowd)
    assert quota.wait_seconds(holder(1, 9999)) == 0


def test_without_a_rate_nothing_is_counted(at, settings):
    quota = Quota()
    quota.charge(holder(None), 10**9)
    assert quota.wait_seconds(holder(None)) == 0

    settings.INGEST_KEY_SPANS_A_SECOND = 10
    quota.charge(holder(None), 100)

    assert quota.wait_seconds(holder(None)) == 5
    assert quota.wait_seconds(holder(10**6, key_id=6)) == 0


def test_a_raised_limit_does_not_wait_for_the_end_of_the_old_one(at):
    quota = Quota()
    quota.charge(holder(1), 1000)
    assert quota.wait_seconds(holder(1)) == 60

    assert quota.wait_seconds(holder(1000)) == 0


@pytest.fixture
def limited(shop):
    """A key of `shop` that may send 10 a second, and its headers."""
    partitions.forget()
    spans.forget()
    quotas.quota.forget()
    refusals.forget()
    made = keys.make_key(shop.project, "limited", ("ingest",), spans_a_second=10)
    yield {"Authorization": f"Bearer {made.secret}"}
    quotas.quota.forget()
    refusals.forget()


def send(shop, headers, count=1, path="/api/v1/traces"):
    call = {"trace_id": uuid4().hex, "name": "x", "spans": [{"name": f"s{n}"} for n in range(count - 1)]}
    return shop.nobody.post(path, call, "application/json", headers=headers)


@pytest.mark.django_db
def test_a_sender_over_its_rate_is_told_to_wait_and_counted_and_others_are_not(shop, limited, monkeypatch):
    monkeypatch.setattr(views, "PACE_SECONDS", 0.0)
    assert send(shop, limited, 100).status_code == 200

    native = send(shop, limited)
    otlp = shop.nobody.post("/v1/traces", b"x", "application/x-protobuf", headers=limited)
    other = send(shop, shop.key("ingest"), 100)

    assert (native.status_code, native.json()["reason"]) == (429, "over_rate")
    assert native.json()["type"] == "urn:telltale:problem:429"
    assert "10 spans" in native.json()["detail"]
    assert (otlp.status_code, otlp.content[:2]) == (429, b"\x08\x08")
    assert 1 <= int(native["Retry-After"]) <= 6
    assert int(otlp["Retry-After"]) >= 1
    assert other.status_code == 200
    refusals.flush()
    now = datetime.now(UTC)
    counted = read_account(shop.project.pk, now.replace(minute=0), now).refusals
    assert sorted((row.source, row.http_status, row.reason, row.n) for row in counted) == [
        ("native", 429, "over_rate", 1), ("traces", 429, "over_rate", 1),
    ]  # fmt: skip
    page = shop.bob.get("/p/shop/accounting/").content.decode()
    assert "over_rate" in page
    assert "may send 10 spans" in page


@pytest.mark.django_db
def test_a_rate_is_set_on_the_page_and_by_rest_and_audited(shop):
    key = keys.make_key(shop.project, "ci", ("ingest",)).key
    page, rest = f"/p/shop/settings/keys/{key.pk}/limit/", f"/api/v1/keys/{key.pk}"
    admin = shop.key("admin")

    assert "How much may “ci” send?" in shop.erin.get(page).content.decode()
    assert shop.erin.post(page, {"spans_a_second": "0"}).status_code == 200
    assert shop.erin.post(page, {"spans_a_second": "250"}).status_code == 302
    assert "250 spans a second" in shop.erin.get("/p/shop/settings/keys/").content.decode()
    changed = shop.nobody.patch(rest, {"spans_a_second": 500}, "application/json", headers=admin)
    same = shop.nobody.patch(rest, {"spans_a_second": 500}, "application/json", headers=admin)
    wrong = shop.nobody.patch(rest, {"spans_a_second": -1}, "application/json", headers=admin)
    ended = shop.erin.post(page, {"spans_a_second": ""})

    assert (changed.status_code, changed.json()["spans_a_second"]) == (200, 500)
    assert same.json() == changed.json()
    assert wrong.json()["errors"][0] == {
        "field": "spans_a_second", "message": "Ensure this value is greater than or equal to 1.",
        "limit": "a whole number from 1 to 10000000", "value": -1,
    }  # fmt: skip
    assert ended.status_code == 302
    assert ApiKey.objects.get(pk=key.pk).spans_a_second is None
    entries = AuditEntry.objects.filter(action="key.limit").order_by("pk")
    assert [(entry.before["spans_a_second"], entry.after["spans_a_second"]) for entry in entries] == [
        (None, 250), (250, 500), (500, None),
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_key_is_made_with_its_rate(shop):
    by_rest = shop.erin.post(
        "/api/v1/keys?project=shop", {"name": "a", "scopes": ["ingest"], "spans_a_second": 20}, "application/json"
    )
    on_page = shop.erin.post("/p/shop/settings/keys/new/", {"name": "b", "scopes": ["ingest"], "spans_a_second": "30"})

    assert (by_rest.status_code, on_page.status_code) == (201, 200)
    rates = dict(ApiKey.objects.values_list("name", "spans_a_second"))
    assert (rates["a"], rates["b"]) == (20, 30)


def test_room_is_taken_as_bytes_come_and_given_back():
    gate = Gate(concurrency=5, bytes_in_flight=100)
    with gate.room() as one, gate.room() as other:
        one(60)
        other(30)
        with pytest.raises(Busy, match="in flight"):
            other(20)
        one(10)  # what is left
    with gate.room() as one:
        one(100)


def test_a_body_that_is_alone_always_passes_however_large():
    gate = Gate(concurrency=5, bytes_in_flight=100)
    with gate.room() as one:
        one(90)
        one(500)
        with gate.room() as other, pytest.raises(Busy):
            other(1)
    with gate.room() as other:
        other(1)


def test_every_byte_that_is_read_or_unfolded_is_counted():
    taken = []
    body = bytes(3 * READ_BYTES)

    def request(**environ):
        return SimpleNamespace(environ={"wsgi.input": io.BytesIO(body), **environ})

    for framing in ({"CONTENT_LENGTH": str(len(body))}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        spool = Spool(taken.append)
        receive(request(**framing), 1 << 30, spool.write)
        assert b"".join(spool.pieces()) == body
        assert taken == [READ_BYTES] * 3  # and none is read beyond what there is room for
        taken.clear()
    assert inflate(gzip.compress(body), "gzip", 1 << 30, taken.append) == body
    assert sum(taken) == len(body)
    taken.clear()
    assert inflate(body, "identity", 1 << 30, taken.append) is body
    assert taken == []
