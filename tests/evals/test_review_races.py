"""What happens to an item when people act at once, late, twice, or are gone: never two at it, never a verdict lost."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test import Client

from evals.models import Review, ReviewItem
from evals.read.review import get_item, get_queue, left_for
from evals.reviewing.assigning import able_reviewers, assign
from evals.reviewing.config import Enough, Held
from evals.reviewing.dropping import drop
from evals.reviewing.filling import add_by_hand
from evals.reviewing.handing import BLIND, SHOWN, hold_item, hold_next, keys_of, lease_key
from evals.reviewing.people import named_reviewer, reviewer_of
from evals.reviewing.queues import WantedQueue, change_queue
from evals.reviewing.verdicts import Given, save_verdict, undo
from telltale.lib import clock
from telltale.projects.access import get_project_for
from telltale.projects.models import ProjectMember
from tests.evals.review_rows import make_queue, make_rubric, member, send_traces

pytestmark = pytest.mark.django_db
FINE = Given("good", {"correctness": 5})
BAD = Given("failure", {"correctness": 1})


@pytest.fixture
def people(project, alice):
    """alice and three reviewers, as reviewers of the shop."""
    make_rubric(project)
    users = [alice, *(member(project, name) for name in ("rita", "sam", "tess"))]
    return [reviewer_of(get_project_for(user, "shop"), user) for user in users]


def filled(project, n=1, **more):
    queue = make_queue(project, **more)
    for trace_id in send_traces(project, n):
        assert add_by_hand(project, queue, trace_id, 0, "Alice")
    return queue


def key(name, blind=True):
    return lease_key(name, "browser", is_blind=blind)


def keys(name):
    return keys_of(name, "browser")


def at_once(*works):
    """What each of these gives or raises, all begun at the same moment in threads of their own."""
    gate, found = threading.Barrier(len(works)), [None] * len(works)

    def run(at):
        try:
            gate.wait(20)
            found[at] = works[at]()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
            found[at] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


@pytest.mark.django_db(transaction=True)
def test_of_verdicts_at_once_an_item_takes_as_many_as_it_wants(project, people):
    queue = filled(project, reviewers_per_item=2)
    item_id = ReviewItem.objects.get().pk

    found = at_once(*(
        lambda at=at: save_verdict(queue, item_id, people[at % 4], keys(f"t{at}"), FINE) for at in range(8)
    ))  # fmt: skip

    assert sum(isinstance(each, Enough) for each in found) == 6, found
    assert Review.objects.count() == len(set(Review.objects.values_list("reviewer_id", flat=True))) == 2
    item = ReviewItem.objects.get()
    assert (item.state, item.reviews_count, item.leased_until) == ("done", 2, None)


@pytest.mark.django_db(transaction=True)
def test_takers_at_once_by_list_and_by_address_share_nothing(project, people):
    queue = filled(project, 3)
    first = ReviewItem.objects.order_by("-priority", "pk").first().pk

    found = at_once(
        *(lambda at=at: hold_next(queue, people[at], key(f"t{at}")) for at in range(3)),
        *(lambda at=at: hold_item(queue, people[3], key(f"u{at}"), first) for at in range(3)),
    )

    got = [each.id for each in found if each is not None and not isinstance(each, Exception)]
    assert len(got) == len(set(got)), found
    assert all(each is None or isinstance(each, Held) or hasattr(each, "id") for each in found), found


@pytest.mark.django_db(transaction=True)
def test_one_tab_that_asks_for_two_items_at_once_holds_one(project, people):
    queue = filled(project, 3)
    ids = list(ReviewItem.objects.values_list("pk", flat=True))

    for _ in range(5):
        found = at_once(*(lambda at=at: hold_item(queue, people[0], key("t"), at) for at in ids[:2]))
        assert not any(isinstance(each, Exception) for each in found), found

        assert ReviewItem.objects.exclude(leased_until=None).count() == 1


@pytest.mark.django_db(transaction=True)
def test_undo_twice_at_once_takes_back_one_verdict(project, people):
    queue = filled(project, 2)
    for item in list(ReviewItem.objects.order_by("pk")):
        save_verdict(queue, item.pk, people[0], keys("t"), FINE)
    last = Review.objects.order_by("pk").last().pk

    found = at_once(*(lambda: undo(queue, people[0], key("t"), last) for _ in range(4)))

    assert sum(isinstance(each, int) for each in found) == 1, found
    assert Review.objects.filter(undone_at=None).count() == 1


def test_somebody_who_takes_over_in_the_middle_keeps_the_item(project, people):
    queue = filled(project)
    item = hold_next(queue, people[0], key("a"))

    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=False):
        assert hold_next(queue, people[1], key("b")).id == item.id
        with pytest.raises(Held, match="Rita"):
            save_verdict(queue, item.id, people[0], keys("a"), BAD)
        save_verdict(queue, item.id, people[1], keys("b"), FINE)
        with pytest.raises(Enough):
            save_verdict(queue, item.id, people[0], keys("a"), BAD)

    assert Review.objects.get().verdict == "good"


def test_undo_leaves_the_item_on_the_screen_of_the_next_reviewer(project, people):
    queue = filled(project, reviewers_per_item=2)
    item = hold_next(queue, people[0], key("a"))
    save_verdict(queue, item.id, people[0], keys("a"), FINE)
    assert hold_next(queue, people[1], key("b")).id == item.id

    assert undo(queue, people[0], key("a")) == item.id

    assert get_item(project.pk, item.id).leased_by_id == people[1].user_id
    assert hold_next(queue, people[2], key("c")) is None
    save_verdict(queue, item.id, people[1], keys("b"), FINE)


def test_undo_in_an_item_that_was_taken_out_leaves_it_out(project, people, alice):
    queue = filled(project, reviewers_per_item=2)
    item = hold_next(queue, people[0], key("a"))
    save_verdict(queue, item.id, people[0], keys("a"), FINE)
    drop(project, queue, get_item(project.pk, item.id), is_dropped=True)

    undo(queue, people[0], key("a"))

    back = get_item(project.pk, item.id)
    assert (back.state, back.reviews_count, back.leased_by_id) == ("dropped", 0, None)


def test_a_disputed_item_that_was_taken_out_comes_back_disputed(project, people):
    queue = filled(project, reviewers_per_item=2)
    item_id = ReviewItem.objects.get().pk
    save_verdict(queue, item_id, people[0], keys("a"), FINE)
    save_verdict(queue, item_id, people[1], keys("b"), BAD)

    drop(project, queue, get_item(project.pk, item_id), is_dropped=True)
    assert hold_next(queue, people[2], key("c")) is None
    drop(project, queue, get_item(project.pk, item_id), is_dropped=False)

    assert get_item(project.pk, item_id).state == "disputed"
    assert hold_next(queue, people[2], key("c")).id == item_id


def test_a_tab_that_changes_how_it_looks_holds_one_item(project, people):
    queue = filled(project, 2, is_blind=False)
    hold_next(queue, people[0], key("a", blind=False))

    held = hold_next(queue, people[0], key("a", blind=True))

    assert list(ReviewItem.objects.exclude(leased_until=None).values_list("pk", flat=True)) == [held.id]
    assert held.lease_key[0] == BLIND
    other = ReviewItem.objects.exclude(pk=held.id).get().pk
    assert hold_item(queue, people[0], key("a", blind=False), other).lease_key[0] == SHOWN
    assert ReviewItem.objects.exclude(leased_until=None).count() == 1


@pytest.mark.parametrize("how", ["removed", "viewer", "inactive"])
def test_what_was_kept_for_somebody_who_is_gone_waits_for_everybody(project, people, alice, how):
    queue = filled(project)
    item = get_item(project.pk, ReviewItem.objects.get().pk)
    rita = people[1]
    assign(project, queue, item, str(rita.user_id))
    assert left_for(queue.id, people[0].user_id, able_reviewers(project.pk), may_settle=True).free == 0
    assert hold_next(queue, people[0], key("a")) is None
    with pytest.raises(Held, match="Rita"):
        hold_item(queue, people[0], key("a"), item.id)

    membership = ProjectMember.objects.get(project=project, user_id=rita.user_id)
    if how == "removed":
        membership.delete()
    elif how == "viewer":
        ProjectMember.objects.filter(pk=membership.pk).update(role="viewer")
    else:
        membership.user.is_active = False
        membership.user.save()

    assert left_for(queue.id, people[0].user_id, able_reviewers(project.pk), may_settle=True).free == 1
    assert hold_next(queue, people[0], key("a")).id == item.id
    save_verdict(queue, item.id, people[0], keys("a"), FINE)


def test_a_reviewer_who_is_removed_while_answering_saves_nothing(project, people, sign_in):
    queue = filled(project)
    rita = member(project, "vera")
    client = sign_in(rita)
    client.post(f"/p/shop/review/{queue.slug}/hold/", {"tab": "t"})
    item = ReviewItem.objects.get()
    assert item.leased_by == rita

    ProjectMember.objects.get(user=rita).delete()
    told = {"item": item.pk, "tab": "t", "verdict": "good"}

    assert client.post(f"/p/shop/review/{queue.slug}/verdict/", told).status_code == 404
    assert Review.objects.count() == 0
    with time_machine.travel(clock.now() + timedelta(minutes=11), tick=False):
        assert hold_next(queue, people[0], key("a")).id == item.pk


def test_a_script_does_not_review_again_for_somebody_who_left(project, people):
    queue = filled(project, reviewers_per_item=2)
    item_id = ReviewItem.objects.get().pk
    save_verdict(queue, item_id, people[1], keys("b"), FINE)
    ProjectMember.objects.get(project=project, user_id=people[1].user_id).delete()

    again = named_reviewer(project, "Rita@example.com", None)

    assert again.user_id is None
    with pytest.raises(Enough):
        save_verdict(queue, item_id, again, keys("z"), BAD)


def test_items_that_have_all_they_want_by_a_change_are_done(project, people):
    queue = filled(project, 2, reviewers_per_item=2)
    first, second = ReviewItem.objects.order_by("pk")
    save_verdict(queue, first.pk, people[0], keys("a"), FINE)
    held = hold_next(queue, people[1], key("b"))

    wanted = WantedQueue(name=queue.name, kind="manual", rubric="answer-quality", reviewers_per_item=1, double_share=0)
    change_queue(project, queue, wanted)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.wanted, second.state, second.wanted) == ("done", 1, "open", 1)
    if held.id == second.pk:
        assert second.leased_by_id == people[1].user_id
    assert get_queue(project.pk, queue.slug).reviewers_per_item == 1


@pytest.mark.parametrize("act", ["hold", "verdict", "skip", "renew"])
def test_an_item_of_another_queue_or_project_is_not_this_ones(project, people, sign_in, alice, charlie, act):
    queue, other = filled(project), make_queue(project, "Other")
    item_id = ReviewItem.objects.get().pk
    told = {"item": item_id, "tab": "t", "verdict": "good"}

    assert sign_in(alice).post(f"/p/shop/review/{other.slug}/{act}/", told).status_code == 404
    for path in (f"/p/shop/review/{queue.slug}/{act}/", f"/p/far/review/{queue.slug}/{act}/"):
        assert sign_in(charlie).post(path, told).status_code == 404

    assert Review.objects.count() == 0
    assert ReviewItem.objects.get().leased_until is None


def test_a_key_of_another_project_reaches_no_item_queue_or_review(project, people, charlie):
    from telltale.projects import keys as api_keys
    from telltale.projects.models import Project

    queue = filled(project)
    item_id = ReviewItem.objects.get().pk
    taken = save_verdict(queue, item_id, people[0], keys("a"), FINE)
    far = Client(headers={
        "Authorization": f"Bearer {api_keys.make_key(Project.objects.get(slug='far'), 'far', ('read', 'write')).secret}"
    })  # fmt: skip
    said = {"reviewer": "eve", "verdict": "good"}

    assert far.get(f"/api/v1/review/queues/{queue.slug}").status_code == 404
    assert far.get(f"/api/v1/review/items/{item_id}").status_code == 404
    assert far.get(f"/api/v1/reviews/{taken.review.id}").status_code == 404
    assert far.delete(f"/api/v1/reviews/{taken.review.id}").status_code == 404
    for act in ("verdict", "skip", "renew", "release"):
        body = said if act == "verdict" else {"reviewer": "eve"}
        answer = far.post(f"/api/v1/review/items/{item_id}/{act}", body, content_type="application/json")
        assert answer.status_code == 404, act
    claim = far.post(f"/api/v1/review/queues/{queue.slug}/claim", {"reviewer": "eve"}, content_type="application/json")
    assert claim.status_code == 404
    assert Review.objects.filter(undone_at=None).count() == 1
