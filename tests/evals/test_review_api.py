"""Everything the review page does, without a browser."""

from __future__ import annotations

import pytest
from django.test import Client

from evals.models import DatasetItem, ReviewItem
from telltale.audit.models import AuditEntry
from tests.evals.review_rows import judged, make_judge, make_rubric, member, send_traces

pytestmark = pytest.mark.django_db
QUEUES = "/api/v1/review/queues"


@pytest.fixture
def version(project):
    return make_judge(project, make_rubric(project))


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


def post(client, path, **told):
    return client.post(path, told, content_type="application/json")


@pytest.fixture
def queue(project, version, api):
    """A blind queue with two answers that a judge scored."""
    made = post(api, QUEUES, name="Returns", rubric="answer-quality", judge="quality", double_share=0)
    assert made.status_code == 201, made.content
    for trace_id in send_traces(project, 2):
        judged(project, version, trace_id, {"correctness": 2}, reason="In no source.")
        assert post(api, f"{QUEUES}/returns/items", trace_id=trace_id.hex).status_code == 201
    return "returns"


def test_a_queue_is_made_read_and_changed(api, version):
    made = post(api, QUEUES, name="At random", kind="random", rubric="answer-quality", config={"share": 0.1}).json()
    assert (made["slug"], made["kind"], made["config"]["share"], made["is_blind"]) == ("at-random", "random", 0.1, True)
    assert [each["key"] for each in made["criteria"]] == ["correctness", "tone", "safe"]

    changed = api.patch(f"{QUEUES}/at-random", {"reviewers_per_item": 3}, content_type="application/json").json()
    assert (changed["reviewers_per_item"], changed["config"]["share"]) == (3, 0.1)
    closed = api.patch(f"{QUEUES}/at-random", {"is_closed": True}, content_type="application/json").json()
    assert closed["closed_at"] is not None
    assert api.get(QUEUES).json()["items"] == []
    assert len(api.get(f"{QUEUES}?closed=true").json()["items"]) == 1
    entries = AuditEntry.objects.filter(action__startswith="review").order_by("pk")
    assert [entry.action for entry in entries] == ["review.queue.add", "review.queue.change", "review.queue.close"]
    assert all(entry.actor.startswith("key ") for entry in entries)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"name": ""}, "name"),
        ({"kind": "magic"}, "kind"),
        ({"reviewers_per_item": 99}, "reviewers_per_item"),
        ({"config": {"share": "much"}}, "config.share"),
        ({"config": 3}, "config"),
        ({"rubric": "none"}, "rubric"),
        ({"colour": 1}, "colour"),
    ],
)
def test_a_bad_queue_names_field_and_limit(api, version, told, field):
    answer = post(api, QUEUES, **({"name": "Q", "rubric": "answer-quality"} | told))

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_a_review_from_claim_to_verdict(api, queue, project):
    held = post(api, f"{QUEUES}/{queue}/claim", reviewer="anna").json()
    assert (held["held_by"], held["is_blind"], held["judge"], held["reason"]) == ("a script", True, None, None)
    assert held["material"]["question"].startswith("Can I return item")
    assert held["material"]["documents"][0]["text"] == "Unopened items can be returned."
    other = post(api, f"{QUEUES}/{queue}/claim", reviewer="ben").json()
    assert other["id"] != held["id"]
    assert post(api, f"{QUEUES}/{queue}/claim", reviewer="cleo").status_code == 204

    renew = post(api, f"/api/v1/review/items/{held['id']}/renew", reviewer="anna", tab=held["tab"])
    assert renew.status_code == 204
    wrong = post(api, f"/api/v1/review/items/{held['id']}/verdict", reviewer="ben", verdict="good")
    assert wrong.status_code == 409
    given = post(
        api, f"/api/v1/review/items/{held['id']}/verdict", reviewer="anna", tab=held["tab"], verdict="failure",
        scores={"correctness": 1, "safe": False}, note="Wrong window", seconds=12.5,
    )  # fmt: skip

    assert given.status_code == 201, given.content
    told = given.json()
    assert (told["state"], told["judge"]["scores"]["correctness"]["value"]) == ("done", 2.0)
    assert told["review"]["scores"] == {"correctness": 1.0, "safe": False}
    assert told["review"]["was_blind"] is True
    listed = api.get(f"/api/v1/reviews?queue={queue}").json()["items"]
    assert [(each["reviewer"], each["verdict"], each["note"]) for each in listed] == [
        ("anna", "failure", "Wrong window")
    ]
    scores = api.get(f"/api/v1/scores?trace_id={held['trace_id']}&source=person").json()["items"]
    assert {(each["name"], each["author"]) for each in scores} == {("correctness", "anna"), ("safe", "anna")}


def test_a_held_item_is_given_back(api, queue):
    held = [post(api, f"{QUEUES}/{queue}/claim", reviewer=name).json() for name in ("anna", "ben")]

    post(api, f"/api/v1/review/items/{held[0]['id']}/release", reviewer="anna", tab=held[0]["tab"])

    assert post(api, f"{QUEUES}/{queue}/claim", reviewer="cleo").json()["id"] == held[0]["id"]


def test_skip_and_undo_without_a_browser(api, queue):
    held = post(api, f"{QUEUES}/{queue}/claim", reviewer="anna").json()
    skipped = post(api, f"/api/v1/review/items/{held['id']}/skip", reviewer="anna", tab=held["tab"])
    assert skipped.status_code == 204
    assert post(api, f"{QUEUES}/{queue}/claim", reviewer="anna", tab=held["tab"]).json()["id"] != held["id"]


def test_a_member_reviews_and_takes_back(sign_in, project, queue):
    client = sign_in(member(project, "rita"))
    held = post(client, f"{QUEUES}/{queue}/claim?project=shop").json()
    path = f"/api/v1/review/items/{held['id']}/verdict?project=shop"
    said = post(client, path, verdict="good", tab=held["tab"]).json()["review"]
    assert said["reviewer"] == "rita@example.com"

    assert post(client, path, verdict="good").status_code == 409
    other = sign_in(member(project, "sam"))
    assert other.delete(f"/api/v1/reviews/{said['id']}?project=shop").status_code == 403
    undone = post(client, f"{QUEUES}/{queue}/undo?project=shop").json()

    assert (undone["id"], undone["state"], undone["reviews_count"]) == (held["id"], "open", 0)
    assert client.get(f"/api/v1/reviews/{said['id']}?project=shop").status_code == 404


def test_nobody_reviews_in_anothers_name(sign_in, project, queue):
    answer = post(sign_in(member(project, "rita")), f"{QUEUES}/{queue}/claim?project=shop", reviewer="boss")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "reviewer"


def test_a_key_has_to_say_who_reviews(api, queue):
    answer = post(api, f"{QUEUES}/{queue}/claim")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "reviewer"


def test_one_name_reviews_an_item_once(api, queue):
    item = api.get(f"{QUEUES}/{queue}/items").json()["items"][0]["id"]
    path = f"/api/v1/review/items/{item}/verdict"
    assert post(api, path, verdict="unsure", reviewer="anna").json()["state"] == "open"

    assert post(api, path, verdict="good", reviewer="anna").status_code == 409
    assert post(api, path, verdict="good", reviewer="ben").json()["state"] == "done"


def test_items_are_paged_and_filtered(api, queue, project):
    first = api.get(f"{QUEUES}/{queue}/items?limit=1").json()
    second = api.get(first["next"]).json()

    assert len(first["items"]) == len(second["items"]) == 1
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert second["next"] is None
    assert api.get(f"{QUEUES}/{queue}/items?state=done").json()["items"] == []
    assert api.get(f"{QUEUES}/{queue}/items?cursor=xx").status_code == 400


def test_a_blind_item_tells_nothing_of_the_judge_until_it_is_done(api, queue):
    item = api.get(f"{QUEUES}/{queue}/items").json()["items"][0]["id"]
    before = api.get(f"/api/v1/review/items/{item}").json()
    assert (before["judge"], before["reason"], before["reviews"]) == (None, None, [])

    post(api, f"/api/v1/review/items/{item}/verdict", verdict="good", reviewer="anna")

    after = api.get(f"/api/v1/review/items/{item}").json()
    assert after["judge"]["scores"]["correctness"]["reason"] == "In no source."
    assert len(after["reviews"]) == 1


def test_an_item_is_assigned_and_dropped(api, queue, project, sign_in):
    rita = member(project, "rita")
    item = api.get(f"{QUEUES}/{queue}/items").json()["items"][0]["id"]
    path = f"/api/v1/review/items/{item}"

    assigned = api.patch(path, {"assigned_to": rita.email}, content_type="application/json").json()
    assert assigned["assigned_to"] == "Rita"
    nobody = api.patch(path, {"assigned_to": "x@example.com"}, content_type="application/json")
    assert nobody.status_code == 400
    dropped = api.patch(path, {"is_dropped": True}, content_type="application/json").json()
    assert dropped["state"] == "dropped"


def test_a_verdict_may_go_into_a_dataset(api, queue):
    assert post(api, "/api/v1/datasets", name="Returns").status_code == 201
    item = api.get(f"{QUEUES}/{queue}/items").json()["items"][0]["id"]

    answer = post(api, f"/api/v1/review/items/{item}/verdict", verdict="good", reviewer="anna", dataset="returns")

    assert answer.status_code == 201
    assert DatasetItem.objects.get().origin == "review"


@pytest.mark.parametrize("told", [{"trace_id": "0" * 31 + "9"}, {"trace_id": "x"}, {"trace_id": ""}, {"span_id": "zz"}])
def test_what_is_no_trace_is_not_queued(api, queue, told):
    trace_id = ReviewItem.objects.first().trace_id.hex

    answer = post(api, f"{QUEUES}/{queue}/items", **({"trace_id": trace_id} | told))

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in {"trace_id", "span_id"}
