"""Accepted spans go on to other systems, whole, once, and never at the cost of ingest."""

from __future__ import annotations

import gzip
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import time_machine
from django.db import connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from telltale.audit.models import AuditEntry
from telltale.lib import egress
from traces import forwarding, sending
from traces.forwarding import Wanted
from traces.ingest.rules import forget as forget_rules
from traces.models import ForwardTarget
from traces.sending import read_answer
from traces.write import feed
from traces.write import forwarding as write

pytestmark = pytest.mark.django_db
TRACE = "0" * 31 + "5"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Collector:
    """An OTLP receiver on loopback. `plan` gives an answer per request: (status, headers, body); then 200 for ever."""

    def __init__(self):
        self.plan, self.requests, self.headers = [], [], []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
                status, headers, answer = collector.answer(request)
                collector.requests.append(request)
                collector.headers.append(dict(self.headers))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request):
        if self.plan:
            found = self.plan.pop(0)
            return found(request) if callable(found) else found
        return 200, {"Content-Type": "application/x-protobuf"}, b""

    @property
    def spans(self):
        return [span for request in self.requests for span in spans_of(request)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


def spans_of(request):
    return [span for group in request.resource_spans for scope in group.scope_spans for span in scope.spans]


@pytest.fixture
def collector(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def to(shop, otlp):
    """`to(url, ...)` sets up a target of shop."""

    def add(url, name="tempo", headers=None, with_content=True, project=None):
        target = forwarding.add_target(
            project or shop.project, Wanted(name, url, headers or {}, with_content), by_id=None
        )
        forget_rules()
        return target.id

    return add


def work():
    """What the worker does within some seconds."""
    return sum(sending.tend(target_id) for target_id in sending.dispatch())


def state(shop, target_id):
    return forwarding.get_target(shop.project.pk, target_id)


def adds_up(shop, target_id, n):
    """Nothing is lost or made up: accepted = waiting + sent + refused + dropped."""
    now = state(shop, target_id)
    return now.queued_spans + now.sent_spans + now.refused_spans + now.dropped_spans == n


def due(target_id):
    ForwardTarget.objects.filter(pk=target_id).update(next_at=None)


def full(otlp):
    otlp.send(
        otlp.span(TRACE, "a" * 16, name="turn", attributes={"telltale.feature": "returns", "n": 7, "share": 0.5}),
        otlp.generation(
            TRACE, "b" * 16, "a" * 16, said="may I return it?", kind=3,
            attributes={"odd": "kept"},
            events=[{"name": "retry", "timeUnixNano": str(otlp.start_ns + 7),
                     "attributes": [{"key": "why", "value": {"stringValue": "429"}}]}],
            links=[{"traceId": "9" * 32, "spanId": "8" * 16}],
            traceState="vendor=x", status={"code": 2, "message": "too late"},
        ),
        scope="my.scope", resource={"service.name": "shop", "service.version": "1.2"},
    )  # fmt: skip


def attributes(found):
    return {pair.key: pair.value for pair in found}


def test_spans_arrive_as_they_were_sent(shop, otlp, collector, to):
    target = to(collector.url + "/v1/traces", headers={"DD-API-KEY": "secret-0123456789"})
    full(otlp)

    assert work() == 2

    (request,) = collector.requests
    (group,) = request.resource_spans
    assert attributes(group.resource.attributes)["service.version"].string_value == "1.2"
    assert group.scope_spans[0].scope.name == "my.scope"
    turn, call = group.scope_spans[0].spans
    assert turn.trace_id.hex() == call.trace_id.hex() == TRACE
    assert (turn.span_id.hex(), call.span_id.hex(), call.parent_span_id.hex()) == ("a" * 16, "b" * 16, "a" * 16)
    assert (turn.start_time_unix_nano, turn.end_time_unix_nano) == (otlp.start_ns, otlp.start_ns + 100 * 10**6)
    assert attributes(turn.attributes)["n"].int_value == 7
    assert attributes(turn.attributes)["share"].double_value == 0.5
    told = attributes(call.attributes)
    assert told["odd"].string_value == "kept"
    assert "may I return it?" in told["gen_ai.input.messages"].string_value
    assert told["gen_ai.usage.input_tokens"].int_value == 1000
    assert (call.kind, call.trace_state) == (3, "vendor=x")
    assert (call.status.code, call.status.message) == (2, "too late")
    (event,) = call.events
    assert (event.name, event.time_unix_nano) == ("retry", otlp.start_ns + 7)
    assert attributes(event.attributes)["why"].string_value == "429"
    assert (call.links[0].trace_id.hex(), call.links[0].span_id.hex()) == ("9" * 32, "8" * 16)
    (headers,) = collector.headers
    assert headers["DD-API-KEY"] == "secret-0123456789"
    assert headers["Content-Type"] == "application/x-protobuf"
    now = state(shop, target)
    assert (now.sent_spans, now.queued_spans, now.state, now.lag_seconds) == (2, 0, "idle", None)


def test_what_was_said_can_be_left_out(shop, otlp, collector, to):
    to(collector.url, with_content=False)
    full(otlp)

    work()

    text = str(collector.requests[0])
    assert "return it" not in text
    assert "odd" not in text
    assert "too late" not in text
    call = attributes(collector.spans[1].attributes)
    assert call["gen_ai.usage.input_tokens"].int_value == 1000
    assert call["gen_ai.request.model"].string_value == "gpt-4o-mini"
    assert collector.spans[1].events[0].name == "retry"


def test_a_span_that_was_known_is_not_sent_again(shop, otlp, collector, to):
    to(collector.url)
    full(otlp)
    work()

    full(otlp)
    otlp.send(otlp.span(TRACE, "c" * 16, "a" * 16, "late"))

    work()
    assert [span.span_id.hex() for span in collector.spans] == ["a" * 16, "b" * 16, "c" * 16]


def test_every_target_gets_everything(shop, otlp, collector, to):
    one, two = to(collector.url, "one"), to(collector.url, "two")
    full(otlp)

    work()

    assert len(collector.spans) == 4
    assert state(shop, one).sent_spans == state(shop, two).sent_spans == 2


def test_other_projects_send_nothing(shop, otlp, collector, to):
    to(collector.url)
    otlp.send(otlp.span(TRACE, "a" * 16), project=shop.elsewhere)

    work()

    assert collector.requests == []
    with connection.cursor() as cursor:
        assert feed.open_projects(cursor, feed.Consumer.FORWARD) == []


def test_a_target_that_is_down_gets_everything_when_it_is_back(shop, otlp, collector, to):
    target = to(collector.url)
    collector.plan = [(503, {}, b"")] * 3
    full(otlp)

    for _ in range(3):
        assert work() == 0
        now = state(shop, target)
        assert now.queued_spans == 2
        assert now.next_at > datetime.now(UTC)
        assert work() == 0  # not before its time
        due(target)

    assert "cannot take spans now (HTTP 503)" in state(shop, target).last_error
    assert state(shop, target).state == "failing"
    assert work() == 2
    now = state(shop, target)
    assert (now.sent_spans, now.failures, now.state) == (2, 0, "idle")
    assert len(collector.requests) == 4
    assert adds_up(shop, target, 2)


def test_nobody_there_is_said_in_plain_words(shop, otlp, settings, to):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    target = to("http://127.0.0.1:9")
    full(otlp)

    work()

    assert state(shop, target).last_error == "127.0.0.1 port 9 refused the connection."
    assert state(shop, target).queued_spans == 2


def test_one_dead_target_takes_nothing_from_the_others(shop, otlp, collector, to):
    dead, alive = to("http://127.0.0.1:9", "dead"), to(collector.url, "alive")
    full(otlp)

    work()

    assert state(shop, alive).sent_spans == 2
    assert (state(shop, dead).sent_spans, state(shop, dead).queued_spans) == (0, 2)


@pytest.mark.parametrize(("raw", "seconds"), [("120", 120), ("Fri, 20 Nov 2026 12:02:00 GMT", 120), ("9999999", 3600)])
def test_retry_after_is_honoured(raw, seconds):
    answer = egress.Answer(429, {"retry-after": raw})

    verdict = read_answer(answer, 5, 0, NOW)

    assert (verdict.kind, verdict.pause) == ("again", timedelta(seconds=seconds))
    assert "slow down" in verdict.message


def test_a_target_that_asks_for_a_pause_gets_it(shop, otlp, collector, to):
    target = to(collector.url)
    collector.plan = [(429, {"Retry-After": "90"}, b"")]
    full(otlp)

    before = datetime.now(UTC)
    work()

    assert timedelta(seconds=85) < state(shop, target).next_at - before < timedelta(seconds=100)


@pytest.mark.parametrize("raw", ["", "soon", "-5", "Fri, 99 Nov 2026", "1" * 40, "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_strange_retry_after_means_our_own_pause(raw):
    pause = read_answer(egress.Answer(503, {"retry-after": raw}), 5, 3, NOW).pause

    assert timedelta(seconds=6) < pause < timedelta(seconds=10)


def test_pauses_grow_up_to_five_minutes():
    pauses = [read_answer(egress.Answer(503), 5, failures, NOW).pause.total_seconds() for failures in range(12)]

    assert pauses[0] < 1.3
    assert all(2**n * 0.79 < pause < 2**n * 1.21 for n, pause in enumerate(pauses[:8]))
    assert all(239 < pause < 361 for pause in pauses[9:])


@pytest.mark.parametrize(
    ("status", "failures", "kind"),
    [
        (200, 0, "accepted"), (202, 0, "accepted"), (204, 0, "accepted"), (301, 0, "again"), (400, 0, "refused"),
        (401, 0, "again"), (403, 9, "again"), (404, 0, "again"), (408, 0, "again"), (413, 0, "refused"),
        (415, 0, "refused"), (422, 0, "refused"), (429, 99, "again"), (500, 0, "again"), (500, 5, "refused"),
        (502, 99, "again"), (503, 99, "again"), (504, 99, "again"), (599, 5, "refused"), (700, 5, "refused"),
    ],
)  # fmt: skip
def test_what_each_answer_means(status, failures, kind):
    assert read_answer(egress.Answer(status), 5, failures, NOW).kind == kind


def partial(n, message="no"):
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = n
    response.partial_success.error_message = message
    return response.SerializeToString()


@pytest.mark.parametrize(
    ("kind", "body", "refused"),
    [
        ("application/x-protobuf", partial(2), 2),
        ("application/x-protobuf; charset=x", partial(99), 5),
        ("application/x-protobuf", partial(-1), 0),
        ("application/x-protobuf", b"\xff\xff", 0),
        ("application/json", b'{"partialSuccess": {"rejectedSpans": "3"}}', 3),
        ("application/json", b'{"partialSuccess": null}', 0),
        ("application/json", b'{"partialSuccess": {"rejectedSpans": {"a": 1}}}', 0),
        ("application/json", b"[1", 0),
        ("application/json", b'"x"', 0),
        ("text/html", b"<html>", 0),
        ("", b"", 0),
    ],
)
def test_partial_success_is_read_from_whatever_answers(kind, body, refused):
    assert read_answer(egress.Answer(200, {"content-type": kind}, body), 5, 0, NOW).refused == refused


def test_spans_refused_by_partial_success_are_counted_and_not_sent_again(shop, otlp, collector, to):
    target = to(collector.url)
    collector.plan = [(200, {"Content-Type": "application/x-protobuf"}, partial(1, "<b>secret</b>"))]
    full(otlp)

    work()
    work()

    now = state(shop, target)
    assert (now.sent_spans, now.refused_spans, now.queued_spans) == (1, 1, 0)
    assert now.last_error == "It took 1 of 2 spans and refused 1 (partial success)."
    assert len(collector.requests) == 1


def many(otlp, n, trace=TRACE):
    otlp.send(*[otlp.span(trace, f"{at:016x}", at_ms=at) for at in range(1, n + 1)])


def test_one_span_that_is_refused_costs_itself(shop, otlp, collector, to):
    target = to(collector.url)
    many(otlp, 300)

    def picky(request):
        bad = any(span.span_id.hex() == f"{200:016x}" for span in spans_of(request))
        return (400, {}, b"") if bad else (200, {}, b"")

    collector.plan = [picky] * 1000
    work()

    now = state(shop, target)
    assert (now.sent_spans, now.refused_spans, now.queued_spans) == (299, 1, 0)
    assert "refused spans for good (HTTP 400)" in now.last_error
    assert len(collector.requests) < 40
    taken = [span.span_id for request in collector.requests for span in spans_of(request)]
    assert len(set(taken)) == 300


def test_a_target_that_refuses_everything_is_not_asked_about_every_span(shop, otlp, collector, to):
    target = to(collector.url)
    many(otlp, 1500)
    collector.plan = [(400, {}, b"")] * 1000

    work()

    now = state(shop, target)
    assert (now.sent_spans, now.refused_spans, now.queued_spans) == (0, 1500, 0)
    assert len(collector.requests) < 25


def test_a_request_that_is_too_large_is_sent_in_halves(shop, otlp, collector, to):
    target = to(collector.url)
    many(otlp, 400)
    collector.plan = [lambda request: (413 if len(spans_of(request)) > 100 else 200, {}, b"")] * 1000

    work()

    assert (state(shop, target).sent_spans, state(shop, target).refused_spans) == (400, 0)


@pytest.mark.parametrize(("status", "words"), [(401, "Check the headers"), (404, "/v1/traces"), (302, "redirect")])
def test_wrong_settings_keep_what_waits(shop, otlp, collector, to, status, words):
    target = to(collector.url)
    collector.plan = [(status, {"Location": collector.url + "/other"}, b"")]
    full(otlp)

    work()

    now = state(shop, target)
    assert words in now.last_error
    assert (now.queued_spans, len(collector.requests)) == (2, 1)
    forwarding.change_target(shop.project, target, Wanted("tempo", collector.url, None, True))
    assert work() == 2


def test_large_traces_go_in_pieces_and_every_span_once(shop, otlp, collector, to):
    target = to(collector.url)
    many(otlp, 1200)
    many(otlp, 700, "0" * 31 + "6")

    while work():
        pass

    ids = [(span.trace_id, span.span_id) for span in collector.spans]
    assert len(ids) == len(set(ids)) == 1900
    assert max(len(spans_of(request)) for request in collector.requests) <= sending.CHUNK_SPANS
    assert adds_up(shop, target, 1900)


def test_small_requests_are_sent_on_together(shop, otlp, collector, to):
    to(collector.url)
    for n in range(1, 41):
        otlp.send(otlp.span(f"{n:032x}", "a" * 16))

    work()

    assert len(collector.spans) == 40
    assert len(collector.requests) == 1


def test_spans_with_large_bodies_go_in_smaller_pieces(shop, otlp, collector, to, monkeypatch):
    monkeypatch.setattr(sending, "CHUNK_BYTES", 100_000)
    to(collector.url)
    otlp.send(*[otlp.generation(TRACE, f"{n:016x}", said=f"{n} " * 200_000) for n in range(1, 6)])

    work()

    assert len(collector.spans) == 5
    assert len(collector.requests) > 1


def test_killed_after_the_answer_a_piece_is_sent_twice_and_nothing_is_lost(shop, otlp, collector, to, monkeypatch):
    target = to(collector.url)
    full(otlp)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(write, "settle", die)
        with pytest.raises(KeyboardInterrupt):
            work()
    assert state(shop, target).queued_spans == 2
    assert work() == 0  # the lease of the dead one
    ForwardTarget.objects.filter(pk=target).update(lease_until=datetime(2020, 1, 1, tzinfo=UTC))
    assert work() == 2

    assert len(collector.requests) == 2
    assert collector.requests[0] == collector.requests[1]
    assert adds_up(shop, target, 2)


def test_a_worker_that_was_stopped_for_long_writes_nothing_down(shop, otlp, collector, to, monkeypatch):
    target = to(collector.url)
    full(otlp)

    real = sending._post

    def post(row, spans, limits):
        verdict = real(row, spans, limits)
        ForwardTarget.objects.filter(pk=target).update(lease_by="another")
        return verdict

    monkeypatch.setattr(sending, "_post", post)

    assert work() == 0
    assert state(shop, target).queued_spans == 2
    assert state(shop, target).sent_spans == 0


def test_two_workers_do_not_send_to_one_target_at_once(shop, otlp, collector, to):
    target = to(collector.url)
    full(otlp)
    sending.dispatch()
    held = write.claim(target, 2)

    assert sending.tend(target) == 0
    write.release(held)
    assert sending.tend(target) == 2


def test_slow_targets_never_take_every_worker(shop, otlp, collector, to):
    targets = [to(collector.url, f"t{n}") for n in range(3)]
    full(otlp)
    sending.dispatch()

    held = [write.claim(target, sending.SLOTS) for target in targets]

    assert [row is not None for row in held] == [True, True, False]


def test_what_waits_too_long_is_dropped_and_counted(shop, otlp, collector, to):
    target = to(collector.url)
    collector.plan = [(503, {}, b"")]
    full(otlp)
    work()

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=False):
        work()
        now = state(shop, target)

    assert (now.dropped, now.queued_spans) == ({"too_old": 2}, 0)
    assert adds_up(shop, target, 2)


def test_a_queue_that_is_full_drops_the_oldest(shop, otlp, collector, to, monkeypatch):
    monkeypatch.setattr(sending, "QUEUE_SPANS_MAX", 25)
    target = to(collector.url)
    collector.plan = [(503, {}, b"")]
    for n in range(1, 5):
        many(otlp, 10, f"{n:032x}")
    work()
    work()
    due(target)

    while work():
        pass

    now = state(shop, target)
    assert now.dropped == {"queue_full": 20}
    assert now.sent_spans == 20
    assert {span.trace_id.hex() for span in collector.requests[-1].resource_spans[0].scope_spans[0].spans} == {
        f"{3:032x}", f"{4:032x}"
    }  # fmt: skip
    assert adds_up(shop, target, 40)


def test_spans_that_were_removed_meanwhile_are_counted_as_gone(shop, otlp, collector, to):
    target = to(collector.url)
    full(otlp)
    sending.dispatch()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_span WHERE name = 'chat'")

    sending.tend(target)

    assert (state(shop, target).sent_spans, state(shop, target).dropped) == (1, {"gone": 1})


def test_a_paused_target_waits_and_goes_on(shop, otlp, collector, to):
    target = to(collector.url)
    forwarding.pause_target(shop.project, target, is_paused=True)
    full(otlp)

    assert work() == 0
    assert (state(shop, target).state, state(shop, target).queued_spans) == ("paused", 2)
    forwarding.pause_target(shop.project, target, is_paused=False)
    assert work() == 2


def test_a_removed_target_leaves_nothing(shop, otlp, collector, to):
    target = to(collector.url)
    full(otlp)
    sending.dispatch()

    assert forwarding.remove_target(shop.project, target)

    full_again = otlp.span(TRACE, "d" * 16)
    otlp.send(full_again)
    assert work() == 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT count(*) FROM traces_forward_queue) + (SELECT count(*) FROM traces_feed WHERE consumer = 3)"
        )
        assert cursor.fetchone() == (0,)


def test_ingest_waits_for_no_target(shop, otlp, to, monkeypatch, settings):
    """Accepting spans opens no connection and costs one row more, however dead the target is."""
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    to("http://127.0.0.1:9")
    opened = []
    monkeypatch.setattr(egress, "request", lambda *a, **k: opened.append(a))

    full(otlp)

    assert opened == []
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traces_feed WHERE consumer = %s", [int(feed.Consumer.FORWARD)])
        assert cursor.fetchone() == (1,)


def test_headers_are_sealed_at_rest_and_told_by_their_end(shop, collector, to):
    target = to(collector.url, headers={"api-key": "nr-secret-value-1234"})

    row = ForwardTarget.objects.get(pk=target)
    assert "nr-secret" not in row.sealed_headers
    assert state(shop, target).headers == {"api-key": "…1234"}
    assert "nr-secret" not in str(AuditEntry.objects.filter(action="forwarding.add").values_list("after", "before"))


def test_headers_go_to_the_host_they_were_entered_for_and_no_other(shop, otlp, collector, to):
    target = to(collector.url, headers={"api-key": "nr-secret-value-1234"})
    forwarding.change_target(shop.project, target, Wanted("tempo", collector.url + "/v1/other", None, True))
    assert state(shop, target).headers == {"api-key": "…1234"}

    forwarding.change_target(
        shop.project, target, Wanted("tempo", collector.url.replace("127.0.0.1", "127.0.0.2"), None, True)
    )

    assert state(shop, target).headers == {}
    full(otlp)
    work()
    assert all("api-key" not in headers for headers in collector.headers)


def test_another_secret_key_of_the_installation_is_said(shop, otlp, collector, to, settings):
    target = to(collector.url, headers={"api-key": "nr-secret-value-1234"})
    full(otlp)
    settings.SECRET_KEY = "another" * 10

    work()

    assert "secret key changed" in state(shop, target).last_error
    assert collector.requests == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wanted("", "https://host", None, True), "name"),
        (Wanted("x" * 81, "https://host", None, True), "name"),
        (Wanted("x", "ftp://host", None, True), "url"),
        (Wanted("x", "https://169.254.169.254/", None, True), "url"),
        (Wanted("x", "http://[::ffff:10.0.0.1]/", None, True), "url"),
        (Wanted("x", "https://u:p@host/", None, True), "url"),
        (Wanted("x", "https://127.0.0.1/?api_key=secret", None, True), "url"),
        (Wanted("x", "http://127.0.0.1", {"Host": "a"}, True), "headers"),
        (Wanted("x", "http://127.0.0.1", {"X": "a\r\nb"}, True), "headers"),
        (Wanted("x", "http://127.0.0.1", {f"X{n}": "a" for n in range(21)}, True), "headers"),
    ],
)
def test_a_target_that_cannot_be_is_refused_with_its_field(shop, settings, wanted, field):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]

    with pytest.raises(forwarding.TargetRefused) as refused:
        forwarding.add_target(shop.project, wanted, by_id=None)

    assert refused.value.field == field
    assert not ForwardTarget.objects.exists()


def test_names_are_unique_and_targets_capped(shop, collector, to, monkeypatch):
    to(collector.url)
    with pytest.raises(forwarding.TargetRefused, match="another target's name"):
        to(collector.url)
    monkeypatch.setattr(forwarding, "TARGETS_MAX", 1)
    with pytest.raises(forwarding.TargetRefused, match="one too many"):
        to(collector.url, "other")


def test_a_bare_host_gets_the_path_of_otlp(shop, collector, to):
    assert state(shop, to(collector.url + "/", "a")).url == collector.url + "/v1/traces"
    assert state(shop, to(collector.url + "/otlp/v1/traces", "b")).url == collector.url + "/otlp/v1/traces"


def test_the_test_button_sends_one_span_that_says_so(shop, collector, to):
    target = to(collector.url)
    collector.plan = [(200, {}, b""), (401, {}, b"")]

    fine, wrong = (sending.send_test(shop.project, target) for _ in range(2))

    assert fine.is_accepted
    assert "answered 200" in fine.message
    (span,) = spans_of(collector.requests[0])
    assert (span.name, span.trace_id.hex()) == ("telltale forwarding test", fine.trace_id)
    assert not wrong.is_accepted
    assert "HTTP 401" in wrong.message
    assert AuditEntry.objects.filter(action="forwarding.test").count() == 2
    assert state(shop, target).sent_spans == 0
