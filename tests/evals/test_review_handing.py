"""Who gets which item: one on one screen, never the same person twice, as many reviewers as wanted."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.db import connection

from evals.models import Review, ReviewItem
from evals.read.review import count_items, get_item, get_queue
from evals.reviewing.config import Enough, Held, RefusedReview
from evals.reviewing.filling import add_by_hand
from evals.reviewing.handing import hold_item, hold_next, keys_of, lease_key, renew
from evals.reviewing.people import reviewer_of
from evals.reviewing.queues import close_queue
from evals.reviewing.verdicts import Given, save_verdict, skip_item, undo
from telltale.lib import clock
from telltale.projects.access import get_project_for
from tests.evals.review_rows import make_queue, make_rubric, member, send_traces

pytestmark = pytest.mark.django_db
FINE = Given("good", {"correctness": 5, "tone": 4, "safe": True})
BAD = Given("failure", {"correctness": 1, "tone": 4, "safe": True})


@pytest.fixture
def people(project, alice):
    """alice and three reviewers, as reviewers of the shop."""
    make_rubric(project)
    users = [alice, *(member(project, name) for name in ("rita", "sam", "tess"))]
    return [reviewer_of(get_project_for(user, "shop"), user) for user in users]


def filled(project, n=3, **more):
    queue = make_queue(project, **more)
    for trace_id in send_traces(project, n):
        assert add_by_hand(project, queue, trace_id, 0, "Alice")
    return queue


def key(name, blind=True):
    return lease_key(name, "browser", is_blind=blind)


def test_two_people_hold_different_items(project, people):
    queue = filled(project, 2)

    first = hold_next(queue, people[0], key("a"))
    second = hold_next(queue, people[1], key("b"))

    assert {first.id, second.id} == set(ReviewItem.objects.values_list("pk", flat=True))
    assert hold_next(queue, people[2], key("c")) is None


def test_two_browsers_of_one_person_hold_different_items(project, people):
    queue = filled(project, 2)

    first = hold_next(queue, people[0], lease_key("tab", "here", is_blind=True))
    second = hold_next(queue, people[0], lease_key("tab", "there", is_blind=True))

    assert first.id != second.id


def test_a_held_item_cannot_be_taken_by_its_address(project, people):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))

    with pytest.raises(Held, match="Alice"):
        hold_item(queue, people[1], key("b"), item.id)
    with pytest.raises(Held):
        save_verdict(queue, item.id, people[1], keys_of("b", "browser"), FINE)


def test_a_hold_runs_out_and_is_renewed(project, people):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))
    start = clock.now()

    with time_machine.travel(start + timedelta(minutes=9), tick=False):
        assert renew(queue, people[0], keys_of("a", "browser"), item.id)
    with time_machine.travel(start + timedelta(minutes=18), tick=False):
        assert hold_next(queue, people[1], key("b")) is None
    with time_machine.travel(start + timedelta(minutes=20), tick=False):
        assert hold_next(queue, people[1], key("b")).id == item.id
        assert not renew(queue, people[0], keys_of("a", "browser"), item.id)


def test_a_late_verdict_is_taken_where_nobody_else_has_the_item(project, people):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))

    with time_machine.travel(clock.now() + timedelta(hours=1), tick=False):
        save_verdict(queue, item.id, people[0], keys_of("a", "browser"), FINE)

    assert ReviewItem.objects.get().state == "done"


def test_nobody_reviews_an_item_twice(project, people):
    queue = filled(project, 1, reviewers_per_item=2)
    item = hold_next(queue, people[0], key("a"))
    save_verdict(queue, item.id, people[0], keys_of("a", "browser"), FINE)

    with pytest.raises(Enough):
        save_verdict(queue, item.id, people[0], keys_of("z", "browser"), BAD)

    assert hold_next(queue, people[0], key("a")) is None
    assert hold_next(queue, people[1], key("b")).id == item.id


def test_an_item_is_done_after_as_many_reviews_as_it_wants(project, people):
    queue = filled(project, 1, reviewers_per_item=2)
    item_id = ReviewItem.objects.get().pk
    for reviewer in people[:2]:
        save_verdict(queue, item_id, reviewer, keys_of("a", "browser"), FINE)

    with pytest.raises(Enough):
        save_verdict(queue, item_id, people[2], keys_of("c", "browser"), FINE)

    item = get_item(project.pk, item_id)
    assert (item.state, item.reviews_count, item.wanted) == ("done", 2, 2)


def test_a_share_of_the_items_gets_one_reviewer_more(project):
    make_rubric(project)
    queue = filled(project, 200, double_share=0.2)

    wanted = Counter(ReviewItem.objects.filter(queue_id=queue.id).values_list("wanted", flat=True))

    # 5 standard deviations of a binomial of 200 and .2: 28.3.
    assert abs(wanted[2] - 40) < 28.3
    assert wanted[1] + wanted[2] == 200


def test_a_skipped_item_goes_to_others_and_comes_back_last(project, people):
    queue = filled(project, 2)
    first = hold_next(queue, people[0], key("a"))

    skip_item(queue, first.id, people[0], keys_of("a", "browser"))
    second = hold_next(queue, people[0], key("a"))
    assert second.id != first.id
    assert hold_next(queue, people[1], key("b")).id == first.id

    save_verdict(queue, second.id, people[0], keys_of("a", "browser"), FINE)
    skip_item(queue, first.id, people[1], keys_of("b", "browser"))
    assert hold_next(queue, people[0], key("a")).id == first.id
    save_verdict(queue, first.id, people[0], keys_of("a", "browser"), FINE)
    assert count_items([queue.id])[queue.id].done == 2


def test_an_assigned_item_is_for_that_person_alone(project, people):
    queue = filled(project, 2)
    mine = ReviewItem.objects.order_by("pk").last()
    ReviewItem.objects.filter(pk=mine.pk).update(assigned_to_id=people[2].user_id)

    other = hold_next(queue, people[0], key("a"))
    assert other.id != mine.pk
    assert hold_next(queue, people[1], key("b")) is None
    assert hold_next(queue, people[2], key("c")).id == mine.pk


def test_undo_takes_the_last_verdict_back_with_its_scores(project, people):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))
    save_verdict(queue, item.id, people[0], keys_of("a", "browser"), BAD)

    assert undo(queue, people[0], key("a")) == item.id

    back = get_item(project.pk, item.id)
    assert (back.state, back.reviews_count, back.leased_by_id) == ("open", 0, people[0].user_id)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_score")
        assert cursor.fetchone()[0] == 0
    # The judge's scores were shown after the verdict: what is said now was not blind any more.
    save_verdict(queue, item.id, people[0], keys_of("a", "browser"), FINE)
    assert list(Review.objects.order_by("pk").values_list("verdict", "was_blind")) == [
        ("failure", True),
        ("good", False),
    ]


def test_undo_after_a_day_is_refused(project, people):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))
    save_verdict(queue, item.id, people[0], keys_of("a", "browser"), BAD)

    with time_machine.travel(clock.now() + timedelta(hours=25), tick=False), pytest.raises(Enough):
        undo(queue, people[0], key("a"))


def test_people_who_disagree_make_a_dispute_that_a_third_settles(project, people):
    queue = filled(project, 1, reviewers_per_item=2)
    item_id = ReviewItem.objects.get().pk
    save_verdict(queue, item_id, people[0], keys_of("a", "browser"), FINE)
    taken = save_verdict(queue, item_id, people[1], keys_of("b", "browser"), BAD)
    assert (taken.outcome.state, taken.outcome.disagreements) == ("disputed", ("verdict", "correctness"))

    for reviewer in people[:2]:
        assert hold_next(queue, reviewer, key("x")) is None
        with pytest.raises(Enough):
            save_verdict(queue, item_id, reviewer, keys_of("x", "browser"), FINE)
    assert hold_next(queue, people[2], key("c")).id == item_id
    settled = save_verdict(queue, item_id, people[2], keys_of("c", "browser"), BAD)

    assert settled.review.is_adjudication
    assert get_item(project.pk, item_id).state == "settled"
    # What was settled by another is not undone by those who disagreed.
    with pytest.raises(Enough):
        undo(queue, people[0], key("a"))
    assert undo(queue, people[2], key("c")) == item_id
    assert get_item(project.pk, item_id).state == "disputed"


def test_somebody_unsure_asks_for_one_person_more(project, people):
    queue = filled(project, 1)
    item_id = ReviewItem.objects.get().pk

    save_verdict(queue, item_id, people[0], keys_of("a", "browser"), Given("unsure"))
    assert get_item(project.pk, item_id).state == "open"
    save_verdict(queue, item_id, people[1], keys_of("b", "browser"), BAD)

    assert get_item(project.pk, item_id).state == "done"


def test_an_item_whose_trace_is_gone_is_dropped(project, people):
    queue = filled(project, 2)
    gone = ReviewItem.objects.order_by("-priority", "pk").first()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace WHERE trace_id = %s", [gone.trace_id])

    held = hold_next(queue, people[0], key("a"))

    assert held.id != gone.pk
    assert get_item(project.pk, gone.pk).state == "dropped"


def test_a_closed_queue_hands_out_and_takes_nothing(project, people):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))
    close_queue(project, queue, is_closed=True)
    closed = get_queue(project.pk, queue.slug)

    assert hold_next(closed, people[1], key("b")) is None
    with pytest.raises(Enough):
        save_verdict(closed, item.id, people[0], keys_of("a", "browser"), FINE)
    with pytest.raises(Enough):
        add_by_hand(project, closed, item.trace_id, 0, "Alice")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Given(""), "verdict"),
        (Given("superb"), "verdict"),
        (Given("good", {"correctness": 6}), "scores.correctness"),
        (Given("good", {"correctness": "NaN"}), "scores.correctness"),
        (Given("good", {"safe": "perhaps"}), "scores.safe"),
        (Given("good", {"beauty": 3}), "scores.beauty"),
        (Given("good", note="x" * 4001), "note"),
        (Given("good", note="\x00"), "note"),
    ],
)
def test_what_cannot_be_said_names_its_field(project, people, given, field):
    queue = filled(project, 1)
    item = hold_next(queue, people[0], key("a"))

    with pytest.raises(RefusedReview) as refused:
        save_verdict(queue, item.id, people[0], keys_of("a", "browser"), given)

    assert refused.value.field == field
    assert Review.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_threads_never_get_the_same_item(project, people):
    queue = filled(project, 40)
    got, faults = [], []

    def work(at):
        try:
            reviewer = people[at % 4]
            while True:
                item = hold_next(queue, reviewer, key(f"tab {at}"))
                if item is None:
                    return
                got.append(item.id)
                save_verdict(queue, item.id, reviewer, keys_of(f"tab {at}", "browser"), FINE)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
            faults.append(repr(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert faults == []
    assert sorted(got) == sorted(ReviewItem.objects.values_list("pk", flat=True))
    assert Review.objects.count() == 40
