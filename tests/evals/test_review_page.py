"""The review page through its door: what it shows, what it hides, and what every state says."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from alerts.models import Incident
from evals.models import Dataset, DatasetItem, Review, ReviewItem
from evals.reviewing.filling import add_by_hand
from evals.reviewing.handing import keys_of
from evals.reviewing.people import reviewer_of
from evals.reviewing.verdicts import Given, save_verdict
from telltale.projects.access import get_project_for
from tests.evals.review_rows import judged, make_judge, make_queue, make_rubric, member, send_traces

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/review/"
SECRET_REASON = "The 60-day window is in no source."


@pytest.fixture
def version(project):
    return make_judge(project, make_rubric(project))


def filled(project, version, n=3, **more):
    """A queue of `n` answers that a judge scored 2 of 5."""
    told = {"judge": "quality", "is_blind": True} | more
    queue = make_queue(project, **told)
    for trace_id in send_traces(project, n, session="s"):
        judged(project, version, trace_id, {"correctness": 2, "tone": 5}, reason=SECRET_REASON,
               evidence=["within 60 days"], flagged=True)  # fmt: skip
        add_by_hand(project, queue, trace_id, 0, "Alice")
    return queue


def hold(client, queue, **more):
    """Hold the next answer; the page with it, its tab and its item."""
    answer = client.post(f"{PAGE}{queue.slug}/hold/", more, follow=True)
    html = answer.content.decode()
    tab = re.search(r'name="tab" value="(\w+)"', html)
    item = re.search(r'name="item" value="(\d+)"', html)
    return html, tab[1] if tab else "", int(item[1]) if item else None


def test_looking_holds_nothing(project, version, sign_in, alice):
    filled(project, version)

    html = sign_in(alice).get(PAGE).content.decode()

    assert "3 answers wait for you" in html
    assert ReviewItem.objects.exclude(leased_until=None).count() == 0


def test_the_item_with_conversation_documents_and_form(project, version, sign_in, alice):
    queue = filled(project, version)

    html, _, item_id = hold(sign_in(alice), queue)

    item = ReviewItem.objects.get(pk=item_id)
    assert item.leased_by == alice
    n = item.trace_id.int
    assert f"Can I return item {n}?" in html
    assert "Unopened items can be returned." in html
    assert "holiday.md" in html
    for word in ("Correctness", "Tone", "Safe", "Real failure", "Fine", "Unsure", "0 of 3 answers reviewed"):
        assert word in html


def test_a_blind_page_holds_nothing_of_the_judge(project, version, sign_in, alice):
    queue = filled(project, version)

    html, _, item_id = hold(sign_in(alice), queue)

    item = ReviewItem.objects.get(pk=item_id)
    assert SECRET_REASON not in html
    assert "2 / 5" not in html
    assert "picked by" not in html
    assert "<mark" not in html
    assert f"/traces/{item.trace_id.hex}/" not in html
    assert "hidden until you have answered" in html


def test_after_the_verdict_the_judge_shows(project, version, sign_in, alice):
    queue, client = filled(project, version), sign_in(alice)
    _, tab, item_id = hold(client, queue)

    told = {"item": item_id, "tab": tab, "verdict": "failure", "score.correctness": "1", "score.safe": "yes"}
    answer = client.post(f"{PAGE}{queue.slug}/verdict/", told, follow=True)

    html = answer.content.decode()
    assert "Real failure" in html
    assert "Judge: Quality v1, 2 / 5" in html
    assert ReviewItem.objects.get(leased_by=alice).pk != item_id
    seen = client.get(f"{PAGE}?queue={queue.slug}&tab={tab}&item={item_id}").content.decode()
    assert SECRET_REASON in seen
    assert f'href="/p/shop/incidents/new/?review={item_id}"' in html
    assert f'href="/p/shop/incidents/new/?review={item_id}"' in seen
    assert "<mark>within 60 days</mark>" in seen
    review = Review.objects.get()
    assert (review.verdict, review.was_blind, review.reviewer) == ("failure", True, alice)
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, number, source, author FROM evals_score WHERE review_id = %s ORDER BY name",
                       [review.pk])  # fmt: skip
        assert cursor.fetchall() == [("correctness", 1.0, 2, alice.email), ("safe", 1.0, 2, alice.email)]


def test_a_flagged_answer_opens_an_incident_and_leads_to_it_from_then_on(project, version, sign_in, alice):
    queue, client = filled(project, version, n=2), sign_in(alice)
    html, tab, item_id = hold(client, queue)
    assert "incidents/new/" not in html  # not before the verdict: it would say what the judge thought
    client.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "verdict": "failure"})
    assert Incident.objects.count() == 0  # a person says so, nothing else

    told = {"review": item_id, "title": "Answers about returns", "severity": "2"}
    made = client.post("/p/shop/incidents/new/", told)

    assert made.url == "/p/shop/incidents/1/"
    seen = client.get(f"{PAGE}?queue={queue.slug}&tab={tab}&item={item_id}").content.decode()
    assert 'It belongs to <a href="/p/shop/incidents/1/">INC-1</a>' in seen
    assert Incident.objects.get().origin == "review"


def test_in_triage_the_judge_shows_with_its_evidence(project, version, sign_in, alice):
    queue = filled(project, version, is_blind=False, kind="rules", config={"rules": ["flagged"]})

    html, _, item_id = hold(sign_in(alice), queue)

    assert SECRET_REASON in html
    assert "<mark>within 60 days</mark>" in html
    assert "False alarm" in html
    assert f"/traces/{ReviewItem.objects.get(pk=item_id).trace_id.hex}/" in html


def test_whoever_saw_the_judge_does_not_become_blind(project, version, sign_in, alice):
    queue, client = filled(project, version, n=1, is_blind=False), sign_in(alice)
    _, tab, item_id = hold(client, queue, mode="triage")

    html, _, _ = hold(client, queue, mode="blind", tab=tab, item=item_id)
    assert SECRET_REASON in html
    client.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "mode": "blind", "verdict": "good"})

    assert Review.objects.get().was_blind is False


def test_blind_by_choice_in_a_queue_that_is_not(project, version, sign_in, alice):
    queue, client = filled(project, version, n=1, is_blind=False), sign_in(alice)
    html, tab, item_id = hold(client, queue, mode="blind")
    assert SECRET_REASON not in html

    client.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "mode": "blind", "verdict": "good"})

    assert Review.objects.get().was_blind is True


def test_a_wrong_verdict_comes_back_with_what_was_typed(project, version, sign_in, alice):
    queue, client = filled(project, version), sign_in(alice)
    _, tab, item_id = hold(client, queue)

    told = {"item": item_id, "tab": tab, "note": "The dates are wrong.", "score.tone": "4"}
    answer = client.post(f"{PAGE}{queue.slug}/verdict/", told)

    html = answer.content.decode()
    assert answer.status_code == 400
    assert "The verdict is not saved" in html
    assert "The dates are wrong." in html
    assert re.search(r'name="score.tone" value="4"[^>]* checked', html)
    assert Review.objects.count() == 0


def test_a_calibration_task_wants_every_score(project, version, sign_in, alice):
    trace_id = send_traces(project, 1)[0]
    judged(project, version, trace_id, {"correctness": 2})
    queue, client = make_queue(project, kind="calibration", judge="quality"), sign_in(alice)
    _, tab, item_id = hold(client, queue)

    told = {"item": item_id, "tab": tab, "verdict": "good", "score.correctness": "4"}
    answer = client.post(f"{PAGE}{queue.slug}/verdict/", told)

    assert answer.status_code == 400
    assert "Scores are missing for Tone, Safe" in answer.content.decode()


def test_skip_and_undo_by_the_page(project, version, sign_in, alice):
    queue, client = filled(project, version), sign_in(alice)
    _, tab, first = hold(client, queue)

    client.post(f"{PAGE}{queue.slug}/skip/", {"item": first, "tab": tab})
    second = ReviewItem.objects.get(leased_by=alice).pk
    assert second != first
    client.post(f"{PAGE}{queue.slug}/undo/", {"tab": tab})

    assert ReviewItem.objects.get(leased_by=alice).pk == first


def test_stopping_lets_the_answer_go(project, version, sign_in, alice):
    queue, client = filled(project, version), sign_in(alice)
    _, tab, item_id = hold(client, queue)

    client.post(f"{PAGE}{queue.slug}/leave/", {"tab": tab, "item": item_id})

    assert ReviewItem.objects.exclude(leased_until=None).count() == 0


def test_renewing_says_whether_the_hold_is_kept(project, version, sign_in, alice):
    queue, client = filled(project, version), sign_in(alice)
    _, tab, item_id = hold(client, queue)

    assert client.post(f"{PAGE}{queue.slug}/renew/", {"tab": tab, "item": item_id}).status_code == 204
    ReviewItem.objects.update(leased_by=None, leased_until=None, lease_key="")
    assert client.post(f"{PAGE}{queue.slug}/renew/", {"tab": tab, "item": item_id}).status_code == 409


def test_a_third_person_sees_what_the_two_said(project, version, sign_in, alice):
    queue = filled(project, version, n=1, reviewers_per_item=2)
    for person, verdict in ((alice, "good"), (member(project, "rita"), "failure")):
        client = sign_in(person)
        _, tab, item_id = hold(client, queue)
        client.post(f"{PAGE}{queue.slug}/verdict/",
                    {"item": item_id, "tab": tab, "verdict": verdict, "note": f"I say {verdict}"})  # fmt: skip

    html, _, _ = hold(sign_in(member(project, "sam")), queue)

    assert "Settle it" in html
    assert "I say good" in html
    assert "I say failure" in html
    assert SECRET_REASON not in html


def test_a_second_reviewer_is_told_nothing_of_the_first(project, version, sign_in, alice):
    queue, client = filled(project, version, n=1, reviewers_per_item=2), sign_in(alice)
    _, tab, item_id = hold(client, queue)
    client.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "verdict": "good", "note": "Fine by me"})

    html, _, _ = hold(sign_in(member(project, "rita")), queue)

    assert "Fine by me" not in html


def test_every_state_says_what_it_is(project, version, sign_in, alice):
    client = sign_in(alice)
    assert "No review queue yet" in client.get(PAGE).content.decode()
    empty = make_queue(project, "Empty")
    assert "Nothing has come in yet" in client.get(f"{PAGE}?queue={empty.slug}").content.decode()

    queue = filled(project, version, n=1)
    other = sign_in(member(project, "rita"))
    _, tab, item_id = hold(other, queue)
    assert "All taken by others" in client.get(f"{PAGE}?queue={queue.slug}").content.decode()
    viewer = sign_in(member(project, "vera", "viewer"))
    assert "your role may look" in viewer.get(f"{PAGE}?queue={queue.slug}").content.decode()
    other.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "verdict": "unsure"})
    assert "Nothing is left for you" in other.get(f"{PAGE}?queue={queue.slug}").content.decode()
    _, tab, item_id = hold(client, queue)
    client.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "verdict": "good"})
    assert "All reviewed" in client.get(f"{PAGE}?queue={queue.slug}").content.decode()
    client.post(f"{PAGE}{queue.slug}/close/", {"open": "0"})
    assert "This queue is closed" in client.get(f"{PAGE}?queue={queue.slug}").content.decode()


def test_queries_do_not_grow_with_the_queue(project, version, sign_in, alice):
    small, client = filled(project, version, n=2), sign_in(alice)
    large = make_queue(project, "Large", judge="quality")
    for trace_id in send_traces(project, 30, first=100):
        judged(project, version, trace_id, {"correctness": 2})
        add_by_hand(project, large, trace_id, 0, "Alice")
    counted = []
    for queue in (small, large):
        _, tab, _ = hold(client, queue)
        with CaptureQueriesContext(
            connection,
        ) as found:
            client.get(f"{PAGE}?queue={queue.slug}&tab={tab}")
        counted.append(len(found))

    assert counted[0] == counted[1]
    assert counted[0] <= 50


def test_hostile_texts_are_shown_as_text(project, version, sign_in, alice):
    hostile = "<script>alert(1)</script>"
    queue, client = make_queue(project, hostile), sign_in(alice)
    add_by_hand(project, queue, send_traces(project, 1, feature=hostile)[0], 0, hostile, note=hostile)

    html, tab, item_id = hold(client, queue)
    client.post(f"{PAGE}{queue.slug}/verdict/", {"item": item_id, "tab": tab, "verdict": "good", "note": hostile})
    after = client.get(f"{PAGE}?queue={queue.slug}&item={item_id}").content.decode()
    about = client.get(f"{PAGE}{queue.slug}/").content.decode()

    for text in (html, after, about):
        assert hostile not in text
        assert "&lt;script&gt;" in text


@pytest.mark.parametrize(
    "query", ["?queue=no-such", "?item=987", "?item=abc", "?item=99999999999999999999", "?queue=%00", "?tab=%00&item=0"]
)
def test_bad_addresses_are_not_there(project, version, sign_in, alice, query):
    filled(project, version, n=1)

    answer = sign_in(alice).get(PAGE + query)

    assert answer.status_code == 404


def test_a_stranger_gets_nothing(project, version, sign_in, charlie):
    queue = filled(project, version, n=1)
    client = sign_in(charlie)

    assert client.get(PAGE).status_code == 404
    assert client.post(f"{PAGE}{queue.slug}/hold/").status_code == 404


def test_a_reviewed_answer_goes_into_a_dataset(project, version, sign_in, alice):
    Dataset.objects.create(project=project, slug="returns", name="Returns")
    queue, client = filled(project, version, n=1), sign_in(alice)
    html, tab, item_id = hold(client, queue)
    assert "Keep in a dataset" in html

    client.post(f"{PAGE}{queue.slug}/verdict/",
                {"item": item_id, "tab": tab, "verdict": "failure", "dataset": "returns"})  # fmt: skip

    item = DatasetItem.objects.get()
    assert (item.origin, item.origin_trace_id) == ("review", ReviewItem.objects.get().trace_id)
    assert item.metadata["verdict"] == "failure"
    assert item.expected is None


def test_without_a_dataset_there_is_no_such_choice(project, version, sign_in, alice):
    html, _, _ = hold(sign_in(alice), filled(project, version, n=1))

    assert "Keep in a dataset" not in html


def test_the_pages_of_queues(project, version, sign_in, alice):
    client = sign_in(alice)
    filled(project, version)
    form = {
        "name": "At random", "kind": "random", "judge": "", "rubric": "answer-quality", "share": "2.5", "feature": "",
        "wanted": "", "days": "", "criterion": "", "reviewers_per_item": "2", "double_share": "0", "due": "2030-01-31",
        "categories": "Wrong\nRude\n", "is_blind": "on",
    }  # fmt: skip

    made = client.post(f"{PAGE}new/", form)
    assert made.status_code == 302
    about = client.get(made["Location"]).content.decode()
    assert "2.5%" in about
    assert "Nothing has come in yet" in about
    changed = client.post(f"{PAGE}at-random/edit/", form | {"name": "Random", "reviewers_per_item": "3"})
    assert changed.status_code == 302
    assert "3 an answer" in client.get(f"{PAGE}queues/").content.decode()
    rules = {"name": "Stars", "kind": "rules", "rule_thumbs_down": "on", "feedback": "stars", "feedback_at_most": "2"}
    assert client.post(f"{PAGE}new/", form | rules).status_code == 302
    assert "stars of 2 or less" in client.get(f"{PAGE}stars/").content.decode()
    assert 'name="feedback" value="stars"' in client.get(f"{PAGE}stars/edit/").content.decode().replace("  ", " ")
    assert client.post(f"{PAGE}new/", form | rules | {"feedback_at_most": "few"}).status_code == 400
    wrong = client.post(f"{PAGE}new/", form | {"share": "250"})
    assert wrong.status_code == 400
    assert "is no share (0 to 100%)" in wrong.content.decode()


def test_an_item_is_assigned_and_taken_out_by_the_page(project, version, sign_in, alice):
    queue, client, rita = filled(project, version, n=2), sign_in(alice), member(project, "rita")
    first, second = ReviewItem.objects.order_by("pk")

    client.post(f"{PAGE}{queue.slug}/items/{first.pk}/", {"person": str(rita.pk)})
    client.post(f"{PAGE}{queue.slug}/items/{second.pk}/", {"drop": "1"})

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.assigned_to, second.state) == (rita, "dropped")
    client.post(f"{PAGE}{queue.slug}/items/{second.pk}/", {"drop": "0"})
    second.refresh_from_db()
    assert second.state == "open"


def test_a_trace_is_sent_to_a_queue_from_its_page(project, version, sign_in, alice):
    queue = make_queue(project)
    trace_id = send_traces(project, 1)[0]
    back = reverse("trace_page", args=["shop", trace_id.hex])

    answer = sign_in(alice).post(f"{PAGE}add/", {"queue": queue.slug, "trace": trace_id.hex, "back": back})

    assert answer["Location"] == back
    assert ReviewItem.objects.get().trace_id == trace_id


def test_the_page_of_a_trace_names_its_queues(project, version, sign_in, alice):
    queue, client = make_queue(project), sign_in(alice)
    trace_id = send_traces(project, 1)[0]
    page = reverse("trace_page", args=["shop", trace_id.hex])
    assert "Send to review" in client.get(page).content.decode()

    add_by_hand(project, queue, trace_id, 0, "Alice")

    html = client.get(page).content.decode()
    assert "open, 0 of 1 reviews" in html
    assert "Send to review" not in html
    make_queue(project, "Another")
    viewer = sign_in(member(project, "vera", "viewer"))
    assert "Send to review" not in viewer.get(page).content.decode()


def test_queries_of_lists_do_not_grow(project, version, sign_in, alice, key):
    queue, client = filled(project, version, n=4), sign_in(alice)
    script = Client(headers={"Authorization": f"Bearer {key.secret}"})
    person = reviewer_of(get_project_for(alice, "shop"), alice)
    paths = ("/p/shop/review/queues/", "/api/v1/review/queues", "/api/v1/reviews", "/api/v1/labels/export?format=csv",
             f"/p/shop/review/{queue.slug}/", f"/api/v1/review/queues/{queue.slug}/items")  # fmt: skip

    def counted():
        for item in ReviewItem.objects.filter(state="open"):
            save_verdict(queue, item.pk, person, keys_of("t", "here"), Given("good", {"tone": 4}, seconds=9.0))
        script.get(paths[1])  # a key that is not in memory costs a query, once
        found = []
        for path in paths:
            with CaptureQueriesContext(connection) as queries:
                answer = (script if path.startswith("/api") else client).get(path)
                assert answer.status_code == 200
                b"".join(answer)
            found.append(len(queries))
        return found

    before = counted()
    for at, trace_id in enumerate(send_traces(project, 20, first=100)):
        add_by_hand(project, queue, trace_id, 0, "Alice")
        make_queue(project, f"More {at}")

    assert counted() == before
    assert max(before) <= 20
