"""Scope, isolate and respond on rows: the planted part is found, the planted change fits, recovery is told once."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts import isolating, looking, scoping
from alerts.incidents.types import WrongState
from alerts.models import Incident, IncidentEvent
from alerts.monitors.types import Definition, Scope
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from tests.alerts.scope_kit import add_requests, traffic
from tests.alerts.triage_kit import make_alarm, make_incident, make_monitor
from traces.changelog import By, put_changes

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def errors(**more):
    # A filter has the series read from the rows of traces, without roll-ups.
    return Definition("Errors of the shop", "errors", scope=Scope((), "name=chat"), window=HOUR, severity=1, **more)


@pytest.fixture
def planted(project):
    """Two days of traffic; for four hours requests of returns with prompt v18 fail."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    began = now - 4 * HOUR
    start = now - 48 * HOUR

    def rate(row):
        is_bad = row["at"] >= began and row["feature"] == "returns" and row["prompt_version"] == "v18"
        return 0.6 if is_bad else 0.02

    rows = traffic(
        3, 6_000, start, 48, rate, feature=["returns", "search", "faq"], prompt_version=["v17", "v18"],
        model=["gpt-4o", "gpt-4.1"], release=["r1"], metadata=[{"plan": "free"}, {"plan": "team"}],
        tool=["find", None],
    )  # fmt: skip
    # Version 18 is new: before, returns had 17 alone.
    for row in rows:
        row["prompt_name"] = row["feature"]
        if row["at"] < began:
            row["prompt_version"] = "v17"
    add_requests(project, rows, with_spans=True)
    monitor = make_monitor(project, errors())
    incident = make_incident(project, make_alarm(monitor, began))
    return project, incident, began, now


def changes_of(project, began):
    items = [
        {"kind": "prompt", "name": "returns", "version": "v18", "previous": "v17", "feature": "returns",
         "at": began.isoformat()},
        {"kind": "index", "name": "policies", "version": "7", "at": (began - 6 * HOUR).isoformat()},
        {"kind": "deploy", "name": "search", "version": "r9", "feature": "search", "at": began.isoformat()},
        {"kind": "deploy", "name": "shop", "version": "r0", "at": (began - 40 * HOUR).isoformat()},
    ]  # fmt: skip
    return [result.id for result in put_changes(project, items, By())]


def test_the_planted_part_is_named_first_with_its_traces(planted):
    _, incident, _began, _ = planted

    body = scoping.look(incident.project_id, incident.pk)

    first = body["slices"][0]
    assert first["name"] == "feature returns and prompt version v18"
    assert first["is_proposed"]
    assert first["rate_low"] < 0.6 < first["rate_high"]
    assert first["share_of_excess"] > 0.8
    assert "feature=returns" in first["traces"]
    assert "prompt_version=v18" in first["traces"]
    assert "status=error" in first["traces"]
    assert 1 <= len(first["examples"]) <= 5
    assert {"provider", "tools", "meta.plan"} & set(body["fields"])
    assert not any(one["is_proposed"] and "plan" in one["name"] for one in body["slices"])
    assert body["now"]["n"] > 300
    assert any("language" in words for words in body["not_compared"])
    assert body["before"]["share"] < 0.04 < body["now"]["share"]


def test_traffic_without_a_difference_proposes_nothing(project):
    now = clock.now()
    rows = traffic(
        5, 3_000, now - 48 * HOUR, 47, lambda row: 0.1 if row["feature"] == "faq" else 0.03,
        feature=["returns", "search", "faq"], model=["a", "b"],
    )  # fmt: skip
    add_requests(project, rows)
    incident = make_incident(project, make_alarm(make_monitor(project, errors()), now - 6 * HOUR))

    body = scoping.look(project.pk, incident.pk)

    assert not any(one["is_proposed"] for one in body["slices"])


def test_too_few_bad_ones_is_said(project):
    now = clock.now()
    add_requests(project, traffic(5, 300, now - 48 * HOUR, 47, lambda row: 0.0, feature=["a", "b"]))
    incident = make_incident(project, make_alarm(make_monitor(project, errors()), now - 6 * HOUR))

    body = scoping.look(project.pk, incident.pk)

    assert body["too_little"] == {"have": 0, "need": 10, "what": "bad rows"}


def test_the_planted_change_comes_first_and_versions_tell(planted):
    project, incident, began, _ = planted
    ids = changes_of(project, began)
    looking.make(incident, "scope")

    body = looking.make(incident, "isolate").body

    assert body["onset"]["at"] is not None
    assert abs((clock.now() - began).total_seconds()) > 0
    first = body["changes"][0]
    assert first["id"] == ids[0]
    assert (first["place"], first["overlap"], first["match"]) == ("inside", "same", "strong")
    assert first["contrast"]["old"] == "v17"
    assert first["says"] == "worse"
    others = {one["id"]: one["match"] for one in body["changes"][1:]}
    assert "strong" not in others.values()
    assert body["versions"][0]["attribute"] == "prompt_version"
    assert body["versions"][0]["low"] > 0


def test_without_a_start_no_change_is_proposed(project):
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    add_requests(project, traffic(5, 4_000, now - 48 * HOUR, 48, lambda row: 0.05, feature=["a", "b"]))
    incident = make_incident(project, make_alarm(make_monitor(project, errors()), now - 6 * HOUR))
    changes_of(project, now - 6 * HOUR)

    body = looking.make(incident, "isolate").body

    assert body["onset"]["at"] is None
    assert "no clear start" in body["onset"]["words"]
    assert {one["match"] for one in body["changes"]} == {"none"}


def test_the_part_tells_when_it_began_where_the_whole_does_not(project):
    """One of twenty features fails: its monitor's series of all requests hardly moves."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    began = now - 4 * HOUR

    def rate(row):
        return 0.5 if row["at"] >= began and row["feature"] == "f7" else 0.1

    rows = traffic(11, 6_000, now - 24 * HOUR, 24, rate, feature=[f"f{at}" for at in range(20)])
    add_requests(project, rows)
    incident = make_incident(project, make_alarm(make_monitor(project, errors()), began))
    looking.make(incident, "scope")

    onset = looking.make(incident, "isolate").body["onset"]

    assert onset["words"] == "of feature f7 alone"
    assert abs((datetime.fromisoformat(onset["at"]) - began).total_seconds()) <= 3600


def test_people_write_the_scope_and_mark_the_cause(planted, alice):
    project, incident, began, _ = planted
    change = changes_of(project, began)[0]

    scoping.write_scope(project, 1, "  Returns on v18 alone. ", user=alice)
    isolating.mark_cause(project, 1, change, "the shorter prompt", user=alice)

    held = Incident.objects.get(pk=incident.pk)
    assert held.scope_note == "Returns on v18 alone."
    assert (held.cause_change, held.cause_note) == (change, "the shorter prompt")
    kinds = list(IncidentEvent.objects.filter(incident=incident).values_list("kind", flat=True))
    assert kinds.count("step") == 2
    assert "cause" in kinds
    assert isolating.clear_cause(project, 1, user=alice)
    assert not isolating.clear_cause(project, 1, user=alice)
    with pytest.raises(ItemRefused):
        scoping.write_scope(project, 1, " ", user=alice)
    with pytest.raises(ItemRefused):
        isolating.mark_cause(project, 1, 10**15, user=alice)
    Incident.objects.filter(pk=incident.pk).update(state="resolved")
    with pytest.raises(WrongState):
        scoping.write_scope(project, 1, "later", user=alice)
