"""The door: what senders get for what they send, in their own encoding, and what is kept of it."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import zstandard
from django.db import connection
from django.test import Client, RequestFactory
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from telltale.accounts.models import Organisation
from telltale.lib import clock
from telltale.projects import keys
from telltale.projects.models import Project
from traces.ingest import refusals, views
from traces.ingest import rules as ingest_rules
from traces.write import metrics, partitions, spans

PROTOBUF = "application/x-protobuf"
SECRET = "tt_sk_" + "5" * 32


@pytest.fixture
def project(db: None) -> Iterator[Project]:
    for module in (partitions, spans, metrics, ingest_rules, refusals):
        module.forget()
    keys.cache.clear()
    organisation = Organisation.objects.create(name="Door", slug="door")
    project = Project.objects.create(organisation=organisation, name="door", slug="door")
    keys.make_key(project, "sdk", ("ingest",), secret=SECRET)
    yield project
    keys.cache.clear()


def body_of(*span_ids: int, trace: bytes = b"\x07" * 16, **fields: Any) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    now = int(clock.now().timestamp() * 1e9)
    for span_id in span_ids:
        span = scope.spans.add(trace_id=trace, span_id=span_id.to_bytes(8, "big"), name=f"step {span_id}")
        span.start_time_unix_nano, span.end_time_unix_nano = now, now + 10**6
        for key, value in fields.items():
            attribute = span.attributes.add(key=key.replace("__", "."))
            attribute.value.string_value = value
    return request.SerializeToString()


def send(body: bytes, path: str = "/v1/traces", content_type: str = PROTOBUF, **headers: str) -> Any:
    headers.setdefault("HTTP_AUTHORIZATION", f"Bearer {SECRET}")
    return Client().generic("POST", path, body, content_type=content_type, **headers)


def read_status(body: bytes) -> tuple[int, str]:
    """A google.rpc.Status with a code below 128 and a message, read by hand."""
    assert body[0] == 0x08
    assert body[2] == 0x12
    length, shift, at = 0, 0, 3
    while True:
        length |= (body[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if body[at - 1] < 0x80:
            break
    text = body[at : at + length]
    assert at + length == len(body)
    return body[1], text.decode()


def stored() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT span_id FROM traces_span ORDER BY span_id")
        return [row[0] for row in cursor.fetchall()]


def test_full_success_says_nothing(project: Project) -> None:
    response = send(body_of(1, 2))

    assert (response.status_code, response["Content-Type"], response.content) == (200, PROTOBUF, b"")
    assert stored() == [1, 2]


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/traces/", "/otel/v1/traces", "/api/public/otel/v1/traces"])
def test_each_spelling_of_the_path_stores(project: Project, path: str) -> None:
    assert send(body_of(1), path).status_code == 200
    assert stored() == [1]


def test_json_is_answered_in_json(project: Project) -> None:
    now = str(int(clock.now().timestamp() * 1e9))
    span = {"traceId": "0A" * 16, "spanId": "0b" * 8, "name": "x", "startTimeUnixNano": now, "endTimeUnixNano": now}
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}], "unknown": 1}

    response = send(json.dumps(document).encode(), content_type="application/json; charset=utf-8")

    assert (response.status_code, response["Content-Type"], response.json()) == (200, "application/json", {})
    assert len(stored()) == 1


@pytest.mark.parametrize("body", [b"", body_of()])
def test_an_empty_request_is_fine(project: Project, body: bytes) -> None:
    # Given twice: the test client leaves the type of an empty body out.
    assert send(body, CONTENT_TYPE=PROTOBUF).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:])),
        ("deflate", zlib.compress),
        ("zstd", lambda data: zstandard.ZstdCompressor().compress(data)),
        ("identity", bytes),
        ("GZIP", gzip.compress),
    ],
)
def test_each_encoding_is_read(project: Project, encoding: str, pack: Any) -> None:
    assert send(pack(body_of(1)), HTTP_CONTENT_ENCODING=encoding).status_code == 200
    assert stored() == [1]


def test_a_chunked_body_is_read_to_its_end(project: Project) -> None:
    request = RequestFactory().post("/v1/traces", b"x", content_type=PROTOBUF, HTTP_AUTHORIZATION=f"Bearer {SECRET}")
    request.environ.pop("CONTENT_LENGTH", None)
    request.environ["HTTP_TRANSFER_ENCODING"] = "chunked"
    request.environ["wsgi.input"] = io.BytesIO(body_of(1))

    response = views.otlp_traces(request)

    assert response.status_code == 200
    assert stored() == [1]


@pytest.mark.parametrize(
    ("body", "headers", "status", "code", "says"),
    [
        (b"\xff\xff\xff", {}, 400, 3, ""),
        (b"not gzip", {"HTTP_CONTENT_ENCODING": "gzip"}, 400, 3, "gzip"),
        pytest.param(
            gzip.compress(body_of(1))[:-20], {"HTTP_CONTENT_ENCODING": "gzip"}, 400, 3, "gzip", id="gzip cut short"
        ),
        (b"x", {"HTTP_CONTENT_ENCODING": "br"}, 415, 3, "br"),
        (b"x", {"HTTP_CONTENT_ENCODING": "gzip, gzip"}, 415, 3, ""),
        (b"x", {"HTTP_AUTHORIZATION": ""}, 401, 16, "API key"),
        (b"x", {"HTTP_AUTHORIZATION": "Bearer tt_sk_" + "6" * 32}, 401, 16, "API key"),
    ],
)
def test_refusals_are_a_status_in_the_senders_encoding(
    project: Project, body: bytes, headers: dict[str, str], status: int, code: int, says: str
) -> None:
    response = send(body, **headers)

    assert (response.status_code, response["Content-Type"]) == (status, PROTOBUF)
    got, message = read_status(response.content)
    assert got == code
    assert says in message
    assert stored() == []


def test_an_unknown_content_type_is_415_in_json(project: Project) -> None:
    response = send(body_of(1), content_type="text/plain")

    assert (response.status_code, response["Content-Type"]) == (415, "application/json")
    assert "application/x-protobuf" in response.json()["message"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_is_accepted(project: Project, method: str) -> None:
    response = Client().generic(method, "/v1/traces", HTTP_AUTHORIZATION=f"Bearer {SECRET}")

    assert (response.status_code, response["Allow"]) == (405, "POST")
    assert not response.cookies


def test_a_key_without_the_scope_is_403(project: Project) -> None:
    reader = "tt_sk_" + "8" * 32
    keys.make_key(project, "reader", ("read",), secret=reader)

    response = send(body_of(1), HTTP_AUTHORIZATION=f"Bearer {reader}")

    assert (response.status_code, read_status(response.content)[0]) == (403, 7)
    assert stored() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_AUTHORIZATION": SECRET},
        {"HTTP_AUTHORIZATION": f"bearer  {SECRET} "},
        {"HTTP_AUTHORIZATION": f"Bearer%20{SECRET}"},
        {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"tt_pk_x:{SECRET}".encode()).decode()},
        {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"api:{SECRET}".encode()).decode()},
        {"HTTP_AUTHORIZATION": "Bearer sk-provider", "HTTP_X_API_KEY": SECRET},
        {"HTTP_AUTHORIZATION": "Bearer sk-provider", "HTTP_HELICONE_AUTH": f"Bearer {SECRET}"},
    ],
)
def test_one_key_works_in_every_form_sdks_send(project: Project, headers: dict[str, str]) -> None:
    assert send(body_of(1), **headers).status_code == 200


def test_a_revoked_key_is_refused_once_the_cache_forgets_it(project: Project) -> None:
    send(body_of(1))
    keys.revoke(project.keys.get())

    keys.cache.clear()

    assert send(body_of(2)).status_code == 401


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_413_naming_it(project: Project, settings: Any, declared: bool) -> None:
    settings.INGEST_MAX_BODY_BYTES = 1000
    body = body_of(1, input__value="x" * 2000)
    if not declared:
        body = gzip.compress(body)
        assert len(body) < 1000

    response = send(body, **({} if declared else {"HTTP_CONTENT_ENCODING": "gzip"}))

    assert response.status_code == 413
    assert "1000" in read_status(response.content)[1]


def test_a_bomb_costs_no_more_than_the_limit(project: Project) -> None:
    import tracemalloc

    from traces.wire.compression import inflate

    bomb = gzip.compress(b"\0" * 80_000_000)
    tracemalloc.start()

    with pytest.raises(Exception, match="limit"):
        inflate(bomb, "gzip", 4_000_000)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12_000_000


def test_good_spans_of_a_mixed_batch_are_kept_and_bad_ones_counted(project: Project) -> None:
    request = ExportTraceServiceRequest.FromString(body_of(1, 2, 3))
    request.resource_spans[0].scope_spans[0].spans[1].span_id = b""

    response = send(request.SerializeToString())

    answer = ExportTraceServiceResponse.FromString(response.content)
    assert (response.status_code, answer.partial_success.rejected_spans) == (200, 1)
    assert "span_id" in answer.partial_success.error_message
    assert stored() == [1, 3]
    with connection.cursor() as cursor:
        cursor.execute("SELECT received, stored, duplicate, rejected FROM traces_ingest_batch")
        assert cursor.fetchall() == [(3, 2, 0, 1)]


def test_a_resend_is_answered_with_success_and_counted_as_stored_already(project: Project) -> None:
    body = body_of(1, 2)
    send(body)

    response = send(body)

    assert (response.status_code, response.content) == (200, b"")
    with connection.cursor() as cursor:
        cursor.execute("SELECT stored, duplicate FROM traces_ingest_batch ORDER BY received_at")
        assert cursor.fetchall() == [(2, 0), (0, 2)]


def test_a_warning_without_loss_is_said_once_a_minute(project: Project, settings: Any) -> None:
    views._warned.clear()
    settings.INGEST_MAX_TEXT_BYTES = 1000
    cut = [send(body_of(n, input__value="long " * 1000)) for n in (1, 2)]

    said = [ExportTraceServiceResponse.FromString(response.content).partial_success for response in cut]
    assert [answer.rejected_spans for answer in said] == [0, 0]
    assert [bool(answer.error_message) for answer in said] == [True, False]
    assert stored() == [1, 2]


def test_snake_case_json_is_refused_with_advice(project: Project) -> None:
    response = send(b'{"resource_spans": []}', content_type="application/json")

    assert response.status_code == 400
    assert "resourceSpans" in response.json()["message"]


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError("server closed the connection: password=hunter2"),
        psycopg.errors.DiskFull("could not extend file base/5/1234"),
        psycopg.errors.ReadOnlySqlTransaction("cannot execute INSERT"),
        psycopg.errors.DeadlockDetected("deadlock"),
        RuntimeError("surprise in /srv/telltale/x.py"),
    ],
)
def test_what_is_not_the_senders_fault_is_503_to_be_retried(
    project: Project, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(views, "store_request", fail)

    response = send(body_of(1))

    assert response.status_code == 503
    assert 1 <= int(response["Retry-After"]) <= 5
    code, message = read_status(response.content)
    assert code == 14
    assert not any(secret in message for secret in ("hunter2", "base/5", "INSERT", "/srv"))


def test_a_full_gate_is_503_with_a_time_to_come_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from traces.ingest import gate as gates

    monkeypatch.setattr(gates, "WAIT_SECONDS", 0.01)
    narrow = gates.Gate(1, 10**9)
    monkeypatch.setattr(views, "gate", narrow)

    with narrow.turn(0):
        response = send(body_of(1))

    assert response.status_code == 503
    assert 1 <= int(response["Retry-After"]) <= 5
    assert send(body_of(1)).status_code == 200


def test_refused_requests_are_counted_by_reason(project: Project) -> None:
    send(b"\xff\xff\xff")
    send(b"\xff\xff\xff")
    send(b"x", HTTP_AUTHORIZATION="")

    refusals.flush()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT project_id, http_status, reason, n FROM traces_ingest_refusal_hour"
            " WHERE project_id IN (0, %s) ORDER BY http_status",
            [project.pk],
        )
        assert cursor.fetchall() == [(project.pk, 400, "not_decodable", 2), (0, 401, "no_valid_key", 1)]


def test_logs_and_metrics_answer_in_their_own_messages(project: Project) -> None:
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(body={"string_value": "hello"})
    points = ExportMetricsServiceRequest()
    metric = points.resource_metrics.add().scope_metrics.add().metrics.add(name="http.server.duration")
    metric.gauge.data_points.add(as_double=1.0, time_unix_nano=1)

    for path, message in (("/v1/logs", logs), ("/v1/metrics", points)):
        response = send(message.SerializeToString(), path)
        assert (response.status_code, response.content) == (200, b"")

    with connection.cursor() as cursor:
        cursor.execute("SELECT source, received, dropped FROM traces_ingest_batch ORDER BY source")
        assert cursor.fetchall() == [("logs", 1, 1), ("metrics", 1, 1)]


def test_profiles_are_not_served(project: Project) -> None:
    assert send(b"", "/v1development/profiles").status_code == 404


HOSTILE: dict[str, bytes] = {
    "nul": body_of(90, trace=b"\x09" * 16, input__value="a\0b", user__id="\0"),
    "bad utf-8": body_of(91, input__value="QQQQ").replace(b"QQQQ", b"\xff\xfe\xc0\x80"),
    "noise": os.urandom(4096),
    "long names": body_of(92, gen_ai__request__model="m" * 10_000, session__id="s" * 5000),
    "html": body_of(93, user__id="<script>alert(1)</script>", session__id="=cmd()"),
    "numbers": body_of(94, gen_ai__usage__input_tokens="-9223372036854775808", gen_ai__usage__output_tokens="1e308"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_plain_span_after_a_hostile_body_is_stored_like_any_other(project: Project, name: str) -> None:
    hostile = send(HOSTILE[name])
    assert hostile.status_code in {200, 400}

    assert send(body_of(1)).status_code == 200
    assert 1 in stored()


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_body_over_the_large_mark_does_not_wait_for_itself(project: Project, encoding: str) -> None:
    # Noise, so that it is large packed as well; bytes, since text of it would not be UTF-8.
    body = body_of(1, input__value=os.urandom(5 * 1024 * 1024).hex())
    packed = gzip.compress(body, 0) if encoding == "gzip" else body

    response = send(packed, HTTP_CONTENT_ENCODING=encoding)

    assert (response.status_code, stored()) == (200, [1])


def test_large_bodies_pass_one_at_a_time_and_small_ones_beside_them(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from traces.ingest import gate as gates

    monkeypatch.setattr(gates, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(views, "discard_body", lambda environ: None)  # Django's stand-in has no end to read to
    large = body_of(1, input__value="x" * (9 * 1024 * 1024))

    with views.gate.lane():
        plain, packed = send(large), send(gzip.compress(large), HTTP_CONTENT_ENCODING="gzip")
        small = send(body_of(2))

    assert (plain.status_code, packed.status_code, small.status_code) == (503, 503, 200)
    assert plain.headers["Retry-After"]
    assert b"another large request body" in plain.content
    assert (send(large).status_code, stored()) == (200, [1, 2])


def test_a_full_disk_is_a_reason_to_try_a_large_request_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("traces.ingest.spool.tempfile.TemporaryFile", full)
    monkeypatch.setattr(views, "discard_body", lambda environ: None)

    response = send(body_of(1, input__value="x" * (9 * 1024 * 1024)))

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert b"no room for a large request" in response.content


def test_another_process_with_a_large_body_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from traces.ingest import gate as gates

    monkeypatch.setattr(gates, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(gates, "_lock_machine", lambda: False)
    gate = gates.Gate(4, 10**9)

    with pytest.raises(gates.Busy, match="large"), gate.lane():
        pass

    monkeypatch.undo()
    with gate.lane():
        pass


@pytest.mark.parametrize(
    ("path", "content_type", "code"),
    [("/v1/traces", PROTOBUF, 14), ("/otel/v1/logs/", "application/json", 14), ("/api/v1/traces", "text/x", 503)],
)
def test_a_full_gate_refuses_before_the_work_begins(
    monkeypatch: pytest.MonkeyPatch, path: str, content_type: str, code: int
) -> None:
    from traces.ingest import shed as sheds

    full = type("Full", (), {"is_crowded": True, "who_is_refused": lambda environ: True})
    monkeypatch.setattr(sheds, "gate", full)
    said: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise AssertionError("the request went through")

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        said.update(dict(headers), status=status)

    body = io.BytesIO(b"x" * 1000)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": path, "CONTENT_TYPE": content_type, "wsgi.input": body}
    environ["CONTENT_LENGTH"] = "1000"
    answer = b"".join(sheds.Shed(application)(environ, start_response))

    assert said["status"].startswith("503")
    assert 1 <= int(said["Retry-After"]) <= 5
    assert body.read() == b""
    got = read_status(answer)[0] if content_type == PROTOBUF else json.loads(answer).get("code", 503)
    assert got == code


def test_a_gate_with_room_lets_everything_through(monkeypatch: pytest.MonkeyPatch) -> None:
    from traces.ingest import shed as sheds

    monkeypatch.setattr(sheds, "gate", type("Free", (), {"is_crowded": False}))

    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/v1/traces"}
    answer = sheds.Shed(lambda environ, start: [b"through"])(environ, None)

    assert answer == [b"through"]
