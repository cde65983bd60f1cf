"""Parts of a trace that came before the span which says whose it is, where that is an erased user or session."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import connection

from telltale.audit.models import AuditEntry
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.web.erasing import asking, late, running
from telltale.web.models import Erasure
from tests.traces.erasing_kit import erase
from traces.write import late as parts

pytestmark = pytest.mark.django_db
USER, SESSION, TRACE, OTHER = "dora-4711", "s-4711", "ab" * 16, "cd" * 16


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(running, "pause", lambda seconds: None)
    parts.forget()
    yield
    parts.forget()


def sweep_late():
    """The erasures that a sweep some seconds later begins, run to their ends."""
    with time_machine.travel(clock.now() + timedelta(seconds=30), tick=True):
        begun = late.start_late()
        for erasure in Erasure.objects.filter(kind=late.KIND, state="waiting"):
            running.work.run_now(Job.objects.get(pk=erasure.job_id))
    return begun


def stored(project, table="traces_span"):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT trace_id FROM {table} WHERE project_id = %s", [project.pk])
        return {row[0].hex for row in cursor.fetchall()}


def send(shop, *spans):
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": list(spans)}]}]}
    answer = shop.nobody.post("/v1/traces", body, "application/json", headers=shop.key("ingest"))
    return int(answer.json().get("partialSuccess", {}).get("rejectedSpans", 0))


def test_parts_that_came_before_the_name_go_with_a_receipt_of_their_own(otlp, shop):
    receipt = erase(shop.project, "user", USER)
    otlp.send(otlp.span(TRACE, "a1" * 8, parent="a2" * 8))
    otlp.send(otlp.span(OTHER, "c1" * 8))

    assert send(shop, otlp.generation(TRACE, "a2" * 8, attributes={"user.id": USER})) == 1

    assert stored(shop.project) == {TRACE, OTHER}
    assert sweep_late() == 1
    assert stored(shop.project) == stored(shop.project, "traces_trace") == {OTHER}
    told = Erasure.objects.get(kind="late")
    assert (told.state, told.subject, told.subject_key, told.removed["traces_span"]) == (
        "done", "", receipt.subject_key, 1,
    )  # fmt: skip
    entry = AuditEntry.objects.filter(action="erasure.ask").latest("pk")
    assert (entry.actor, entry.target) == ("system", f"user {receipt.subject_key.hex}")
    page = shop.erin.get(f"/p/shop/settings/privacy/{told.pk}/").content.decode()
    assert "Late parts of" in page
    assert "named an erased user or session" in page
    with pytest.raises(asking.Conflict):
        asking.lift(shop.project, told)


def test_the_rest_of_such_a_trace_is_refused_until_it_is_lifted(otlp, shop):
    receipt = erase(shop.project, "user", USER)
    send(shop, otlp.generation(TRACE, "a2" * 8, attributes={"user.id": USER}))

    assert send(shop, otlp.span(TRACE, "a3" * 8, parent="a2" * 8)) == 1

    assert sweep_late() == 0
    assert not Erasure.objects.filter(kind="late").exists()
    asking.lift(shop.project, receipt)
    assert send(shop, otlp.span(TRACE, "a3" * 8, parent="a2" * 8)) == 0


def test_the_same_span_again_asks_for_nothing_more(otlp, shop):
    erase(shop.project, "user", USER)
    otlp.send(otlp.span(TRACE, "a1" * 8))
    late_span = otlp.generation(TRACE, "a2" * 8, attributes={"user.id": USER})
    for _ in range(3):
        send(shop, late_span)

    assert sweep_late() == 1
    send(shop, late_span)

    assert sweep_late() == 0
    assert Erasure.objects.filter(kind="late").count() == 1


def test_nobody_elses_trace_goes_because_a_span_names_it_beside_an_erased_user(otlp, shop):
    erase(shop.project, "user", USER)
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": "bert-1"}))

    assert send(shop, otlp.generation(TRACE, "a2" * 8, attributes={"user.id": USER})) == 1

    assert sweep_late() == 0
    assert stored(shop.project) == {TRACE}


def test_what_began_long_before_stays(otlp, shop):
    erase(shop.project, "user", USER)
    otlp.send(otlp.span(TRACE, "a1" * 8))
    send(shop, otlp.generation(TRACE, "a2" * 8, attributes={"user.id": USER}))

    with time_machine.travel(clock.now() + parts.WITHIN + timedelta(hours=1), tick=True):
        assert late.start_late() == 0

    assert stored(shop.project) == {TRACE}


def test_parts_of_an_erased_session_go_unless_another_session_is_named(otlp, shop):
    erase(shop.project, "session", SESSION)
    otlp.send(otlp.span(TRACE, "a1" * 8))
    otlp.send(otlp.generation(OTHER, "c1" * 8, attributes={"session.id": "s-1"}))
    for trace in (TRACE, OTHER):
        send(shop, otlp.generation(trace, trace[:2] * 4 + "0f" * 4, attributes={"session.id": SESSION}))

    assert sweep_late() == 1

    assert stored(shop.project) == {OTHER}


def test_one_key_can_have_only_so_many_traces_looked_at(otlp, shop, monkeypatch):
    monkeypatch.setattr(parts, "AN_HOUR", 1)
    erase(shop.project, "user", USER)
    for trace in (TRACE, OTHER):
        otlp.send(otlp.span(trace, "a1" * 8))
    headers = shop.key("ingest")
    for trace in (TRACE, OTHER):
        body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "test"}, "spans": [
            otlp.generation(trace, "a2" * 8, attributes={"user.id": USER})
        ]}]}]}  # fmt: skip
        answer = shop.nobody.post("/v1/traces", body, "application/json", headers=headers)
        assert int(answer.json()["partialSuccess"]["rejectedSpans"]) == 1

    assert sweep_late() == 1

    assert stored(shop.project) == {OTHER}
