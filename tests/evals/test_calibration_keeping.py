"""Calibrations keep themselves true: made anew after new labels, stale at once when what they stand on changes."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import calibrating
from evals.models import Calibration, Connection, Judge, JudgeVersion, RubricVersion, Settings
from evals.read import calibration as read
from evals.read.labels import label_states
from tests.evals.calibration_rows import (
    add_judge_score,
    add_judgement,
    add_label,
    add_pairs,
    make_version,
    trace_of,
)

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)


@pytest.fixture
def version(project):
    return make_version(project)


@pytest.fixture
def traveller():
    with time_machine.travel(NOON, tick=False) as found:
        yield found


def pairs_of(n):
    return [(1 + i % 5, 1 + i % 5) for i in range(n)]


def tend_at(traveller, at):
    traveller.move_to(at)
    return calibrating.tend()


def test_labels_are_calibrated_once_they_are_quiet(traveller, project, version):
    add_pairs(project, version, pairs_of(30), at=NOON)

    assert tend_at(traveller, NOON + timedelta(seconds=5)) == 0
    assert tend_at(traveller, NOON + timedelta(seconds=20)) == 1
    assert tend_at(traveller, NOON + timedelta(minutes=5)) == 0

    add_label(project, version.rubric_version, trace_of(50), 3, at=NOON + timedelta(minutes=6))
    add_judge_score(project, version, trace_of(50), 3)
    assert tend_at(traveller, NOON + timedelta(minutes=6, seconds=30)) == 1
    assert [row.pairs for row in Calibration.objects.order_by("id")] == [30, 31]


def test_scores_that_come_after_the_labels_are_noticed(traveller, project, version):
    for n in range(30):
        add_label(project, version.rubric_version, trace_of(n), 1 + n % 5, at=NOON)
    assert tend_at(traveller, NOON + timedelta(minutes=1)) == 0
    for n in range(30):
        add_judge_score(project, version, trace_of(n), 1 + n % 5)

    assert tend_at(traveller, NOON + timedelta(minutes=2)) == 1


def test_a_changed_label_counts_as_it_is_now(traveller, project, version):
    add_pairs(project, version, pairs_of(30), at=NOON)
    tend_at(traveller, NOON + timedelta(minutes=1))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE evals_score SET number = 1, updated_at = %s WHERE source = 2 AND trace_id = %s",
            [NOON + timedelta(minutes=2), trace_of(4)],
        )

    assert tend_at(traveller, NOON + timedelta(minutes=3)) == 1
    assert read.newest(project.pk)[0].result["counts"][0][4] == 1


def test_looking_costs_one_query_while_nothing_changes(traveller, project, version):
    add_pairs(project, version, pairs_of(30), at=NOON)
    tend_at(traveller, NOON + timedelta(minutes=1))
    traveller.move_to(NOON + timedelta(minutes=1, seconds=10))

    with CaptureQueriesContext(connection) as found:
        calibrating.tend()

    assert len(found) <= 1
    assert not label_states(project.pk)[0].is_changed


def badge(project, version):
    return read.badge(project.pk, version.pk, "correctness")


def test_the_badge_says_where_a_judge_stands(traveller, project, version):
    assert badge(project, version).state == "none"

    add_pairs(project, version, pairs_of(8), at=NOON)
    tend_at(traveller, NOON + timedelta(minutes=1))
    few = badge(project, version)
    assert (few.state, few.labels) == ("not_proven", 8)
    assert "not proven on 8 labels: about" in few.words

    add_pairs(project, version, pairs_of(300), start=100, at=NOON)
    tend_at(traveller, NOON + timedelta(minutes=3))
    assert badge(project, version).words == "proven against people on 308 labels"

    add_pairs(project, version, [(1, 5)] * 300, start=1000, at=NOON)
    tend_at(traveller, NOON + timedelta(minutes=5))
    failed = badge(project, version)
    assert failed.state == "failed"
    assert failed.words.startswith("failed the gate on 608 labels: agrees too little with people")


def proven(traveller, project, version, **more):
    for n, (person, judge) in enumerate(pairs_of(200)):
        row = add_judgement(project, version, trace_of(n), **more) if more else None
        add_judge_score(project, version, trace_of(n), judge, judgement=row)
        add_label(project, version.rubric_version, trace_of(n), person, at=NOON)
    tend_at(traveller, NOON + timedelta(minutes=1))


def test_another_live_version_makes_the_old_one_stale_at_once(traveller, project, version):
    proven(traveller, project, version)
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    assert badge(project, version).state == "proven"

    Judge.objects.update(live_version=newer, live_since=NOON + timedelta(minutes=2))

    assert badge(project, version).words == "stale: v2 of the judge is live"
    assert badge(project, newer).state == "none"


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({"rubric": "other"}, " with another rubric"),
        ({"model": "other-model"}, " with another model"),
        ({"config": {"parts": ["answer"]}}, " with another prompt"),
        ({"rubric": "other", "model": "m"}, " with another rubric, another model"),
    ],
)
def test_a_change_of_rubric_model_or_prompt_makes_it_stale_and_is_named(traveller, project, version, differs, words):
    proven(traveller, project, version)
    wanted = dict(differs)
    if wanted.pop("rubric", ""):
        old = version.rubric_version
        wanted["rubric_version"] = RubricVersion.objects.create(
            rubric=old.rubric, number=2, spec=old.spec | {"instructions": "Be strict."}, spec_hash="y"
        )
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    JudgeVersion.objects.filter(pk=newer.pk).update(**wanted)
    assert badge(project, version).state == "proven"

    Judge.objects.update(live_version=newer, live_since=NOON + timedelta(minutes=2))

    assert badge(project, version).words == f"stale: v2 of the judge is live{words}"
    traveller.move_to(NOON + timedelta(minutes=3))
    assert calibrating.tend_stale() == 1
    assert Calibration.objects.get().stale_reason == f"v2 of the judge is live{words}"


def test_a_draft_is_not_stale_for_the_version_that_is_live(traveller, project, version):
    draft = make_version(project, version.rubric_version, number=2, is_live=False)
    proven(traveller, project, draft)

    Judge.objects.update(live_version=version, live_since=NOON + timedelta(minutes=2))

    assert badge(project, draft).state == "proven"


def test_a_change_of_the_connection_makes_it_stale_at_once(traveller, project, version):
    where = Connection.objects.create(project=project, name="m", kind="openai", base_url="http://127.0.0.1:9/v1")
    JudgeVersion.objects.update(connection=where)
    proven(traveller, project, version)
    assert badge(project, version).state != "stale"

    Connection.objects.update(base_url="http://127.0.0.1:10/v1")

    assert badge(project, version).words == "stale: the judge's connection was changed"


def test_it_is_stale_90_days_after_half_of_its_labels(traveller, project, version):
    proven(traveller, project, version)

    traveller.move_to(NOON + timedelta(days=90, seconds=-1))
    assert badge(project, version).state == "proven"
    traveller.move_to(NOON + timedelta(days=90))
    assert badge(project, version).words == "stale: it is older than 90 days"


def cover(project, version, feature, model, traces):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_decision_hour VALUES (%s, 1, %s, %s, %s, %s, '', '', %s, 0, 0)",
            [project.pk, version.judge_id, NOON, feature, model, traces],
        )


def test_a_model_of_the_feature_that_no_label_covers_makes_it_stale(traveller, project, version):
    proven(traveller, project, version, feature="returns", model="large-1")
    cover(project, version, "returns", "large-1", 1_000)
    assert calibrating.tend_stale() == 0

    cover(project, version, "returns", "large-2", 50)
    assert calibrating.tend_stale() == 0
    cover(project, version, "returns", "large-3", 200)

    assert calibrating.tend_stale() == 2  # all traffic, and the feature alone; the part of one model stays
    assert badge(project, version).words == "stale: returns now runs on large-3, which no label covers"
    assert calibrating.tend_stale() == 0


def test_new_labels_make_a_stale_calibration_new(traveller, project, version):
    proven(traveller, project, version, feature="returns", model="large-1")
    cover(project, version, "returns", "large-3", 200)
    calibrating.tend_stale()
    for n in range(500, 520):
        row = add_judgement(project, version, trace_of(n), feature="returns", model="large-3")
        add_judge_score(project, version, trace_of(n), 3, judgement=row)
        add_label(project, version.rubric_version, trace_of(n), 3, at=NOON + timedelta(minutes=5))

    tend_at(traveller, NOON + timedelta(minutes=6))

    assert calibrating.tend_stale() == 0
    assert badge(project, version).state == "proven"


def test_badges_of_many_versions_take_one_query(traveller, project, version):
    others = [make_version(project, version.rubric_version, number=n, is_live=False) for n in range(2, 8)]
    proven(traveller, project, version)

    with CaptureQueriesContext(connection) as found:
        told = read.badges(project.pk, [version.pk, *(each.pk for each in others)])

    assert len(found) <= 1
    assert told[version.pk, "correctness"].state == "proven"


def test_a_changed_gate_of_the_project_is_put_to_every_judge(traveller, project, version):
    proven(traveller, project, version)
    assert calibrating.tend_gates() == 0

    Settings.objects.update_or_create(project=project, defaults={"gate": {"deploy_at": 1.0, "stay_at": 1.0}})

    assert calibrating.tend_gates() == 1
    assert calibrating.tend_gates() == 0
    assert badge(project, version).state == "not_proven"
    assert [row.verdict for row in Calibration.objects.order_by("id")] == ["proven", "not_proven"]


def test_a_version_that_goes_live_has_to_show_what_it_takes_to_stay(traveller, project, version):
    draft = make_version(project, version.rubric_version, number=2, is_live=False)
    proven(traveller, project, draft)

    Judge.objects.update(live_version=draft, live_since=NOON + timedelta(minutes=2))

    assert calibrating.tend_gates() == 1
    stages = [row.result["gate"]["stage"] for row in Calibration.objects.order_by("id")]
    wanted = [row.result["gate"]["checks"][0]["wanted"] for row in Calibration.objects.order_by("id")]
    assert (stages, wanted) == (["deploy", "stay"], [0.85, 0.8])


def test_judges_from_elsewhere_are_not_put_to_the_gate_over_and_over(traveller, project):
    outside = make_version(project, slug="theirs", kind="external")
    proven(traveller, project, outside)

    assert calibrating.tend_gates() == 0
