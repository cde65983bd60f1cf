"""`telltale demo`: through the real endpoint, counted, repeatable, and gone again when asked."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import threading
from datetime import UTC, date, datetime, time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import connection

from telltale.accounts.models import Organisation
from telltale.audit.models import AuditEntry
from telltale.projects.models import ApiKey, Project
from telltale.projects.write import create_project
from telltale.run.commands import run_command
from telltale.run.commands.demo import own_address
from telltale.run.demo import play as player
from telltale.run.demo import project as demo
from telltale.run.demo.account import Address, SendError, read_account
from telltale.run.demo.hosts import make_readings, send_readings
from telltale.run.demo.progress import Progress
from telltale.run.demo.running import run_with_demo
from telltale.run.demo.story import Story, make_day, make_session
from telltale.run.demo.values import Totals
from traces.write import erase

LATER = datetime(2027, 1, 1, tzinfo=UTC)


def run(*arguments):
    out = io.StringIO()
    code = run_command(["demo", *arguments], out)
    return code, out.getvalue()


def one(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchone()


def tables_with_projects():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid "
            "WHERE a.attname = 'project_id' AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
            "AND c.relnamespace = current_schema()::regnamespace"
        )
        return {row[0] for row in cursor.fetchall()}


def rows_of(project_id):
    counts = {table: one(f"SELECT count(*) FROM {table} WHERE project_id = %s", project_id)[0]
              for table in tables_with_projects()}  # fmt: skip
    return {table: n for table, n in counts.items() if n}


@pytest.mark.process
def test_fills_once_and_goes_again(live, alice):
    code, told = run("--url", live, "--days", "5", "--traces", "120")
    assert code == 0, told
    made = Project.objects.get(slug=demo.SLUG)
    traces, spans = one("SELECT count(*), sum(span_count) FROM traces_trace WHERE project_id = %s", made.pk)
    assert traces > 60
    assert f"Sent {spans:,} spans of {traces:,} traces: stored {spans:,}, there already 0, rejected 0. " in told
    assert told.rstrip().endswith(f"/p/{demo.SLUG}/")
    assert "3 cost budgets say what it may cost." in told
    assert one("SELECT count(*) FROM alerts_costbudget WHERE project_id = %s", made.pk)[0] == 3
    signals = one("SELECT count(*) FROM traces_signal WHERE project_id = %s", made.pk)[0]
    assert signals > 0
    outcomes = one("SELECT count(*) FROM traces_outcome WHERE project_id = %s", made.pk)[0]
    assert outcomes == 4

    again, told_again = run("--url", live, "--days", "5", "--traces", "120")

    assert again == 0, told_again
    assert f"there already {spans:,}, rejected 0." in told_again
    assert one("SELECT count(*) FROM traces_span WHERE project_id = %s", made.pk)[0] >= spans
    assert Project.objects.filter(slug__startswith=demo.SLUG).count() == 1
    assert ApiKey.objects.filter(project=made).count() == 1
    # What happened between the two runs may be told by the second.
    assert one("SELECT count(*) FROM traces_signal WHERE project_id = %s", made.pk)[0] - signals in {0, 1, 2}
    assert one("SELECT count(*) FROM traces_outcome WHERE project_id = %s", made.pk)[0] == outcomes

    removed, told_removed = run("--remove")

    assert removed == 0, told_removed
    assert not Project.objects.filter(slug=demo.SLUG).exists()
    assert set(rows_of(made.pk)) == {"audit_auditentry"}
    last = AuditEntry.objects.filter(project_id=made.pk).order_by("-pk")[0]
    assert (last.action, last.actor, last.outcome) == ("project.remove", "telltale demo", "done")


def send(url, secret, traces):
    stats = player.play(Address(url, secret), traces, lambda spans: None)
    assert stats.spans_sent == stats.spans_ended == sum(len(trace.spans) for trace in traces)


def a_day(made, sessions=12):
    story = made.story
    return list(make_day(story, made.story.day, sessions, datetime.combine(made.story.day, time(23, 59), UTC)))


@pytest.mark.process
def test_what_is_stored_is_what_was_told(live, alice):
    made = demo.ensure_project()
    traces = a_day(made, 40)
    totals = Totals()
    for trace in traces:
        totals.add(trace)

    send(live, made.secret, traces)

    fresh, read, written, out, failed, spans, doubtful = one(
        "SELECT sum(input_fresh), sum(input_cache_read), sum(input_cache_write_5m), sum(output_text), "
        "count(*) FILTER (WHERE root_status = 2), sum(span_count), "
        "sum(partial_count + upper_bound_count + duplicate_count) FROM traces_trace WHERE project_id = %s",
        made.id,
    )
    assert (read, written) == (totals.cache_read.total(), totals.cache_written.total())
    assert fresh + read + written == totals.input_tokens.total()
    assert out == totals.output_tokens.total()
    assert (failed, spans, doubtful) == (totals.failed, totals.spans, 0)


@pytest.mark.process
def test_every_model_but_the_one_on_trial_has_a_price(live, alice):
    made = demo.ensure_project()
    send(live, made.secret, a_day(made, 150))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT model_requested FROM traces_span WHERE project_id = %s AND cost_status = 2", [made.id]
        )
        assert cursor.fetchall() == [("mixtral-8x22b",)]
    cost, fresh, read, out = one(
        "SELECT cost_pico, input_fresh, input_cache_read, output_text FROM traces_span "
        "WHERE project_id = %s AND model_requested = 'gpt-4-turbo' AND cost_status = 1 AND input_cache_read > 0",
        made.id,
    )
    assert Decimal(cost) / 10**12 == (fresh * Decimal(10) + read * Decimal(1) + out * Decimal(30)) / 10**6


@pytest.mark.process
def test_the_known_session_costs_what_the_design_says(live, alice):
    made = demo.ensure_project()

    send(live, made.secret, make_session(made.story, made.story.day, 0))

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT round(cost_pico / 1e12, 4), user_id, prompt_version FROM traces_trace "
            "WHERE project_id = %s AND session_id = 's_9c41' ORDER BY started_at",
            [made.id],
        )
        assert cursor.fetchall() == [(Decimal(cost), "u_58f2", "v18") for cost in ("0.0041", "0.0158", "0.0192")]


@pytest.mark.process
def test_spans_carry_what_the_story_says(live, alice):
    made = demo.ensure_project()
    traces = a_day(made, 40)
    send(live, made.secret, traces)

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT span_id, name, user_id, session_id, feature, environment, release, service, ttft_ns, "
            "finish_reason, error_type, prompt_version, duration_ns FROM traces_span WHERE project_id = %s",
            [made.id],
        )
        stored = {row[0]: row[1:] for row in cursor.fetchall()}
    words = {"end_turn": "stop", "max_tokens": "length", "": None}
    for trace in traces:
        for span in trace.spans:
            call = span.call
            assert stored[int.from_bytes(span.span_id, "big", signed=True)] == (
                span.name, trace.user_id, trace.session_id, trace.feature, trace.environment, trace.release, "shop-api",
                call.ttft_ns if call else None,
                words.get(call.finish_reason, call.finish_reason) if call else None,
                span.error.kind if span.error else None,
                call.prompt[1] if call and call.prompt else None,
                span.end_ns - span.start_ns,
            )  # fmt: skip


@pytest.mark.django_db
def test_the_project_says_that_it_is_a_demo(alice):
    made = demo.ensure_project()

    found = Project.objects.get(pk=made.id)
    assert found.name == "shop-assistant (demo)"
    assert demo.is_demo(found)
    assert demo.ensure_project() == made


@pytest.mark.django_db
def test_a_revoked_key_is_replaced(alice):
    first = demo.ensure_project()
    demo.revoke_key(ApiKey.objects.get(pk=first.key_id))

    second = demo.ensure_project()

    assert second.id == first.id
    assert second.secret != first.secret


@pytest.mark.django_db
def test_no_project_of_people_is_filled(alice):
    create_project(Organisation.objects.get(), demo.NAME)

    with pytest.raises(demo.DemoError, match="not made for the demo"):
        demo.ensure_project()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["Shop", "Real shop (demo)"])
def test_no_project_of_people_is_removed(alice, project, name):
    Project.objects.filter(pk=project.pk).update(name=name)

    code, told = run("--remove", "--project", "shop")

    assert code == 1
    assert "not labelled as demo" in told
    assert Project.objects.filter(slug="shop").exists()
    assert AuditEntry.objects.get(action="project.remove").outcome == "refused"


@pytest.mark.django_db
def test_removal_needs_a_project(alice):
    assert run("--remove") == (1, f"There is no project '{demo.SLUG}'.\n")


@pytest.mark.process
def test_removal_leaves_other_projects_alone(live, alice, key, project, monkeypatch):
    monkeypatch.setattr(erase, "SLICE_ROWS", 7)
    made = demo.ensure_project()
    traces = a_day(made, 4)
    send(live, made.secret, traces)
    send(live, key.secret, traces)
    before = rows_of(project.pk)
    told = []

    removed = demo.remove_project(demo.SLUG, told.append)

    assert removed == told[-1] > sum(len(trace.spans) for trace in traces)
    assert max(b - a for a, b in zip([0, *told], told, strict=False)) <= 7
    assert rows_of(project.pk) == before
    assert set(rows_of(made.id)) == {"audit_auditentry"}


@pytest.mark.django_db
def test_without_an_organisation_it_says_what_to_do():
    code, told = run("--url", "http://127.0.0.1:9")

    assert code == 1
    assert "start Telltale once" in told


@pytest.mark.django_db
def test_without_telltale_running_it_says_so(alice):
    code, told = run("--url", "http://127.0.0.1:9")

    assert code == 1
    assert "Is Telltale running?" in told


@pytest.mark.parametrize("arguments", [["--days", "0"], ["--days", "86"], ["--traces", "many"]])
def test_wrong_numbers_are_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        run(*arguments)

    assert "must be a whole number from 1 to" in capsys.readouterr().err


@pytest.fixture
def server():
    """A server that answers what `answers` holds, then 200; `seen` are the bodies it took."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = httpd.answers.pop(0) if httpd.answers else (200, {})
            if status == 200:
                httpd.seen.append(body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    httpd.answers, httpd.seen = [], []
    httpd.address = Address(f"http://127.0.0.1:{httpd.server_port}", "tt_sk_none")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def some_traces(n=3):
    story = Story(date(2026, 11, 20))
    return [trace for number in range(1, n + 1) for trace in make_session(story, date(2026, 11, 19), number)]


def test_a_busy_server_is_asked_again(server):
    server.answers = [(503, {"Retry-After": "0.1"}), (429, {"Retry-After": "0.1"})]
    traces = some_traces()
    told = []

    stats = player.play(server.address, traces, told.append)

    assert stats.spans_sent == sum(len(trace.spans) for trace in traces) == told[-1]
    assert len(server.seen) == 1


def test_a_refusal_ends_the_sending(server):
    server.answers = [(401, {})] * 100

    with pytest.raises(SendError, match="refused"):
        player.play(server.address, itertools.cycle(some_traces()), lambda spans: None)

    assert server.seen == []


def test_a_server_that_stays_away_is_given_up(monkeypatch):
    monkeypatch.setattr(player, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(player, "TIMEOUT_SECONDS", 0.2)

    with pytest.raises(SendError, match="Is Telltale running"):
        player.play(Address("http://127.0.0.1:9", "tt_sk_none"), some_traces(), lambda spans: None)


def test_this_shells_settings_do_not_change_the_story(server, monkeypatch):
    for name, value in {"DISABLED": "1", "SAMPLE": "0.01", "RELEASE": "x", "CAPTURE_CONTENT": "0"}.items():
        monkeypatch.setenv(f"TELLTALE_{name}", value)
    traces = some_traces()

    stats = player.play(server.address, traces, lambda spans: None)

    assert stats.spans_sent == sum(len(trace.spans) for trace in traces)


def test_readings_that_are_refused_are_told(server):
    server.answers = [(401, {})]

    with pytest.raises(SendError, match="readings"):
        send_readings(server.address, make_readings(Story(date(2026, 11, 20)), date(2026, 11, 19), LATER))


def test_an_account_that_is_refused_is_told(server):
    with pytest.raises(SendError, match="answered 501"):
        read_account(server.address, 1, "2026-11-20", "2026-11-21")


def test_without_the_sdk_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr("telltale.run.commands.demo.SDK", "telltale_sdk_that_is_not_there")

    code, told = run("--url", "http://127.0.0.1:9")

    assert code == 1
    assert "pip install ./sdk/python" in told


@pytest.mark.parametrize("url", ["ftp://example.com", "localhost:8000", "http://", "http://[::1"])
def test_an_address_must_be_one(url):
    with pytest.raises(SendError, match="is not an address"):
        Address(url, "").connect()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_a_bar_at_a_terminal_and_lines_elsewhere():
    bar, lines = Terminal(), io.StringIO()

    Progress(bar, "Demo", "spans", 100).end(100)
    Progress(lines, "Demo", "spans", 100).end(100)

    assert bar.getvalue().startswith("\rDemo ████")
    assert lines.getvalue() == "Demo: 100 spans (100%) after 0 s\n"


def test_running_with_a_demo_ends_the_filling_and_the_stand_in(monkeypatch, tmp_path):
    started = []
    monkeypatch.setenv("TELLTALE_EGRESS_ALLOW", "10.0.0.0/8")
    (tmp_path / "stand-in.address").write_text("http://127.0.0.1:4321/v1")

    class Supervisor:
        def __init__(self, say):
            self.say = say
            self.home = type("Home", (), {"account": None, "run": tmp_path})()
            self.environment = {"PATH": "/usr/bin:/bin"}

        def run(self):
            self.on_ready()
            return 0

    def popen(command, **options):
        process = real([sys.executable, "-c", "import time; time.sleep(60)"], **options)
        started.append((command, process))
        return process

    real = subprocess.Popen
    monkeypatch.setattr("telltale.run.demo.running.Supervisor", Supervisor)
    monkeypatch.setattr("telltale.run.demo.running.subprocess.Popen", popen)

    code = run_with_demo(lambda text: None)

    [(stand_in, first), (filling, second)] = started
    told = str(tmp_path / "stand-in.address")
    assert code == 0
    assert stand_in[-3:] == ["stand-in", "--address-file", told]
    assert filling[-3:] == ["demo", "--stand-in-file", told]
    assert first.poll() is not None
    assert second.poll() is not None
    assert not (tmp_path / "stand-in.address").exists()
    assert (tmp_path / "stand-in.before").exists()


@pytest.mark.parametrize(
    ("noted", "expected"),
    [
        ("", "http://127.0.0.1:8000"),
        ("0.0.0.0 41234\n", "http://127.0.0.1:41234"),
        ("::1 8001\n", "http://[::1]:8001"),
    ],
)
def test_its_own_address_is_where_the_supervisor_listens(settings, tmp_path, monkeypatch, noted, expected):
    monkeypatch.delenv("TELLTALE_PORT", raising=False)
    settings.TELLTALE_HOME, settings.TELLTALE_BIND, settings.TELLTALE_PORT = tmp_path, "127.0.0.1", 8000
    (tmp_path / "run").mkdir()
    if noted:
        (tmp_path / "run" / "web.address").write_text(noted)

    assert own_address() == expected


def test_a_detached_run_takes_no_demo():
    out = io.StringIO()

    assert run_command(["run", "--detach", "--demo"], out) == 2
    assert "use `telltale demo`" in out.getvalue()
