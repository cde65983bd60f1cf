"""Series of scores: weighted as estimates are, in their order, one judge's alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from django.db import connection

from alerts.detectors.points import Share
from alerts.monitors.types import Window
from alerts.read.series import check_params, history_start, made_by, metric_for, param_choices, read_corrected
from alerts.series.catalogue import METRICS
from alerts.series.making import SCORES_MAX
from evals.models import Judge
from evals.read.estimates import FLAG, Where, read_estimates
from tests.alerts.series_kit import define, read, read_all, rows, windows
from tests.evals.estimate_rows import make_judge, make_traffic
from tests.traces.conftest import shop  # noqa: F401

START = datetime(2026, 11, 16, tzinfo=UTC)
OF = {"judge": "quality", "criterion": "correctness"}
HOUR = timedelta(hours=1)


@pytest.fixture
def judged(shop):  # noqa: F811
    version = make_judge(shop.project)
    made = make_traffic(shop.project, version, start=START, hours=30, an_hour=40, failed=0.1)
    return shop.project, version, made


def day(project):
    return windows(project, 60, START, START + 30 * HOUR)


def test_scores_come_in_their_order_with_their_weights(judged):
    project, _, made = judged

    found = read(project, "score", day(project), **OF)

    for each in found:
        inside = sorted((at, y, pi) for y, _, pi, _, at in made.judged if each.window.start <= at < each.window.end)
        y, w = np.array([one[1] for one in inside]), 1 / np.array([one[2] for one in inside])
        assert each.n == len(inside) > 1
        assert each.value == pytest.approx((w @ y) / w.sum())
        assert each.n_eff == pytest.approx(w.sum() ** 2 / (w**2).sum())
        assert each.data.values == tuple(y)
        assert each.data.weights == pytest.approx(tuple(w))
        assert each.low < each.value < each.high
    # Live reads a window alone, a back-test all of them: the same to the last bit.
    for key, params in (("score", OF), ("low_scores", OF), ("flagged", {"judge": "quality"})):
        together = read(project, key, day(project), **params)
        assert [read(project, key, [each.window], **params)[0] for each in together[::7]] == together[::7]


def test_a_window_is_the_estimate_of_that_window(judged):
    project, version, _ = judged
    whole = [Window(START, START + 30 * HOUR)]
    estimates = read_estimates(project.pk, "UTC", whole[0].start, whole[0].end, Where(judge_id=version.judge_id))
    # Estimates raise weights for judgements that failed; here every hour lost some alike.
    raw = {row.of.name: row for row in estimates.rows}

    score = read(project, "score", whole, **OF)[0]
    flagged = read(project, "flagged", whole, judge="quality")[0]
    polite = read(project, "low_scores", whole, judge="quality", criterion="polite")[0]

    assert score.value == pytest.approx(raw["correctness"].raw.value, abs=0.05)
    assert score.n == raw["correctness"].n
    assert flagged.value == pytest.approx(raw[FLAG].raw.value, abs=0.02)
    assert 1 - polite.value == pytest.approx(raw["polite"].raw.value, abs=0.02)
    assert polite.data.n == round(polite.n_eff) < polite.n
    assert polite.low < polite.value < polite.high


def test_the_corrected_mean_of_a_day_is_drawn_where_people_reviewed(shop):  # noqa: F811
    version = make_judge(shop.project)
    make_traffic(shop.project, version, start=START, hours=30, an_hour=40, reviewed=0.4)

    points = read_corrected(shop.project.pk, "UTC", define("score", **OF), START, START + 48 * HOUR)

    of = Where(judge_id=version.judge_id)
    rows_of_days = read_estimates(shop.project.pk, "UTC", START, START + 48 * HOUR, of, "day", name="correctness").rows
    told = {row.key: row.corrected.estimate.value for row in rows_of_days if hasattr(row.corrected, "estimate")}
    assert {point.day: point.value for point in points} == told
    assert len(points) >= 1
    assert all(point.low < point.value < point.high and point.reviews >= 30 for point in points)
    both = define("score", scope={"feature": ("search", "chat")}, **OF)
    assert read_corrected(shop.project.pk, "UTC", both, START, START + 48 * HOUR) == []


def test_what_counts_as_low_is_as_told_or_as_the_criterion_flags(judged):
    project, _, made = judged
    whole = [Window(START, START + 30 * HOUR)]
    weight = sum(1 / pi for _, _, pi, _, _ in made.judged)

    def low(limit):
        return sum(1 / pi for y, _, pi, _, _ in made.judged if y <= limit) / weight

    flags, told = read(project, "low_scores", whole, **OF)[0], read(project, "toxicity", whole, at_most=3, **OF)[0]

    assert flags.value == pytest.approx(low(2))
    assert told.value == pytest.approx(low(3))
    assert read(project, "format_compliance", whole, at_most=3, **OF)[0].value == pytest.approx(1 - low(3))
    relevance = read(project, "relevance", whole, **OF)[0]
    assert relevance.value == pytest.approx((read(project, "score", whole, **OF)[0].value - 1) / 4)
    assert set(relevance.data.values) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_scopes_of_one_judge_add_up(judged):
    project, _, made = judged
    cut = day(project)

    search, rest, both, models = read_all(
        project,
        [
            define("score", scope={"feature": "search"}, **OF),
            define("score", scope={"feature": ("chat", None)}, **OF),
            define("score", scope={"feature": ("chat", "search", None)}, **OF),
            define("score", scope={"model": ("m-small", "m-large"), "prompt_version": ("v1", "v2")}, **OF),
        ],
        cut,
    )

    whole = read(project, "score", cut, **OF)
    assert [each.n for each in both] == [each.n for each in whole] == [each.n for each in models]
    assert [a.n + b.n for a, b in zip(search, rest, strict=True)] == [each.n for each in whole]
    assert [each.data for each in both] == [each.data for each in whole]
    assert sum(each.n for each in search) == sum(feature == "search" for _, _, _, feature, _ in made.judged)


def test_busy_windows_keep_some_of_their_scores_evenly(judged):
    project, version, _ = judged
    make_traffic(project, version, start=START, hours=2, an_hour=1000, seed=9, plan_id=78)
    window = [Window(START, START + 2 * HOUR)]

    busy = read(project, "score", window, **OF)[0]

    assert busy.n > SCORES_MAX == len(busy.data.values)
    values = [y for (y,) in rows(
        "SELECT number FROM evals_score WHERE project_id = %s AND name = 'correctness' AND started_at < %s"
        " ORDER BY started_at, score_id", project.pk, window[0].end,
    )]  # fmt: skip
    # Evenly spread: every tenth holds as many of those that are kept.
    assert np.mean(busy.data.values) == pytest.approx(np.mean(values), abs=0.15)
    assert busy == read(project, "score", window, **OF)[0]


def test_other_judgements_are_no_scores_of_the_traffic(judged):
    project, version, _ = judged
    whole = [Window(START, START + 30 * HOUR)]
    before = {key: read(project, key, whole, **of)[0] for key, of in (("score", OF), ("flagged", {"judge": "quality"}))}
    with connection.cursor() as cursor:
        for repeat, purpose in ((1, 1), (0, 3), (0, 2)):
            # Of a repeat, a calibration, and a backfill of another version than the live one.
            other = make_judge(project, number=repeat * 10 + purpose, live=False)
            cursor.execute(
                "INSERT INTO evals_judgement SELECT (jsonb_populate_record(j, jsonb_build_object('judgement_id',"
                " j.judgement_id + %s, 'judge_version_id', %s::bigint, 'repeat', %s::int, 'purpose', %s::int))).*"
                " FROM evals_judgement AS j WHERE j.project_id = %s AND j.judge_version_id = %s LIMIT 100",
                [10**6 * (purpose + 3 * repeat), other.pk, repeat, purpose, project.pk, version.pk],
            )
            cursor.execute(
                "INSERT INTO evals_score SELECT (jsonb_populate_record(s, jsonb_build_object('score_id',"
                " s.score_id + %s, 'judgement_id', j.judgement_id, 'number', 1))).*"
                " FROM evals_score AS s JOIN evals_judgement AS j ON j.judgement_id = s.judgement_id + %s"
                " WHERE s.project_id = %s",
                [10**9 * (purpose + 3 * repeat), 10**6 * (purpose + 3 * repeat), project.pk],
            )

    assert {key: read(project, key, whole, **of)[0]
            for key, of in (("score", OF), ("flagged", {"judge": "quality"}))} == before  # fmt: skip


def test_the_live_version_counts_and_where_it_has_not_judged_the_one_that_was_live_then(judged):
    project, version, made = judged
    whole = [Window(START, START + 30 * HOUR)]
    second = make_judge(project, number=2)
    assert read(project, "score", whole, **OF)[0].n == len(made.judged)
    with connection.cursor() as cursor:
        # A backfill of the second version scores every target of an even id with 1.
        cursor.execute(
            "INSERT INTO evals_judgement SELECT (jsonb_populate_record(j, jsonb_build_object('judgement_id',"
            " j.judgement_id + 10000000, 'judge_version_id', %s::bigint, 'purpose', 2, 'is_flagged', true))).*"
            " FROM evals_judgement AS j WHERE j.judge_version_id = %s AND j.state = 'scored'"
            " AND get_byte(uuid_send(j.target_id), 15) %% 2 = 0",
            [second.pk, version.pk],
        )
        cursor.execute(
            "INSERT INTO evals_score SELECT (jsonb_populate_record(s, jsonb_build_object('score_id', s.score_id + %s,"
            " 'judgement_id', s.judgement_id + 10000000, 'number', 1, 'judge_version_id', %s::bigint))).*"
            " FROM evals_score AS s JOIN evals_judgement AS j ON j.judgement_id = s.judgement_id + 10000000"
            " WHERE j.judge_version_id = %s", [10**9, second.pk, second.pk],
        )  # fmt: skip

    score, flagged = read(project, "score", whole, **OF)[0], read(project, "flagged", whole, judge="quality")[0]

    filled = rows("SELECT count(*) FROM evals_judgement WHERE judge_version_id = %s", second.pk)[0][0]
    assert score.n == flagged.n == len(made.judged) > filled > 0
    expected = sum(1 / pi for y, _, pi, _, _ in made.judged) / len(made.judged)
    assert score.value < sum(y / pi for y, _, pi, _, _ in made.judged) / len(made.judged) / expected
    Judge.objects.update(live_version=version)
    assert read(project, "score", whole, **OF)[0].value > score.value
    assert history_start(project.pk, "UTC", METRICS["score"], define("score", **OF), START + 40 * HOUR) is not None
    Judge.objects.update(live_version=second)
    assert history_start(project.pk, "UTC", METRICS["score"], define("score", **OF), START + 40 * HOUR) is None


def test_a_backfill_counts_where_the_live_version_had_not_judged(judged):
    project, _version, made = judged
    whole = [Window(START, START + 30 * HOUR)]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE evals_judgement SET purpose = 2 WHERE project_id = %s", [project.pk])

    assert read(project, "score", whole, **OF)[0].n == len(made.judged)
    assert read(project, "flagged", whole, judge="quality")[0].n == len(made.judged)

    Judge.objects.update(live_version=make_judge(project, number=2))
    assert read(project, "score", whole, **OF)[0].n == 0


def test_coverage_and_unusable_answers_are_shares_of_what_there_was(judged):
    project, _version, made = judged
    cut = day(project)

    coverage, lost = read(project, "coverage", cut, judge="quality"), read(project, "unparsable", cut, judge="quality")
    search = read(project, "coverage", cut, judge="quality", scope={"feature": "search"})

    assert [each.n for each in coverage] == [40] * 30
    for each in coverage:
        judged_here = sum(each.window.start <= at < each.window.end for *_, at in made.judged)
        assert each.data == Share(judged_here, 40)
    assert sum(each.data.k for each in search) == sum(feature == "search" for _, _, _, feature, _ in made.judged)
    failed = rows("SELECT count(*) FROM evals_judgement WHERE project_id = %s AND state = 'failed'", project.pk)[0][0]
    assert sum(each.data.k for each in lost) == failed > 5
    assert sum(each.n for each in lost) == failed + len(made.judged)


def test_scores_of_programs_are_series_too(shop):  # noqa: F811
    with connection.cursor() as cursor:
        for at in range(6):
            cursor.execute(
                "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name,"
                " data_type, number, made_at, updated_at) VALUES (%s, %s, 3, 1, %s, %s, 'stars', 1, %s, now(), now())",
                [shop.project.pk, at + 1, UUID(int=at), START + timedelta(minutes=9 * at), at],
            )

    hour = read(shop.project, "posted_score", [Window(START, START + HOUR)], name="stars")[0]

    assert (hour.n, hour.value, hour.data.values, hour.data.weights) == (6, 2.5, (0, 1, 2, 3, 4, 5), None)
    assert read(shop.project, "posted_score", [Window(START, START + HOUR)], name="stars", text="cost.min=1")[0].n == 0


def test_a_series_knows_its_scale_its_maker_and_its_beginning(judged):
    project, _version, _ = judged
    definition = define("score", **OF)

    metric = metric_for(project.pk, definition)

    assert (metric.lowest, metric.highest) == (1, 5)
    polite = metric_for(project.pk, define("score", judge="quality", criterion="polite"))
    assert (polite.lowest, polite.highest) == (0, 1)
    assert metric_for(project.pk, define("nothing")) is None
    assert made_by(project.pk, metric, definition).startswith("judge quality v1 ")
    first = history_start(project.pk, "UTC", metric, definition, START + 40 * HOUR)
    assert first in {START, START + HOUR}
    make_judge(project, number=2)
    assert made_by(project.pk, metric, definition).startswith("judge quality v2 ")


@pytest.mark.parametrize(
    ("metric", "params", "field"),
    [
        ("score", {"judge": "gone", "criterion": "correctness"}, "params.judge"),
        ("score", {"judge": "quality", "criterion": "gone"}, "params.criterion"),
        ("low_scores", {"judge": "quality", "criterion": "correctness", "at_most": 5}, "params.at_most"),
        ("outcome", {"outcome": "gone"}, "params.outcome"),
    ],
)
def test_params_are_held_against_what_there_is(judged, metric, params, field):
    project, _, _ = judged

    faults = check_params(project.pk, METRICS[metric], params)

    assert [fault.field for fault in faults] == [field]
    assert faults[0].limit
    choices = param_choices(project.pk, METRICS["score"], "criterion", {"judge": "quality"}, START)
    assert choices == [("correctness", "Correctness"), ("polite", "Polite")]
