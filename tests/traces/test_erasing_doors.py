"""What was erased and arrives late: refused with a counted reason at every door, until somebody lifts it."""

from __future__ import annotations

import orjson
import pytest
from django.db import connection

from telltale.audit.models import AuditEntry
from telltale.jobs.models import Job
from telltale.web.erasing import asking, running
from telltale.web.models import Erasure
from tests.traces.erasing_kit import erase, fold_all, found_in
from traces import masks
from traces.ingest.rules import forget as forget_rules

pytestmark = pytest.mark.django_db
USER, TRACE = "dora-4711", "ab" * 16


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(running, "pause", lambda seconds: None)
    masks.forget()
    yield
    masks.forget()


def counted(table, **where):
    with connection.cursor() as cursor:
        told = " AND ".join(f"{name} = %s" for name in where)
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {told}", [*where.values()])
        return cursor.fetchone()[0]


def post(shop, body):
    return shop.nobody.post("/v1/traces", body, "application/json", headers=shop.key("ingest"))


def body_of(*spans):
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": list(spans)}]}]}


def test_late_spans_of_an_erased_user_are_refused_and_counted(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": USER}))
    erase(shop.project, "user", USER)

    late = otlp.generation("ac" * 16, "a2" * 8, attributes={"user.id": USER})
    sibling = otlp.span("ac" * 16, "a3" * 8, parent="a2" * 8)
    of_old_trace = otlp.span(TRACE, "a4" * 8)
    kept = otlp.generation("cd" * 16, "c1" * 8, attributes={"user.id": "dora-47112"})
    answer = post(shop, body_of(late, sibling, of_old_trace, kept))

    told = answer.json()["partialSuccess"]
    assert (answer.status_code, int(told["rejectedSpans"])) == (200, 3)
    assert "erased" in told["errorMessage"]
    assert USER not in told["errorMessage"]
    assert counted("traces_span", project_id=shop.project.pk) == 1
    fold_all()
    assert counted("traces_ingest_reason_hour", project_id=shop.project.pk, reason="erased") == 1
    assert found_in(USER + '"', f"= {USER} ") == []


def test_late_signals_are_refused_until_somebody_lifts_it(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": USER, "session.id": "s-4711"}))
    receipt = erase(shop.project, "session", "s-4711")
    signal = {"name": "rating", "value": 4, "session_id": "s-4711"}

    def send():
        headers = shop.key("signal")
        return shop.nobody.post("/api/v1/signals", orjson.dumps(signal), "application/json", headers=headers)

    refused = send()
    assert (refused.status_code, b"was erased" in refused.content) == (400, True)
    asking.lift(shop.project, receipt, by="erin@example.com")
    forget_rules()
    assert send().json()["accepted"] == 1
    otlp.send(otlp.generation("ac" * 16, "a2" * 8, attributes={"session.id": "s-4711"}))
    assert counted("traces_span", project_id=shop.project.pk) == 1


def test_nothing_that_is_kept_says_who_it_was(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": USER}))

    receipt = erase(shop.project, "user", USER)

    assert found_in(USER) == []
    entries = AuditEntry.objects.filter(project_id=shop.project.pk, action__startswith="erasure.")
    assert list(entries.order_by("pk").values_list("action", "target")) == [
        ("erasure.ask", f"user {receipt.subject_key.hex}"),
        ("erasure.done", f"user {receipt.subject_key.hex}"),
    ]
    assert receipt.hint == "…"


def test_a_session_of_two_users_keeps_what_the_other_said(otlp, shop):
    for trace, user in ((TRACE, USER), ("cd" * 16, "other-1")):
        otlp.send(otlp.generation(trace, trace[:16], attributes={"user.id": user, "session.id": "shared-1"}))
    otlp.send(otlp.generation("ef" * 16, "ef" * 8, attributes={"user.id": USER, "session.id": "own-1"}))
    otlp.send(otlp.generation("ee" * 16, "ee" * 8, attributes={"session.id": "own-1"}))
    fold_all()

    erase(shop.project, "user", USER)

    with connection.cursor() as cursor:
        cursor.execute("SELECT session_id, turns FROM traces_session WHERE project_id = %s", [shop.project.pk])
        assert cursor.fetchall() == [("shared-1", 1)]
    assert counted("traces_trace", project_id=shop.project.pk) == 1


def test_a_killed_erasure_goes_on_where_it_stopped(otlp, shop, monkeypatch):
    monkeypatch.setattr(running, "SLICE", 2)
    for at in range(5):
        otlp.send(otlp.generation(f"{at + 1:032x}", f"{at + 1:016x}", attributes={"user.id": USER}))
    erasure = asking.ask(shop.project, "user", USER)
    real, done = running.of_traces.remove_traces, []

    def dies(*args):
        done.append(1)
        if len(done) == 2:
            raise SystemExit  # as a kill ends it: nothing is written down
        return real(*args)

    monkeypatch.setattr(running.of_traces, "remove_traces", dies)
    with pytest.raises(SystemExit):
        running.work.run_now(Job.objects.get(pk=erasure.job_id))
    assert counted("traces_trace", project_id=shop.project.pk) == 3
    Job.objects.update(lease_until=None)  # the dead holder's runs out

    running.work.run_now(Job.objects.get(pk=erasure.job_id))

    receipt = Erasure.objects.get(pk=erasure.pk)
    assert (receipt.state, receipt.removed["traces_trace"]) == ("done", 5)
    assert counted("traces_trace", project_id=shop.project.pk) == 0


def test_counts_and_money_stay_without_the_person(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": USER}))
    fold_all()
    sums = "SELECT sum(n), sum(cost_pico) FROM traces_rollup WHERE project_id = %s"
    with connection.cursor() as cursor:
        cursor.execute(sums, [shop.project.pk])
        before = cursor.fetchone()
        erase(shop.project, "user", USER)
        fold_all()
        cursor.execute(sums, [shop.project.pk])
        assert cursor.fetchone() == before
    assert counted("traces_user_period", project_id=shop.project.pk) == 0


def test_a_user_whose_id_was_masked_is_found_by_the_id_that_was_sent(otlp, shop):
    told = "dora@shop.example"
    masks.change(shop.project, {"kinds": {"email": True}}, request=None, by_id=None)
    masks.forget()
    forget_rules()
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": told}))
    with connection.cursor() as cursor:
        cursor.execute("SELECT user_id FROM traces_trace WHERE project_id = %s", [shop.project.pk])
        [(kept,)] = cursor.fetchall()
    assert kept.startswith("[masked: email")

    receipt = erase(shop.project, "user", told)

    assert receipt.state == "done"
    assert counted("traces_trace", project_id=shop.project.pk) == 0
    answer = post(shop, body_of(otlp.generation("ac" * 16, "a2" * 8, attributes={"user.id": told})))
    assert int(answer.json()["partialSuccess"]["rejectedSpans"]) == 1
    assert found_in(kept, told) == []
