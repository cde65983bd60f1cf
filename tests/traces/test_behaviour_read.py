"""Reading what users did: cells by feature, hour and day of the project, samples that come again, single units."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.traces.behaviour_rows import settle
from tests.traces.session_rows import NOON, put_trace, refresh, trace_id
from traces import behaving
from traces.behaviour.types import Fact, Stratum
from traces.read import behaviour as read
from traces.write import behaviour as write

pytestmark = pytest.mark.django_db
START, END = NOON - timedelta(days=3), NOON + timedelta(days=1)


@pytest.fixture
def told(shop, monkeypatch):
    """Ten sessions and a lone trace, two hours apart backwards from noon, of two features and of none."""
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    write.forget()
    shop.project.time_zone = "Asia/Kolkata"
    shop.project.save()
    project = shop.project.pk
    for n in range(1, 11):
        feature = ("chat", "search", None)[n % 3]
        more = {"preview_in": "Where is my order?", "preview_out": "There.", "feature": feature}
        put_trace(project, n, f"s{n}", at=-7200 * n, unpriced_count=n % 2, cost_pico=n, user_id=f"u{n}", **more)
        if n <= 4:
            put_trace(project, 100 + n, f"s{n}", at=-7200 * n + 60, **(more | {"preview_in": "And my invoice, where?"}))
    put_trace(project, 50, None, at=-60, preview_out="There.")
    refresh(project, *(f"s{n}" for n in range(1, 11)))
    with time_machine.travel(NOON + timedelta(hours=2), tick=False):
        behaving.start_stale()
        from telltale.jobs import work

        while work.run_next():
            pass
        settle()
        yield project


def test_cells_add_up_however_they_are_cut(told):
    whole = read.cells(told, START, END)

    for by in ("feature", "hour", "day"):
        cells = read.cells(told, START, END, by=by)
        assert sum(cell.n for cell in cells) == sum(cell.n for cell in whole) == 11
        assert {cell.key for cell in cells} != {None}
    assert sum(cell.n for cell in read.cells(told, START, END, "chat")) == 3
    assert sum(cell.n for cell in read.cells(told, START, END, "")) == 4
    assert read.cells(told, END, END + timedelta(days=9)) == []


def test_days_are_those_of_the_projects_zone(told):
    days = {cell.key for cell in read.cells(told, START, END, by="day")}

    # Midnight in Kolkata is 18:30 UTC: the hour of it belongs to the day in which it begins.
    assert days == {datetime(2026, 11, 17, 18, 30, tzinfo=UTC), datetime(2026, 11, 18, 18, 30, tzinfo=UTC)}


def test_rates_leave_out_what_cannot_be_told(told):
    found = read.rates(told, START, END)
    rates = {rate.key: (rate.found.k, rate.found.n, rate.left_out) for rate in found.rates}

    assert (found.sessions, found.lone, found.open) == (10, 1, 0)
    assert rates["abandonment"] == (6, 10, 0)
    assert rates["follow_up"] == (4, 10, 0)
    assert next(rate for rate in found.rates if rate.key == "abandonment").found.low == pytest.approx(0.3127, abs=1e-4)
    # 4 of 2 answers and 6 of 1: mean 1.4, variance 0.2667, half 1.96 * sqrt(0.02667).
    assert (found.answers.value, found.answers.low) == (1.4, pytest.approx(1.4 - 0.32, abs=1e-3))
    assert read.rates(told, END, END + timedelta(days=1)).rates[0].found.share is None


def test_samples_come_again_and_are_of_what_was_asked(told):
    def drawn(seed, n=3):
        return read.sample_units(told, START, END, None, Stratum.ABANDONED, 0, n, seed)

    first = drawn(7)

    assert len(first) == 3
    assert first == drawn(7)
    assert len({tuple(unit.unit_key for unit in drawn(seed)) for seed in range(6)}) > 1
    assert {unit.stratum for unit in drawn(7, 100)} == {Stratum.ABANDONED}
    assert len(drawn(7, 100)) == 6
    assert read.sample_units(told, START, END, "chat", None, 1, 5, 1) == []


def test_single_units_and_what_they_cost(told):
    even, odd, lone = read.unit_of_session(told, "s2"), read.unit_of_session(told, "s1"), None
    lone = read.unit_of_trace(told, trace_id(50))

    assert (even.turns, even.cost_pico, even.user_id, even.feature) == (2, 2, "u2", "")
    assert odd.cost_pico is None
    assert lone.stratum is Stratum.UNKNOWN
    assert lone.facts & Fact.LONE
    assert read.unit_of_session(told, "nobody") is None
    assert [why.fact for why in read.why_of_session(told, "s1")] == [Fact.FOLLOWED_UP]
    assert read.why_of_session(told, "nobody") == ()
    assert read.behaviour_of_session(told, "s9").stratum is Stratum.ABANDONED
