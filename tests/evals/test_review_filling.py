"""What comes into a queue: flagged answers, errors, random samples, calibration tasks; and with what chance."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
import time_machine
from django.db import connection, transaction
from django.test import Client

from evals.drawing import draw_changes
from evals.models import ReviewItem, ReviewQueue
from evals.reviewing import filling
from evals.reviewing.config import RefusedReview
from evals.reviewing.drawing import allocation, spreads_of
from evals.reviewing.queues import change_queue, close_queue
from telltale.lib import clock
from telltale.projects.models import Project
from tests.evals.review_rows import SPEC, judged, make_judge, make_queue, make_rubric, send_traces
from tests.evals.review_rows import WantedQueue as Wanted

pytestmark = pytest.mark.django_db


@pytest.fixture
def judge(project):
    """A live judge's version."""
    return make_judge(project, make_rubric(project))


def flag(project, version, n, *, flagged=True):
    return [judged(project, version, uuid4(), {"correctness": 1}, flagged=flagged) for _ in range(n)]


def test_flagged_answers_come_into_queues_that_want_them(project, judge):
    queue = make_queue(project, kind="rules", judge="quality", config={"rules": ["flagged"]})
    flag(project, judge, 3)
    flag(project, judge, 2, flagged=False)

    assert filling.has_flagged()
    assert filling.fill() == 3
    assert not filling.has_flagged()
    assert filling.fill() == 0
    items = ReviewItem.objects.filter(queue_id=queue.id)
    assert {(item.stratum, item.reason, item.pi_judge, item.pi_review) for item in items} == {
        ("flagged", "flagged by Quality", None, None)
    }


def test_more_flagged_than_are_taken_at_once_all_come(project, judge, monkeypatch):
    monkeypatch.setattr(filling, "FLAGGED_AT_ONCE", 4)
    make_queue(project, kind="rules", config={"rules": ["flagged"]})
    flag(project, judge, 13)

    assert filling.fill() == 13


def test_what_was_flagged_before_the_queue_comes_too(project, judge):
    flag(project, judge, 2)

    make_queue(project, kind="rules", judge="quality", config={"rules": ["flagged"]})

    assert ReviewItem.objects.count() == 2


def test_a_fill_that_fails_leaves_everything_told(project, judge, monkeypatch):
    make_queue(project, kind="rules", config={"rules": ["flagged"]})
    flag(project, judge, 2)

    def fail(*_, **__):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(filling.write, "add_items", fail)
        with pytest.raises(RuntimeError), transaction.atomic():
            filling.fill()

    assert filling.fill() == 2


def test_nothing_is_told_where_no_queue_wants_it(project, judge):
    queue = make_queue(project, kind="rules", judge="quality", config={"rules": ["flagged"]})
    other = make_judge(project, make_rubric(project, "Other"), slug="other")
    flag(project, other, 2)
    close_queue(project, queue, is_closed=True)
    flag(project, judge, 2)

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_flagged")
        assert cursor.fetchone()[0] == 0


def trace(error=False, feature="returns"):
    return SimpleNamespace(
        trace_id=uuid4(), started_at=clock.now(), feature=feature, models=("gpt",), prompt_version=None, is_failed=error
    )


def test_a_random_queue_draws_its_share_with_that_chance(project):
    make_rubric(project)
    make_queue(project, kind="random", config={"share": 0.25})

    made = filling.consider(project.pk, [trace() for _ in range(400)])

    # 5 standard deviations of a binomial of 400 and .25: 43.3.
    assert abs(made - 100) < 43.3
    assert set(ReviewItem.objects.values_list("pi_review", flat=True)) == {0.25}
    assert filling.wants_traces(project.pk)


def test_the_same_trace_is_drawn_the_same_again(project):
    make_rubric(project)
    make_queue(project, kind="random", config={"share": 0.5})
    traces = [trace() for _ in range(40)]

    first = filling.consider(project.pk, traces)

    assert filling.consider(project.pk, traces) == 0
    assert ReviewItem.objects.count() == first


def test_errors_come_by_rule_without_a_chance(project):
    make_rubric(project)
    make_queue(project, kind="rules", config={"rules": ["errors"], "feature": "returns"})

    made = filling.consider(project.pk, [trace(error=True), trace(), trace(error=True, feature="other")])

    assert made == 1
    assert ReviewItem.objects.get().pi_review is None


def test_a_calibration_task_draws_over_the_levels(project, judge):
    for level, n in ((1, 20), (3, 60), (5, 120)):
        for _ in range(n):
            judged(project, judge, uuid4(), {"correctness": level}, pi=0.1)
    judged(project, judge, uuid4(), {"correctness": 1}, pi=None)

    queue = make_queue(
        project, kind="calibration", judge="quality", config={"wanted": 50, "criterion": "correctness"}, is_blind=False
    )

    items = list(ReviewItem.objects.all())
    assert Counter(item.stratum for item in items) == {"correctness 1": 5, "correctness 3": 15, "correctness 5": 30}
    assert {item.stratum: round(item.pi_review, 6) for item in items} == {
        "correctness 1": 0.25, "correctness 3": 0.25, "correctness 5": 0.25,
    }  # fmt: skip
    assert {item.pi_judge for item in items} == {0.1}
    assert queue.is_blind
    assert queue.config["told"]["sizes"] == {"correctness 1": 20, "correctness 3": 60, "correctness 5": 120}


def test_strata_where_people_differ_more_get_more_reviews():
    sizes = {"low": 100, "high": 100}
    pairs = [("low", at % 2) for at in range(20)] + [("high", 0.5 + 0.1 * (at % 2)) for at in range(20)]

    counts = allocation(sizes, spreads_of(pairs), 55)

    assert counts == {"low": 50, "high": 5}


def test_a_calibration_task_without_judged_traces_is_refused(project, judge):
    with pytest.raises(RefusedReview, match="scored no correctness"):
        make_queue(project, kind="calibration", judge="quality")
    assert ReviewQueue.objects.count() == 0


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"name": " "}, "name"),
        ({"kind": "magic"}, "kind"),
        ({"rubric": "none-such"}, "rubric"),
        ({"rubric": ""}, "rubric"),
        ({"judge": "none-such"}, "judge"),
        ({"kind": "calibration"}, "judge"),
        ({"reviewers_per_item": 0}, "reviewers_per_item"),
        ({"double_share": 1.5}, "double_share"),
        ({"kind": "rules"}, "config.rules"),
        ({"kind": "rules", "config": {"rules": ["moon"]}}, "config.rules"),
        ({"kind": "random", "config": {"share": 0}}, "config.share"),
        ({"config": {"wanted": 10**9}}, "config.wanted"),
        ({"config": {"feedback": "x" * 101}}, "config.feedback"),
        ({"config": {"feedback_at_most": 1e300}}, "config.feedback_at_most"),
        ({"config": {"feedback_at_most": "low"}}, "config.feedback_at_most"),
        ({"config": {"colour": 1}}, "config.colour"),
    ],
)
def test_a_queue_that_cannot_be_names_its_field(project, told, field):
    make_rubric(project, spec=SPEC)

    with pytest.raises(RefusedReview) as refused:
        make_queue(project, **({"name": "Queue"} | told))

    assert refused.value.field == field


def test_open_items_want_what_the_queue_wants_now(project, judge):
    queue = make_queue(project, kind="rules", judge="quality", config={"rules": ["flagged"]})
    flag(project, judge, 5)
    filling.fill()

    wanted = Wanted(
        name="Flagged", kind="rules", judge="quality", rubric="answer-quality", config={"rules": ["flagged"]},
        reviewers_per_item=3, double_share=0.0,
    )  # fmt: skip
    change_queue(Project.objects.get(pk=project.pk), queue, wanted)

    assert set(ReviewItem.objects.values_list("wanted", flat=True)) == {3}


def test_traces_that_were_quiet_come_into_random_queues(project):
    make_rubric(project)
    make_queue(project, kind="random", config={"share": 1.0})
    send_traces(project, 3)
    draw_changes()

    with time_machine.travel(clock.now() + timedelta(minutes=5), tick=False):
        draw_changes()

    assert ReviewItem.objects.count() == 3


def thumb(key, trace_id, value=0, name="user_feedback", **more):
    """A score of the end user, sent by the project's own program."""
    sender = Client(headers={"Authorization": f"Bearer {key.secret}"})
    told = {"name": name, "value": value, "trace_id": getattr(trace_id, "hex", trace_id)} | more
    answer = sender.post("/api/v1/scores", told, "application/json")
    assert answer.status_code in (200, 201), answer.content


def thumbs_queue(project, **config):
    make_rubric(project)
    return make_queue(project, "Thumbs", kind="rules", config={"rules": ["thumbs_down"]} | config)


def test_thumbs_down_come_by_rule(project, key):
    queue = thumbs_queue(project)
    down, up, other, label, spoken = send_traces(project, 5)
    thumb(key, down, value=False, id="first")
    thumb(key, up, value=True)
    thumb(key, other, name="clicks")
    thumb(key, label, name="Thumb", value="Thumbs-down", data_type="label")
    thumb(key, spoken, value="fine", data_type="label")

    assert filling.fill() == 2
    assert filling.fill() == 0

    items = ReviewItem.objects.filter(queue_id=queue.id)
    assert {item.trace_id for item in items} == {down, label}
    assert {(item.stratum, item.reason, item.pi_judge, item.pi_review, item.feature) for item in items} == {
        ("thumbs-down", f"thumbs-down ({name})", None, None, "returns") for name in ("user_feedback", "Thumb")
    }
    thumb(key, down, value=False, id="first")
    assert filling.fill() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_feedback")
        assert cursor.fetchone()[0] == 0


def test_stars_are_down_from_where_the_queue_says(project, key):
    thumbs_queue(project, feedback="stars", feedback_at_most=2, feature="returns")
    two, three = send_traces(project, 2)
    (elsewhere,) = send_traces(project, 1, first=9, feature="other")

    for trace_id, stars in ((two, 2), (three, 3), (elsewhere, 1)):
        thumb(key, trace_id, value=stars, name="stars")

    assert filling.fill() == 1
    assert ReviewItem.objects.get().trace_id == two


def test_a_thumb_waits_a_day_for_its_trace(project, key):
    thumbs_queue(project)
    thumb(key, "0" * 31 + "1")
    thumb(key, "0" * 31 + "7")
    assert filling.fill() == 0

    (trace_id,) = send_traces(project, 1)
    assert filling.fill() == 1
    assert ReviewItem.objects.get().trace_id == trace_id

    with time_machine.travel(clock.now() + timedelta(hours=25), tick=False):
        assert filling.fill() == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_feedback")
        assert cursor.fetchone()[0] == 0


def test_thumbs_from_before_the_queue_come_too_and_more_than_are_taken_at_once(project, key, monkeypatch):
    traces = send_traces(project, 7)
    for trace_id in traces[:2]:
        thumb(key, trace_id)
    monkeypatch.setattr(filling, "FLAGGED_AT_ONCE", 2)

    thumbs_queue(project)
    assert ReviewItem.objects.count() == 2
    for trace_id in traces[2:]:
        thumb(key, trace_id)

    assert filling.fill() == 5


def test_no_score_is_told_that_no_queue_waits_for(project, key):
    close_queue(project, thumbs_queue(project), is_closed=True)
    make_queue(project, "Flags", kind="rules", config={"rules": ["flagged"]})

    thumb(key, send_traces(project, 1)[0])

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_feedback")
        assert cursor.fetchone()[0] == 0
