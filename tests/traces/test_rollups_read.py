"""The read door of roll-ups: exact over any window, the coarsest buckets that fit, and what it says of itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from django.db import connection

from telltale.stats.sketch import RELATIVE_ERROR
from tests.traces import rollup_traffic
from traces import folding
from traces.read.rollups import AUTO, Step, What, calls, reading, requests
from traces.rollup.buckets import Calendar, Grain, minute_of, time_of
from traces.rollup.covering import Horizon, cover, edges, pick_step, snap
from traces.write import rollup_memory

ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe")


@pytest.fixture
def traffic(otlp, shop):
    rollup_memory.forget()
    shop.project.time_zone = "Asia/Kathmandu"
    shop.project.save()
    folding.fold_roll_ups()
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 41, traces=60)):
        pass
    folding.fold_roll_ups()
    yield shop.project
    rollup_memory.forget()


def spans(project, condition="true", *params, columns="count(*)"):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM traces_span AS s JOIN traces_trace AS t USING (project_id, trace_id)"
            f" WHERE project_id = %s AND {condition}",
            [project.pk, *params],
        )
        return cursor.fetchall()


def read(project):
    return reading(project.pk, project.time_zone)


@pytest.mark.parametrize("seed", range(8))
def test_any_window_of_minutes_is_answered_exactly(traffic, seed):
    rng = Random(seed)
    with read(traffic) as reader:
        start = reader.now - timedelta(days=7.9 * rng.random())
        end = start + (reader.now - start) * rng.random()
        step = rng.choice([None, AUTO, Step.HOUR, Step.DAY, Step.SIX_HOURS])
        answer = reader.ask(calls(), start, end, by=("kind",), step=step, want=("counts", "tokens"))
    assert answer.start <= start < answer.start + timedelta(minutes=1)
    assert answer.end - timedelta(minutes=1) < end <= answer.end
    assert not answer.is_widened
    window = "s.started_at >= %s AND s.started_at < %s"
    assert answer.total.n == spans(traffic, window, answer.start, answer.end)[0][0]
    for key, sums in answer.groups().items():
        assert sums.n == spans(traffic, f"{window} AND kind = %s", answer.start, answer.end, key[0])[0][0]
    for at, (low, high) in enumerate(zip(answer.edges, answer.edges[1:], strict=False)):
        held = sum(row.sums.n for row in answer.rows if row.at == at)
        assert held == spans(traffic, window, low, high)[0][0], (low, high)
    assert (answer.edges[0], answer.edges[-1]) == (answer.start, answer.end)


def test_quantiles_are_within_the_stated_error_of_numpy(traffic):
    with read(traffic) as reader:
        start = reader.now - timedelta(days=7)
        answer = reader.ask(calls(), start, reader.now, by=("kind",), sketches=("duration",))
    for row in answer.rows:
        values = [
            v for (v,) in spans(traffic, "kind = %s AND duration_ns IS NOT NULL", *row.key, columns="duration_ns")
        ]
        for q in (0.5, 0.95, 0.99):
            exact = np.quantile(values, q, method="inverted_cdf")
            found = row.sketch("duration").quantile(q)
            assert found.n == len(values)
            assert abs(found.value - exact) <= RELATIVE_ERROR * exact


def test_conditions_take_values_unknown_and_what_is_not(traffic):
    with read(traffic) as reader:
        window = (reader.now - timedelta(days=7), reader.now)

        def n(where):
            return reader.ask(where, *window, want=("counts",)).total.n

        known = spans(traffic, "coalesce(s.feature, t.feature) = 'search'")[0][0]
        unknown = spans(traffic, "coalesce(s.feature, t.feature) IS NULL")[0][0]
        total = spans(traffic)[0][0]
        assert n(calls(feature="search")) == known
        assert n(calls(feature=None)) == unknown
        assert n(calls(feature=("search", None))) == known + unknown
        assert n(calls().but(feature="search")) == total - known
        assert n(calls().but(feature=("search", None))) == total - known - unknown
        assert n(calls(kind=1).only(feature="nothing")) == 0
        assert n(calls(feature=())) == 0
        assert n(requests()) == 60
        assert set(reader.values(calls(), *window, "feature")) == {"search", "returns", None}


def test_reasons_and_users_are_those_of_the_spans(traffic):
    with read(traffic) as reader:
        window = (reader.now - timedelta(days=7), reader.now)
        failed = reader.reasons(What.ERROR_TYPE, calls(), *window, by=("kind",))
        finished = reader.reasons(What.FINISH_REASON, calls(), *window, step=Step.DAY)
        users = reader.users(*window, order="n")
        ann = reader.users(*window, user_id="ann")
        with pytest.raises(ValueError, match="no order"):
            reader.users(*window, order="name")
    assert sum(row.n for row in failed.rows) == spans(traffic, "s.error_type IS NOT NULL")[0][0]
    assert sum(row.n for row in finished.rows) == spans(traffic, "s.finish_reason IS NOT NULL")[0][0]
    assert users.count == len(users.rows) == 3
    assert [row.n for row in users.rows] == sorted((row.n for row in users.rows), reverse=True)
    assert ann.rows == tuple(row for row in users.rows if row.user_id == "ann")
    assert users.start.astimezone(ZoneInfo("Asia/Kathmandu")).hour == 0


@pytest.mark.parametrize("order", ["cost", "n", "tokens"])
def test_users_that_are_too_many_to_sum_are_told_from_the_dearest(traffic, monkeypatch, order):
    with read(traffic) as reader:
        window = (reader.now - timedelta(days=40), reader.now)
        exact = reader.users(*window, order=order)
        monkeypatch.setattr("traces.read.rollup_users.ROWS_MAX", 1)
        found = reader.users(*window, order=order)
        assert reader.users(*window, user_id="ann").is_exact
    assert (exact.is_exact, found.is_exact) == (True, False)
    assert found.rows == exact.rows
    assert 1 <= found.count <= exact.count


def test_what_is_no_dimension_group_or_sketch_is_refused(shop):
    with reading(shop.project.pk, "UTC") as reader:
        window = (reader.now - timedelta(days=1), reader.now)
        for wrong in (
            lambda: requests(model="x"),
            lambda: reader.ask(requests(), *window, by=("kind",)),
            lambda: reader.ask(requests(), *window, want=("money",)),
            lambda: reader.ask(requests(), *window, sketches=("speed",)),
            lambda: reader.ask(requests(), reader.now - timedelta(days=5), reader.now, step=Step.MINUTE),
        ):
            with pytest.raises(ValueError, match=r"no |more than"):
                wrong()


def test_one_question_is_one_query(traffic):
    with read(traffic) as reader:
        window = (reader.now - timedelta(days=7), reader.now)
        sent = []
        execute = reader._cursor.execute
        reader._cursor = type("Counting", (), {"execute": lambda self, *a, **k: sent.append(a) or execute(*a, **k)})()
        reader._cursor.fetchall = lambda: []
        reader.ask(calls(kind=1), *window, by=("model", "feature"), step=Step.DAY, sketches=("duration", "ttft"))
        assert len(sent) == 1


def test_an_empty_or_turned_window_is_no_error(shop):
    with reading(shop.project.pk, "UTC") as reader:
        assert reader.ask(calls(), reader.now, reader.now - timedelta(days=1), step=AUTO).rows == ()
        points = reader.ask(calls(), reader.now - timedelta(hours=2), reader.now, step=Step.HOUR).points()
        assert [point.sums.n for point in points] == [0] * len(points)
        assert len(points) in {2, 3}


def test_state_tells_lag_and_what_waits(otlp, shop):
    rollup_memory.forget()
    folding.fold_roll_ups()
    otlp.send(otlp.span("f1" * 16, "01" * 8))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_feed SET changed_at = now() - interval '7 seconds'")
    with reading(shop.project.pk, "UTC") as reader:
        state = reader.state()
    assert 7 <= state.lag_seconds < 60
    assert (state.waiting, state.set_aside, state.is_rebuilding, state.time_zone) == (1, 0, False, "UTC")
    folding.fold_roll_ups()
    with reading(shop.project.pk, "UTC") as reader:
        assert (reader.state().lag_seconds, reader.state().waiting) == (0.0, 0)


@pytest.mark.parametrize("zone", ZONES)
def test_segments_cover_a_window_once_with_the_coarsest_buckets(zone):
    calendar, rng = Calendar(zone), Random(zone)
    base = minute_of(datetime(2026, 10, 1, tzinfo=UTC))
    for _ in range(60):
        low = base + rng.randrange(40 * 1440)
        high = low + rng.randrange(1, 9 * 1440)
        segments = cover(low, high, Grain.DAY, calendar)
        at = low
        for segment in segments:
            assert segment.low == at
            at = segment.high
        assert at == high
        for segment in segments:
            if segment.grain == Grain.DAY:
                assert calendar.day_of(segment.low) == segment.low
                assert calendar.day_of(segment.high) == segment.high
            elif segment.grain == Grain.HOUR:
                assert calendar.place(segment.low)[0] == segment.low
                assert calendar.place(segment.high)[0] == segment.high
        minutes = sum(s.high - s.low for s in segments if s.grain == Grain.MINUTE)
        assert minutes < 120 or all(s.grain == Grain.MINUTE for s in segments)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("step", [Step.HOUR, Step.SIX_HOURS, Step.DAY, Step.WEEK, Step.MONTH])
def test_points_begin_where_local_clocks_say(zone, step):
    calendar = Calendar(zone)
    low, high = (minute_of(datetime(2026, month, 1, 9, 7, tzinfo=UTC)) for month in (9, 12))
    found = edges(low, high, step, calendar)
    assert found == sorted(set(found))
    for edge in found[1:-1]:
        local = time_of(edge).astimezone(ZoneInfo(zone))
        if step >= Step.DAY:
            assert (local.hour, local.minute) == (0, 0)
        if step == Step.WEEK:
            assert local.weekday() == 0
        if step == Step.MONTH:
            assert local.day == 1
        assert calendar.place(edge)[0] == edge


def test_days_of_23_and_25_hours_have_as_many_points():
    calendar = Calendar("Europe/Berlin")
    for day, hours in ((datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25), (datetime(2026, 6, 1), 24)):
        low = calendar.day_start(day.date())
        assert len(edges(low, calendar.next_day(low), Step.HOUR, calendar)) - 1 == hours


def test_midnights_that_do_not_exist_or_come_twice():
    # Sao Paulo 2018-11-04 began at 01:00; Havana 2026-11-01 had 00:30 twice; Apia had no 2011-12-30.
    skipped = Calendar("America/Sao_Paulo").day_start(datetime(2018, 11, 4).date())
    assert time_of(skipped) == datetime(2018, 11, 4, 3, tzinfo=UTC)
    calendar = Calendar("America/Havana")
    start = calendar.day_start(datetime(2026, 11, 1).date())
    assert time_of(start) == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert calendar.next_day(start) - start == 25 * 60
    apia = Calendar("Pacific/Apia")
    before = apia.day_start(datetime(2011, 12, 29).date())
    assert apia.next_day(before) == apia.day_start(datetime(2011, 12, 31).date()) == before + 1440


@pytest.mark.parametrize("days_ago", [7, 30, 200])
def test_old_windows_are_widened_to_what_is_kept_and_say_so(shop, days_ago):
    with reading(shop.project.pk, "Europe/Berlin") as reader:
        start = (reader.now - timedelta(days=days_ago)).replace(minute=17, second=0, microsecond=0)
        answer = reader.ask(calls(), start, start + timedelta(hours=5, minutes=5), step=Step.FIVE_MINUTES)
    assert answer.is_widened is (days_ago > 8)
    assert answer.start <= start
    assert answer.step == {7: Step.FIVE_MINUTES, 30: Step.HOUR, 200: Step.DAY}[days_ago]
    assert answer.start.minute == (17 if days_ago == 7 else 0)
    if days_ago == 200:
        assert answer.end - answer.start >= timedelta(hours=23)


def test_what_is_widened_needs_no_bucket_that_is_gone():
    calendar, rng = Calendar("Asia/Kathmandu"), Random(3)
    horizon = Horizon.at(minute_of(datetime(2026, 11, 21, 8, 40, tzinfo=UTC)))
    for _ in range(500):
        asked = horizon.hours + rng.randrange(-9000, 150_000)
        low, high = snap(asked, asked + rng.randrange(1, 30_000), calendar, horizon)
        for segment in cover(low, high, Grain.DAY, calendar):
            if segment.grain == Grain.MINUTE:
                assert segment.low >= horizon.minutes
            if segment.grain == Grain.HOUR:
                assert segment.low >= horizon.hours


@pytest.mark.parametrize(
    ("days", "step"), [(0.1, Step.MINUTE), (1, Step.QUARTER), (7, Step.HOUR), (28, Step.DAY), (3000, Step.MONTH)]
)
def test_steps_make_some_dozen_to_two_hundred_points(days, step):
    assert pick_step(0, int(days * 1440)) == step
