"""Whatever breaks, and whatever was sent: no line of the logs and no answer of ours says it again."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from datetime import timedelta
from types import SimpleNamespace

import psycopg
import pytest
import time_machine
from celery import shared_task
from django.core.exceptions import SuspiciousOperation
from django.db import connection, transaction
from django.test import Client
from gunicorn.config import Config

from alerts import delivering, routing
from alerts.addressing import channels
from alerts.models import Attempt, Delivery
from evals.judging import context, judge_models
from evals.models import Connection
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock, egress
from telltale.lib.db import raw_cursor
from telltale.lib.logs import LineFormatter, tell_thread
from telltale.projects.keys import make_key
from telltale.run.serverlog import Logger
from tests.alerts.incident_kit import incident_of
from tests.alerts.receiver_kit import Receiver
from tests.evals.judging_kit import StandIn, draw, make_connection, make_plan, make_version, set_noon, store_traces

pytestmark = pytest.mark.django_db
# In a body, a header, a query, a key, a parameter of SQL: found nowhere.
MARK = "zq7secretmarkerq7z"


@pytest.fixture(autouse=True)
def fresh(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.TELLTALE_PUBLIC_URL = "https://t.example"
    context.forget()


@pytest.fixture
def heard(capfd):
    """What the product's own handler writes of everything that is logged, and what else came out."""
    held = io.StringIO()
    handler = logging.StreamHandler(held)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.addHandler(handler)

    def told():
        handler.flush()
        return held.getvalue() + "".join(capfd.readouterr())

    yield told
    root.removeHandler(handler)


@pytest.fixture
def doors(project, alice):
    """A page, REST and the doors of ingest, each asked with the marker wherever a sender can put it."""
    browser = Client(raise_request_exception=False)
    browser.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    machine = Client(raise_request_exception=False)
    held = {"Authorization": f"Bearer {make_key(project, 'all', ['ingest', 'read', 'write', 'signal']).secret}"}
    more = {"X-Note": MARK, "User-Agent": MARK}
    for client in (browser, machine):
        client.cookies["other"] = MARK
    now = str(int(clock.now().timestamp() * 1e9))
    span = {
        "traceId": "0a" * 16, "spanId": "0b" * 8, "name": MARK, "startTimeUnixNano": now, "endTimeUnixNano": now,
        "attributes": [{"key": MARK, "value": {"stringValue": MARK}}],
    }  # fmt: skip
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}

    def post(path, told, headers=held):
        return machine.post(path, told, content_type="application/json", headers=headers | more)

    return SimpleNamespace(
        page=lambda: browser.get(f"/p/shop/traces/?q={MARK}&user={MARK}", headers=more),
        rest=lambda: machine.get(f"/api/v1/traces?user={MARK}", headers=held | more),
        otlp=lambda: post(f"/v1/traces?note={MARK}", json.dumps(body)),
        post=post, machine=machine, held=held,
    )  # fmt: skip


def insert_twice(*_told, **_more):
    sent = {"body": MARK}
    with transaction.atomic(), connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute("INSERT INTO accounts_organisation (name, slug, created_at) VALUES (%s, %s, now())",
                           [sent["body"], MARK])  # fmt: skip


def insert_null(*_told, **_more):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO accounts_organisation (name, slug) VALUES (NULL, %s)", [MARK])


def insert_nul(*_told, **_more):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT %s::text", [f"{MARK}\x00"])


def wrong_cast(*_told, **_more):
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute("SELECT %s::text::integer", [MARK])


def too_slow(*_told, **_more):
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '20ms'")
        cursor.execute("SELECT pg_sleep(1), %s", [MARK])


def raising(error):
    def fail(*_told, **_more):
        body = {"messages": [MARK]}  # in a local, as a body is
        try:
            raise KeyError(body["messages"][0])
        except KeyError as cause:
            raise error from cause

    return fail


FAILURES = {
    "unique violation": insert_twice, "null": insert_null, "NUL": insert_nul, "cast": wrong_cast, "timeout": too_slow,
    "runtime": raising(RuntimeError(MARK)), "value": raising(ValueError(f"bad {MARK}")), "key": raising(KeyError(MARK)),
    "assertion": raising(AssertionError(MARK)), "os": raising(OSError(MARK)),
    "suspicious": raising(SuspiciousOperation(MARK)),
    "operational": raising(psycopg.OperationalError(f"DETAIL: {MARK}")),
    "group": raising(ExceptionGroup(MARK, [ValueError(MARK)])),
}  # fmt: skip


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("door", ["page", "rest", "otlp"])
def test_what_breaks_within_a_request_is_said_without_what_was_sent(doors, heard, monkeypatch, door, failure):
    place = {
        "page": "traces.pages.listing.read_list", "rest": "traces.read.list_traces",
        "otlp": "traces.ingest.views.store_request",
    }  # fmt: skip
    monkeypatch.setattr(place[door], FAILURES[failure])

    answer = getattr(doors, door)()

    told = heard()
    assert answer.status_code in (400, 500, 503), answer.content
    assert MARK not in answer.content.decode()
    assert MARK not in repr(answer.headers)
    assert MARK not in told
    assert told or failure == "suspicious"  # it is said, by class and place


BODIES = {
    "no json": f'{{"resourceSpans": {MARK}', "wrong type": json.dumps({"resourceSpans": MARK}),
    "NUL": json.dumps({"traces": [{"name": f"{MARK}\x00", "start": MARK}]}),
    "nested": '{"a":' * 2_000 + f'"{MARK}"' + "}" * 2_000, "list": json.dumps([MARK]),
    "surrogate": f'{{"name": "\\ud800{MARK}"}}',
}  # fmt: skip
PATHS = ("/v1/traces", "/v1/logs", "/v1/metrics", "/api/v1/traces", "/api/v1/signals", "/api/v1/scores",
         "/api/v1/changes", "/api/v1/datasets")  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_a_refused_body_stands_in_no_log(doors, heard, path):
    for body in BODIES.values():
        answer = doors.post(path, body)
        assert answer.status_code < 500 or answer.status_code == 503, answer.content

    assert MARK not in heard()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", [
    {"Authorization": f"Bearer tt_sk_{MARK}"}, {"Authorization": MARK}, {"X-Api-Key": MARK},
    {"Authorization": f"Basic {MARK}=="}, {"Helicone-Auth": f"Bearer {MARK}"},
])  # fmt: skip
def test_a_key_that_is_none_is_said_again_nowhere(doors, heard, path, headers):
    answer = doors.post(path, json.dumps({"name": "x"}), headers)

    assert answer.status_code == 401
    assert MARK not in answer.content.decode()
    assert MARK not in heard()


def test_a_host_that_is_not_ours_and_a_wrong_address_stand_in_no_log(doors, heard, settings):
    settings.ALLOWED_HOSTS = ["t.example"]

    answers = [
        doors.machine.get(f"/p/shop/traces/?user={MARK}", headers={"Host": f"{MARK}.example"}),
        doors.machine.get(f"/{MARK}/?{MARK}", headers={"Host": "t.example"}),
        doors.machine.get(f"/api/v1/{MARK}?{MARK}", headers={"Host": "t.example"}),
        doors.machine.post("/accounts/login/", {"login": f"{MARK}@x.example", "password": MARK},
                           headers={"Host": "t.example"}),
    ]  # fmt: skip

    assert [answer.status_code for answer in answers[:3]] == [400, 404, 404]
    assert all(MARK not in answer.content.decode() for answer in answers[:3])
    assert MARK not in heard()


class Blabber(StandIn):
    """Answers what it was asked, as an error."""

    status = 500

    def answer(self, handler, body, fault):
        self.send(handler, self.status, json.dumps({"error": {"message": MARK}, MARK: MARK}).encode())


@pytest.mark.parametrize("status", [200, 400, 401, 418, 429, 500])
def test_what_a_judges_endpoint_answers_as_an_error_stands_in_no_log_and_no_row(project, heard, status):
    stand_in = Blabber()
    stand_in.status = status
    try:
        set_noon(project)
        make_plan(make_version(project, endpoint=make_connection(project, stand_in.url)), {"kind": "all"})
        draw(project, store_traces(project, 1))
        judge_models(1)
    finally:
        stand_in.close()

    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(j)::text FROM evals_judgement AS j")
        rows = repr(cursor.fetchall()) + repr(list(Connection.objects.values()))
    assert stand_in.calls
    assert MARK not in rows
    assert MARK not in heard()


def test_what_a_webhook_answers_and_what_breaks_before_it_stand_in_no_log_and_no_row(project, heard, monkeypatch):
    receiver = Receiver([(500, {"X-Why": MARK, "Retry-After": MARK}, 0), (302, {"Location": f"http://{MARK}/"}, 0)])
    monkeypatch.setattr(delivering, "LIMITS", egress.Limits(connect_seconds=0.5, read_seconds=0.5, total_seconds=1.0))
    with time_machine.travel(clock.now(), tick=False) as time:
        channels.add(project, {"name": "On call", "kind": "webhook", "url": f"{receiver.url}?token={MARK}"})
        incident_of(project, feature="returns")
        for _ in range(3):
            time.shift(timedelta(minutes=10))
            routing.route_due()
            delivering.deliver_due()
        monkeypatch.setattr(delivering, "write_message", raising(ValueError(MARK)))
        Delivery.objects.update(state="waiting", message={}, ended_at=None, next_at=clock.now())
        delivering.deliver_due()
    receiver.close()

    assert receiver.got
    told = heard()
    assert "cannot be written" in told
    assert MARK not in told
    assert MARK not in repr(list(Delivery.objects.values())) + repr(list(Attempt.objects.values()))


@shared_task(name="tests.breaks")
def _breaks(told):
    held = {"body": told}
    raise RuntimeError(f"could not take {held['body']}")


def test_a_task_that_raises_is_logged_without_its_arguments_and_its_text(heard):
    result = _breaks.apply(args=[MARK], kwargs={})

    told = heard()
    assert result.failed()
    assert '"error": "RuntimeError"' in told
    assert "tests.breaks" in told
    assert MARK not in told


def test_a_job_that_raises_keeps_the_class_and_not_the_text(project, heard):
    work.register("tests.breaks")(raising(RuntimeError(MARK)))
    job = work.start("tests.breaks", project_id=project.pk, params={})

    with pytest.raises(RuntimeError):
        work.run_now(job)

    assert Job.objects.get(pk=job.pk).error == "RuntimeError"
    assert MARK not in heard()


def test_what_breaks_a_thread_is_told_without_its_text(heard):
    error = ValueError(MARK)
    tell_thread(threading.ExceptHookArgs((ValueError, error, None, threading.Thread(name="guard"))))

    told = heard()
    assert "the thread guard broke" in told
    assert MARK not in told


def lines_of(logger, *records):
    held = io.StringIO()
    handler = logging.StreamHandler(held)
    handler.setFormatter(LineFormatter())
    for record in records:
        handler.emit(record)
    handler.flush()
    return held.getvalue()


def record_of(name, level, message, *args, error=None, **more):
    told = (type(error), error, None) if error is not None else None
    made = logging.getLogger(name).makeRecord(name, level, "f", 1, message, args, told, extra=more or None)
    return made


OTHERS = (
    ("gunicorn.error", logging.WARNING, f"Invalid request from ip=192.0.2.1: Invalid HTTP request line: {MARK}", ()),
    ("gunicorn.error", logging.ERROR, "Error handling request %s %s", ("GET", f"/p/shop/users/{MARK}/?q={MARK}")),
    ("gunicorn.error", logging.ERROR, ValueError(MARK), ()),
    ("celery.app.trace", logging.ERROR, "Task %(name)s[%(id)s] %(description)s: %(exc)s\n",
     ({"name": "jobs.sweep", "id": "1", "description": "raised unexpected", "exc": MARK, "args": MARK},)),
    ("celery.worker.consumer", logging.ERROR, "Received unregistered task of type %s.\n%s", (KeyError(MARK), MARK)),
    ("kombu.connection", logging.WARNING, "Connection lost: %r", (OSError(MARK),)),
    ("psycopg.pool", logging.WARNING, "error connecting in %r: %s", ("pool", psycopg.OperationalError(MARK))),
    ("django.security.DisallowedHost", logging.ERROR, f"Invalid HTTP_HOST header: {MARK!r}.", ()),
    ("django.request", logging.ERROR, "%s: %s", ("Internal Server Error", f"/p/shop/users/{MARK}/")),
    ("telltale.x", logging.ERROR, "project %s: %s", (7, RuntimeError(MARK))),
)  # fmt: skip


@pytest.mark.parametrize("said", OTHERS, ids=[f"{name} {at}" for at, (name, *_) in enumerate(OTHERS)])
@pytest.mark.parametrize("raised", [False, True])
def test_lines_of_others_code_say_what_happened_and_not_to_whom(said, raised):
    name, level, message, args = said
    error = None
    if raised:
        try:
            raise RuntimeError(MARK)
        except RuntimeError as caught:
            error = caught

    told = lines_of(name, record_of(name, level, message, *args, error=error))

    line = json.loads(told)
    assert line["message"]
    assert MARK not in told
    assert not raised or line["error"] == "RuntimeError"


def test_gunicorn_writes_lines_like_all_others():
    logger = Logger(Config())

    assert {type(handler.formatter) for handler in logger.error_log.handlers} == {LineFormatter}


def test_an_error_of_the_system_keeps_its_words():
    try:
        open("/no/such/place")  # noqa: SIM115
    except OSError:
        told = lines_of("telltale.x", record_of("telltale.x", logging.ERROR, "gone", error=sys.exc_info()[1]))

    assert json.loads(told)["text"] == "No such file or directory"
