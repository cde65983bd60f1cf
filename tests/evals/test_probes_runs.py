"""Runs of probes through a provider on loopback: what changes is told in one run, what is only noisy never."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evals.models import ProbeAlarm, ProbeResult, ProbeSeries
from evals.probing import running
from evals.read import probe_state
from tests.evals.probes_kit import Provider, make_suite, run

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings, monkeypatch):
    """Starts providers; pauses between tries are over at once."""
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(running, "AGAIN", timedelta(0))
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.02)
    started = []

    def start(*args, **more):
        started.append(Provider(*args, **more))
        return started[-1]

    yield start
    for each in started:
        each.close()


def series_states(suite):
    return dict(ProbeSeries.objects.filter(target__suite=suite).values_list("version__probe__key", "state"))


def test_a_provider_that_changes_under_the_same_name_is_told_in_one_run(project, provider):
    stand_in = provider()
    suite = make_suite(project, stand_in)

    first = run(project, suite)

    assert (first.state, first.calls, stand_in.calls) == ("done", 40, 40)
    assert first.cost_pico == stand_in.bill_pico > 0
    assert series_states(suite) == {"format-json": "learning", "sum": "learning"}

    run(project, suite)

    assert series_states(suite) == {"format-json": "same", "sum": "same"}
    assert not ProbeAlarm.objects.exists()

    stand_in.mode = "fenced"
    third = run(project, suite)

    alarm = ProbeAlarm.objects.get()
    assert alarm.run_id == third.pk
    assert {each["kind"] for each in alarm.evidence} >= {"passes", "answers"}
    assert series_states(suite) == {"format-json": "changed", "sum": "same"}
    state = probe_state.suites(project.pk)[0]
    assert (state.state, state.open_alarms, state.fired) == ("changed", 1, 1)
    result = ProbeResult.objects.get(run=third, series__version__probe__key="format-json")
    assert (result.passes, result.runs, result.base_passes, result.base_runs) == (0, 5, 25, 25)
    assert result.figures["fewest"] >= 1
    assert not result.was_learned
