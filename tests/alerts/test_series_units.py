"""Series of sessions, of ingest and of hosts: what their own pages say, window by window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from alerts.detectors.points import Share
from alerts.monitors.types import Window
from alerts.read.series import SeriesFault
from tests.alerts.series_kit import define, read, read_all, windows
from tests.evals.behaviour_rows import SMALL, make_sessions
from tests.traces.conftest import shop  # noqa: F401
from tests.traces.outcome_rows import put_session, settle
from tests.traces.test_accounting_fold import make_batch
from tests.traces.test_hosts import NOW as HOST_HOUR
from tests.traces.test_hosts import send  # noqa: F401
from traces import accounting
from traces.behaviour.rates import rates_of
from traces.behaviour.types import Fact, Stratum
from traces.models import Outcome
from traces.outcomes.ratio import Ratio
from traces.read.behaviour import cells, definition_of
from traces.read.outcomes import figure, get_outcome, period_of, read_sums

START = datetime(2026, 11, 16, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
RATES = {"abandoned": "abandonment", "retried": "retry", "corrected": "correction", "escalated": "escalation",
         "completed": "completion"}  # fmt: skip
KEYS = (*RATES, "thumbs_down", "vote_coverage", "sessions")


def test_rates_of_sessions_are_those_of_the_page_of_behaviour(shop):  # noqa: F811
    project = shop.project
    many = {**SMALL, Stratum.RETRIED: (3, 4, 80), Stratum.CORRECTED: (1, 2, 40), Stratum.ESCALATED: (0, 3, 9)}
    make_sessions(project, many, start=START, hours=40, feature="search")
    make_sessions(project, SMALL, start=START, hours=40, feature="", seed=2)
    make_sessions(project, {Stratum.COMPLETED: (5, 0, 30)}, start=START, hours=3, is_closed=False, seed=3)
    make_sessions(project, {Stratum.UNKNOWN: (7, 9, 50)}, start=START, hours=9, facts=Fact.LONE, seed=4)
    make_sessions(project, {Stratum.RETRIED: (0, 0, 20)}, start=START, hours=9, facts=Fact.WORDLESS, seed=5)
    cut = windows(project, 360, START, START + 2 * DAY)
    scopes = ({}, {"feature": "search"}, {"feature": None}, {"feature": ("search", None)})

    for scope in scopes:
        found = read_all(project, [define(key, scope=scope) for key in KEYS], cut)
        answers = dict(zip(KEYS, found, strict=True))
        for at, window in enumerate(cut):
            held = cells(project.pk, window.start, window.end)
            wanted = {value or "" for value in scope.get("feature", ())} if scope.get("feature") else None
            if scope == {"feature": "search"}:
                wanted = {"search"}
            elif scope == {"feature": None}:
                wanted = {""}
            held = [cell for cell in held if wanted is None or cell.feature in wanted]
            told = rates_of(held, definition_of(project.pk)[1], 0)
            for key, name in RATES.items():
                rate = next(each for each in told.rates if each.key == name)
                reading = answers[key][at]
                assert reading.n == rate.found.n
                assert reading.data == (Share(rate.found.k, rate.found.n) if rate.found.n else None)
            assert answers["sessions"][at].n == told.sessions + told.open
            over = [cell for cell in held if cell.is_closed]
            votes = sum(cell.n for cell in over if cell.vote)
            assert answers["vote_coverage"][at].n == sum(cell.n for cell in over)
            assert answers["thumbs_down"][at].n == votes
            assert not votes or answers["thumbs_down"][at].data.k == sum(cell.n for cell in over if cell.vote < 0)
    whole = read(project, "abandoned", cut)
    assert sum(each.n for each in whole) > 900


def test_an_hour_belongs_to_the_window_in_which_it_begins(shop):  # noqa: F811
    project = shop.project
    project.time_zone = "Asia/Kolkata"
    make_sessions(project, SMALL, start=START, hours=30)

    hours = read(project, "completed", windows(project, 60, START - HOUR, START + 2 * DAY))
    days = read(project, "completed", windows(project, 1440, START - DAY, START + 3 * DAY))

    assert hours[0].window.start.minute == 30
    assert sum(each.n for each in hours) == sum(each.n for each in days) == 1000


def test_outcomes_have_their_interval_and_say_what_is_lacking(shop):  # noqa: F811
    project = shop.project
    for slug, spec in (
        ("cost", {"measure": "cost", "of": [{"fact": "completed"}], "better": "lower"}),
        ("resolved", {"measure": "share", "of": [{"fact": "completed"}], "better": "higher"}),
    ):
        Outcome.objects.create(project=project, slug=slug, name=slug, spec=spec)
    for n in range(120):
        fact = Fact.COMPLETED if n % 3 else Fact(0)
        cost = None if n % 10 == 0 else str(0.01 + n % 7 / 100)
        put_session(project.pk, n + 1, at=START + timedelta(minutes=n), facts=fact, cost=cost, feature="ab"[n % 2])
    settle(project.pk)
    day, other = [Window(START, START + DAY)], [Window(START + DAY, START + 2 * DAY)]

    cost, share = (
        read(project, "cost_per_resolved", day, outcome="cost")[0],
        read(project, "outcome", day, outcome="resolved")[0],
    )

    for reading, slug in ((cost, "cost"), (share, "resolved")):
        outcome = get_outcome(project.pk, slug)
        told = figure(outcome, read_sums(project.pk, [outcome], period_of(day[0].start, day[0].end))[outcome.id])
        assert isinstance(told, Ratio)
        assert (reading.value, reading.low, reading.high, reading.n) == (told.value, told.low, told.high, told.n)
        assert reading.data.sd == pytest.approx((told.high - told.low) / 3.92, rel=0.001)
    assert cost.coverage == pytest.approx(0.9)
    assert read(project, "outcome", other, outcome="resolved")[0].lacking == "0 of 30 sessions"
    assert read(project, "outcome", day, outcome="resolved", scope={"feature": "a"})[0].n == 60
    with pytest.raises(SeriesFault, match="measures no cost"):
        read(project, "cost_per_resolved", day, outcome="resolved")

    single = read(project, "cost_per_session", day)[0]
    assert (single.n, single.coverage) == (108, pytest.approx(0.9))
    assert single.value == pytest.approx(sum(0.01 + n % 7 / 100 for n in range(120) if n % 10) / 108)
    assert len(single.data.values) == 108
    half = read(project, "cost_per_session", day, scope={"feature": ("a", "b")})[0]
    assert sorted(half.data.values) == sorted(single.data.values)


def test_ingest_is_read_whether_folded_or_not(shop):  # noqa: F811
    project = shop.project
    hour = datetime(2026, 11, 16, 9, tzinfo=UTC)
    for minute in range(3):
        made = {"project_id": project.pk, "at": hour + timedelta(minutes=minute), "lag_ms": 10 * (minute + 1)}
        make_batch(**made, stored=8, rejected={"bad_id": [2, "x"]})
        make_batch(**made, source="logs", stored=50)
    cut = windows(project, 60, hour, hour + 2 * HOUR)

    before = read_all(project, [define("ingest_lag"), define("rejected")], cut)
    accounting.fold_batches()

    lag, rejected = read_all(project, [define("ingest_lag"), define("rejected")], cut)
    assert [lag, rejected] == before
    assert (lag[0].value, lag[0].n) == (pytest.approx(20.0), 3)
    assert rejected[0].data == Share(6, 30)
    assert (lag[1].data, rejected[1].data) == (None, None)


def test_ingest_under_an_hour_is_of_single_requests(shop):  # noqa: F811
    now = datetime.now(UTC).replace(second=30, microsecond=0)
    start = now.replace(second=0) - timedelta(minutes=5)
    with connection.cursor() as cursor:
        for minute in range(5):
            make_batch(project_id=shop.project.pk, at=start + timedelta(minutes=minute, seconds=59), stored=9,
                       rejected={"bad_id": [minute, "x"]}, lag_ms=1000 * (minute + 1))  # fmt: skip
        # As the store makes ids: by when the request was read.
        cursor.execute(
            "UPDATE traces_ingest_batch SET batch_id = (extract(epoch FROM committed_at) * 1000)::bigint << 20"
            " WHERE project_id = %s", [shop.project.pk],
        )  # fmt: skip

    lag, rejected = read_all(
        shop.project, [define("ingest_lag"), define("rejected")], windows(shop.project, 1, start, now)
    )

    assert [each.value for each in lag] == [pytest.approx(1000.0 * (minute + 1)) for minute in range(5)]
    assert [each.data for each in rejected] == [Share(minute, 9 + minute) for minute in range(5)]
    old = read(shop.project, "rejected", [Window(START - 90 * DAY, START - 90 * DAY + timedelta(minutes=1))])[0]
    assert old.lacking.startswith("requests are kept for")


def test_hosts_are_one_number_or_the_highest(send, shop):  # noqa: F811
    for host, busy in (("web-1", 0.2), ("web-2", 0.8)):
        send(*(("system.cpu.utilization", {"state": "user"}, minute, busy) for minute in range(60)), host=host)
    quarter = windows(shop.project, 15, HOST_HOUR, HOST_HOUR + HOUR)

    mean, highest, one = read_all(
        shop.project,
        [define("host_cpu"), define("host_cpu", across="highest"), define("host_cpu", host="web-1")],
        quarter,
    )

    for readings, value, n in ((mean, 0.5, 2), (highest, 0.8, 2), (one, 0.2, 1)):
        assert [(each.value, each.n) for each in readings] == [(pytest.approx(value), n)] * 4
    hour = read(shop.project, "host_cpu", windows(shop.project, 60, HOST_HOUR, HOST_HOUR + HOUR))
    assert hour[0].value == pytest.approx(0.5)
    assert read(shop.project, "host_gpu", quarter)[0].data is None


def test_numbers_that_no_sum_can_hold_are_no_reading_of_a_host(send, shop):  # noqa: F811
    for host, waiting in (("llm-1", 4.0), ("llm-2", 1e308), ("llm-3", -1e308)):
        send(*(("vllm:num_requests_waiting", {}, minute, waiting) for minute in range(60)), host=host)

    told = read(shop.project, "host_waiting", windows(shop.project, 15, HOST_HOUR, HOST_HOUR + HOUR))

    assert [(each.value, each.n) for each in told] == [(4.0, 1)] * 4
