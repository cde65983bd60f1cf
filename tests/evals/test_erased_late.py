"""What is said late about something erased: refused at every door of this room, with its reason, and counted."""

from __future__ import annotations

from uuid import UUID

import orjson
import pytest
from django.db import connection
from django.test import Client

from evals import keeping, scoring
from evals.keeping import By, NewItem
from evals.models import Review, ReviewItem
from evals.reviewing import verdicts
from evals.reviewing.config import RefusedReview
from evals.reviewing.filling import add_by_hand
from evals.reviewing.people import Reviewer
from telltale.lib import clock
from telltale.projects import keys
from telltale.web.erasing import asking
from tests.evals.review_rows import make_judge, make_queue, make_rubric, send_traces
from traces import accounting
from traces.own_calls import OwnCall, store_calls
from traces.read import get_trace

pytestmark = pytest.mark.django_db
GONE, HERE = "ab" * 16, "cd" * 16
USER, SESSION = "dora-4711", "s-4711"


@pytest.fixture
def api(key):
    keys.cache.clear()
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})

    def ask(path, body):
        answer = client.post(f"/api/v1/{path}", orjson.dumps(body), "application/json")
        return answer.status_code, answer.json() if answer.content else None

    yield ask
    keys.cache.clear()


@pytest.fixture
def erased(project):
    """A trace, a session and a user of the project are asked to be erased; the job has not run."""
    for kind, subject in (("trace", GONE), ("session", SESSION), ("user", USER)):
        asking.ask(project, kind, subject)
    return project


def rows(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def counted(project, source):
    """How many of a source the account of ingest counts as erased."""
    accounting.fold_batches()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(n), 0) FROM traces_ingest_reason_hour"
            " WHERE project_id = %s AND source = %s AND reason = 'erased'",
            [project.pk, source],
        )
        return cursor.fetchone()[0]


def test_scores_are_refused_one_by_one(api, erased):
    told = [
        {"name": "tone", "value": 1, "trace_id": GONE},
        {"name": "tone", "value": 2, "session_id": SESSION},
        {"name": "tone", "value": 3, "trace_id": HERE, "author": USER},
        {"name": "tone", "value": 4, "trace_id": HERE},
    ]

    status, answer = api("scores", told)

    assert (status, answer["accepted"], answer["rejected"]) == (200, 1, 3)
    assert [each["status"] for each in answer["items"]] == ["rejected"] * 3 + ["created"]
    assert "was erased" in answer["items"][0]["errors"][0]["message"]
    assert rows("evals_score") == 1
    assert counted(erased, "scores") == 3
    assert USER not in str(answer)


def test_events_of_a_trace_that_is_being_erased_become_no_scores(project):
    [trace_id] = send_traces(project, 1)
    row = get_trace(project.pk, trace_id)
    attributes = {"gen_ai.evaluation.name": "tone", "gen_ai.evaluation.score.value": 1.0}
    told = [scoring.Evaluation(trace_id, 1, clock.now(), attributes)]
    asking.ask(project, "trace", trace_id.hex)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "read_evaluations", lambda project_id, rows: told)
        scoring.take_evaluations(project.pk, [row])

    assert rows("evals_score") == 0
    assert counted(project, "scores") == 1


def test_labels_from_elsewhere_are_refused_row_by_row(api, erased):
    items = [
        {"trace_id": GONE, "reviewer": "carla", "scores": {"quality": 1}},
        {"trace_id": GONE, "judge": "first", "scores": {"quality": 1}},
        {"trace_id": HERE, "reviewer": USER, "scores": {"quality": 2}},
        {"trace_id": HERE, "reviewer": "carla", "scores": {"quality": 3}},
    ]

    status, answer = api("labels/import", {"items": items})

    assert (status, answer["accepted"], answer["rejected"]) == (200, 1, 3)
    assert {each["index"] for each in answer["items"]} == {0, 1, 2}
    assert Review.objects.filter(project=erased).count() == 1
    assert counted(erased, "reviews") == 3
    assert api("labels/import", {"items": items, "dry_run": True})[1]["rejected"] == 3
    assert counted(erased, "reviews") == 3


def test_a_verdict_on_what_is_being_erased_is_not_kept(project):
    make_judge(project, make_rubric(project))
    queue = make_queue(project, "By hand")
    first, second = send_traces(project, 2)
    assert add_by_hand(project, queue, first, 0, "alice")
    item_id = ReviewItem.objects.get(project=project).pk
    for trace_id in (first, second):
        asking.ask(project, "trace", trace_id.hex)

    with pytest.raises(RefusedReview, match="erased"):
        verdicts.save_verdict(queue, item_id, Reviewer(None, "alice"), (), verdicts.Given("good"))
    with pytest.raises(RefusedReview, match="erased"):
        add_by_hand(project, queue, second, 0, "alice")

    assert Review.objects.count() == 0
    assert counted(project, "reviews") == 2


def test_items_and_results_of_an_erased_trace_are_left_out(api, erased):
    keeping.make_dataset(erased, "Returns", by=By())
    put = keeping.put_items(
        erased, "returns", [NewItem("k1", "Why?", trace_id=UUID(GONE)), NewItem("k2", "How?")], by=By()
    )
    assert (put.added, put.erased) == (1, 1)
    status, told = api("datasets/returns/items", {"items": [{"input": "What?", "trace_id": GONE}]})
    assert (status, told["erased"], told["added"]) == (200, 1, 0)
    assert counted(erased, "items") == 2

    _, made = api("experiments", {"dataset": "returns"})
    status, told = api(f"experiments/{made['id']}/results", {"results": [
        {"item_key": "k2", "output": "So.", "trace_id": GONE}
    ]})  # fmt: skip

    assert "erased" in str(told)
    assert rows("evals_experimentresult") == 0
    assert counted(erased, "results") == 1


def test_a_call_that_judged_what_was_erased_meanwhile_is_not_stored(erased):
    def call(target, at):
        return OwnCall(
            UUID(int=at), at, "judge quality v1", "m", "p", clock.now(), 5.0, prompt="what the user said",
            metadata={"target": target},
        )  # fmt: skip

    assert store_calls(erased.pk, [call(GONE, 1), call(HERE, 2)]) == 1
