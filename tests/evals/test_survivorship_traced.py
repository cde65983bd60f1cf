"""From what applications and users send to the verdict: traces, votes, scores of a judge and of people."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.test import Client

from evals.judging import judge_rules
from evals.models import SurvivorshipSettings
from evals.surviving.looking import look_at
from telltale.lib import clock
from tests.evals.behaviour_rows import Made, review_session
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, draw, make_plan, make_version, store_traces
from tests.traces.behaviour_rows import settle
from traces import behaving, signalling
from traces.behaviour.types import Stratum
from traces.write import behaviour as write
from traces.write import rollup_memory

pytestmark = pytest.mark.django_db
LONG = "word " * 80


@pytest.fixture(autouse=True)
def nobody_is_woken(monkeypatch):
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    for memory in (rollup_memory, write, signalling):
        memory.forget()
    yield
    for memory in (write, signalling):
        memory.forget()


def sessions(project, name, n, *, answer="It opens at nine.", error=False, hours_ago=4.0, said=("When do you open?",)):
    """`n` sessions with a turn for each of `said`, an hour apart from now; the traces of their last turns."""
    last = []
    for at in range(n):
        begun = clock.now() - timedelta(hours=hours_ago)
        for turn, words in enumerate(said):
            start = (begun + timedelta(seconds=60 * turn)).isoformat()
            more = {"output": None} if error else {}
            last += store_traces(
                project, answer=answer, question=words, start=start, session=f"{name}-{at}", error=error, **more
            )
    return last[len(said) - 1 :: len(said)]


def test_what_is_sent_becomes_groups_votes_and_an_anchor(project, key):
    version = make_version(project, "rule", slug="length", config=LENGTH_RULE, rubric=YES_NO)
    make_plan(version, {"kind": "random", "share": 1})
    left = sessions(project, "left", 30, answer=LONG)
    stayed = sessions(project, "on", 30, said=("When do you open?", "And where may I leave my bicycle?"))
    sessions(project, "broken", 4, error=True)
    sessions(project, "open", 3, hours_ago=0.1)
    lone = store_traces(project, 5, start=(clock.now() - timedelta(hours=4)).isoformat())
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})
    votes = [{"name": "thumbs_up", "session_id": f"on-{at}", "value": True} for at in range(20)]
    votes += [{"name": "thumbs_up", "trace_id": left[0].hex, "value": False}]
    votes += [{"name": "thumbs_up", "trace_id": lone[0].hex, "value": True}]
    assert client.post("/api/v1/signals", votes, "application/json").json()["rejected"] == 0
    draw(project, [*left, *stayed, *lone])
    judge_rules(10)
    with time_machine.travel(clock.now(), tick=False) as travelling:
        settle(travelling, 60)

    found = look_at(project.pk, clock.now() - timedelta(hours=24), clock.now())

    counts, units = found.whole.counts, found.whole.units
    assert {stratum: tuple(cell) for stratum, cell in counts.by_stratum.items()} == {
        Stratum.ABANDONED: (0, 1, 29), Stratum.CARRIED_ON: (20, 0, 10)
    }  # fmt: skip
    assert (units.unanswered, units.open, units.lone.n, units.lone.total.up) == (4, 3, 5, 1)
    assert found.anchoring.judging.key == "length/short"
    drawn = [each for each in found.sample.drawn if not each.is_lone]
    assert sum(each.times for each in drawn) == 60
    assert sum(each.times * each.judge for each in drawn) == 30
    assert found.whole.anchor.have == 0

    # A random queue reads three of four sessions, whoever voted; long answers are found wanting.
    for trace_ids, stratum in ((left, Stratum.ABANDONED), (stayed, Stratum.CARRIED_ON)):
        for trace_id in trace_ids[:23]:
            one = Made(None, trace_id, stratum, 0, clock.now(), "help")
            review_session(project, version, one, stratum is Stratum.CARRIED_ON, pi_review=0.75)
    anchor = look_at(project.pk, clock.now() - timedelta(hours=24), clock.now()).whole.anchor
    assert anchor.n == 46
    assert anchor.estimate == pytest.approx(0.5)
    SurvivorshipSettings.objects.create(project=project, method="none")
    assert look_at(project.pk, clock.now() - timedelta(hours=24), clock.now()).whole.anchor is None
