"""The simulation of a whole project, reduced: what is paged while nothing is wrong, and how soon what is."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest

from alerts.monitors.states import Kind
from benchmarks._project import MONDAY, QUARTER, monitored, project, shares, traffic
from benchmarks.whole_project import Alarm, Watched, first_alarm, main, mean_of, pages, quiet, run_lengths, watch


def test_charts_of_all_kinds_together_alarm_about_as_often_as_the_budget_says():
    # Given one chart of each kind and two of scores, 40 false alarms a week allowed, two weeks learned and one watched.
    series = project(2, (2, 1, 1, 1, 1, 1, 1))
    lengths = run_lengths(series, 40.0)

    watched = quiet(series, 40.0, 3, 3)

    expected = math.fsum(each.windows / lengths[one.definition.name] for one, each in zip(series, watched, strict=True))
    assert expected == pytest.approx(40, rel=0.25)
    alarms = sum(len(each.alarms) for each in watched)
    # Half as many again are allowed, and what chance adds once in 10,000 times.
    assert 0 < alarms <= 1.5 * expected + 3.72 * math.sqrt(1.5 * expected)


def test_twice_the_errors_are_paged_within_hours():
    at = round((timedelta(weeks=1, days=1, hours=10)) / QUARTER)
    length = run_lengths(project(), 1.0)["share 0"]
    delays = []
    for seed in range(3):
        one = monitored(
            "errors", Kind.SHARE, lambda g, n: shares(g, n, changed=(at, 0.04)), window=QUARTER, weeks=6 / 7
        )
        found = watch(one, one.readings(np.random.default_rng(seed), at + 32), length, seed)
        assert not any(alarm.at <= MONDAY + at * QUARTER for alarm in found.alarms)
        alarm = first_alarm(found, MONDAY + at * QUARTER)
        assert alarm is not None
        delays.append((alarm - MONDAY) / QUARTER - at)

    # Median of the whole simulation: 7 to 8 windows. Of three, the middle one beyond 16 is no matter of chance.
    assert sorted(delays)[1] <= 16


def test_alarms_that_begin_together_are_one_page():
    def at(*hours: float) -> list[Alarm]:
        return [Alarm(MONDAY + timedelta(hours=hour), "chart", "EWMA") for hour in hours]

    assert pages(at(1, 1.5, 2.4)) == 1
    assert pages(at(5, 1, 2.5)) == 3
    assert pages([]) == 0
    assert first_alarm(Watched(None, 0, tuple(at(1, 3))), MONDAY + timedelta(hours=2)) == MONDAY + timedelta(hours=3)


def test_a_shift_of_the_mix_moves_the_raw_mean_alone():
    g = np.random.default_rng(1)
    cell = {"easy": g.normal(4.3, 0.5, 400), "hard": g.normal(3.3, 0.5, 400)}
    usual = {"easy": 0.8, "hard": 0.2}

    assert mean_of(cell, usual, "raw").value == pytest.approx(3.8, abs=0.1)
    assert mean_of(cell, usual, "standardised").value == pytest.approx(4.1, abs=0.1)


def test_traffic_has_days_and_weekends():
    week = traffic(672, QUARTER)

    assert week[4 * 12] > 3 * week[0]
    assert week[5 * 96 + 48] == pytest.approx(week[48] / 2)


def test_the_command_prints_its_figures(capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.whole_project.project", lambda weeks=4: project(1, (1, 1, 0, 0, 0, 0, 0)))
    monkeypatch.setattr("benchmarks.whole_project.LEARN_WEEKS", 1)
    monkeypatch.setattr("benchmarks.whole_project.WATCH_WEEKS", 1)

    status = main(["--runs", "2", "--budget", "1"])

    told = capsys.readouterr().out
    assert status in (0, 1)
    assert "false pages a week, budget 1" in told
    assert "Poisson" in told
    assert "score" in told


def test_charts_of_some_kinds_are_drawn_as_they_are_among_all():
    series = project(1, (1, 1, 0, 0, 0, 0, 0))

    whole, scores = quiet(series, 5.0, 3, 2.0), quiet(series, 5.0, 3, 2.0, ("score",))

    assert scores[0] == whole[0]
    assert (scores[1].since, scores[1].windows, scores[1].alarms) == (None, 0, ())
    assert whole[1].windows > 0
