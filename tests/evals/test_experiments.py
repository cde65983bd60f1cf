"""Experiments: results by item, once each; the old item under an old experiment; calls that end, cost and stop."""

from __future__ import annotations

import json

import pytest

from evals import keeping
from evals.experimenting import running
from evals.experimenting.asking import AskConfig, messages_for
from evals.judging import work as judge
from evals.keeping import By, NewItem
from evals.models import Experiment, ExperimentResult
from evals.read import experiments as read
from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, make_version, sql

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def kept(project):
    """Dataset `returns` of 30 items, and the rule judge `short`."""
    keeping.make_dataset(project, "Returns", by=By())
    items = [NewItem(f"k{n:02}", {"question": f"Is {n} even?"}, "yes" if n % 2 == 0 else "no") for n in range(30)]
    keeping.put_items(project, "returns", items, by=By())
    make_version(project, "rule", slug="short", config=LENGTH_RULE, rubric=YES_NO)
    return project


@pytest.fixture
def api(client, key):
    """`api(method, path, body)` below /api/v1/: status and JSON."""

    def ask(method, path, body=None):
        headers = {"Authorization": f"Bearer {key.secret}"}
        answer = client.generic(
            method, f"/api/v1/{path}", json.dumps(body) if body is not None else "", JSON, headers=headers
        )
        return answer.status_code, answer.json() if answer.content else None

    return ask


def make(api, **more):
    status, made = api("POST", "experiments", {"dataset": "returns", **more})
    assert status == 201, made
    return made["id"]


def results(answer, n=30, **more):
    return {"results": [{"item_key": f"k{i:02}", "output": answer(i), **more} for i in range(n)]}


def settle():
    """Run what waits: the experiments' jobs, the judges, the end."""
    while work.run_next() is not None:
        pass
    judge(20)
    running.tend_experiments()


def run_whole(api, answer, **more):
    """A posted experiment from beginning to end; its id."""
    number = make(api, **{"judges": [{"judge": "short"}], "metrics": ["exact_match", "token_f1"], **more})
    assert api("POST", f"experiments/{number}/results", results(answer))[0] == 200
    assert api("POST", f"experiments/{number}/finish")[0] == 200
    settle()
    return number


def test_posted_results_are_measured_and_judged(kept, api):
    number = run_whole(api, lambda i: "Yes." if i < 15 else "x" * 300, metrics=["exact_match", "label"])

    status, told = api("GET", f"experiments/{number}")
    assert (status, told["state"]) == (200, "done")
    assert told["counts"] == {"items": 30, "done": 30, "failed": 0, "pending": 0, "missing": 0}
    page = api("GET", f"experiments/{number}/results?limit=500")[1]
    by_key = {result["item_key"]: result for result in page["items"]}
    assert by_key["k02"]["metrics"] == {"exact_match": 1.0, "label": 1.0}
    assert by_key["k03"]["metrics"] == {"exact_match": 0.0, "label": 0.0}
    assert [by_key[key]["scores"][0]["number"] for key in ("k00", "k29")] == [1.0, 0.0]
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert figures["accuracy"]["value"] == pytest.approx(8 / 30)
    assert figures["accuracy"]["n"] == 30


def test_results_sent_again_are_there_once_and_the_last_one_counts(kept, api):
    number = make(api)

    first = api("POST", f"experiments/{number}/results", results(lambda i: "one"))
    targets = set(ExperimentResult.objects.values_list("target_id", flat=True))
    second = api("POST", f"experiments/{number}/results", results(lambda i: "two", latency_ms=5))

    assert first[1] == second[1] == {"accepted": 30, "refused": []}
    assert set(ExperimentResult.objects.values_list("target_id", flat=True)) == targets
    assert set(ExperimentResult.objects.values_list("output", "latency_ms")) == {("two", 5.0)}


def test_a_bad_result_is_refused_and_the_others_are_kept(kept, api):
    number = make(api)
    body = {"results": [
        {"item_key": "k00", "output": "ok"}, {"item_key": "nobody", "output": "x"}, {"output": "x"},
        {"item_key": "k01"}, {"item_key": "k02", "output": "x", "latency_ms": "fast"},
        {"item_key": "k00", "output": "y"},
        {"item_key": "k03", "output": "x", "scores": {"mine": "good"}}, {"item_key": "k04", "output": "x", "more": 1},
        {"item_key": "k05", "error": "TimeoutError"}, {"item_key": "k06", "output": "x" * 300_000},
    ]}  # fmt: skip

    status, told = api("POST", f"experiments/{number}/results", body)

    assert (status, told["accepted"]) == (200, 2)
    assert [(one["index"], one["message"].split()[0]) for one in told["refused"]] == [
        (1, "item_key"), (2, "item_key"), (3, "output"), (4, "latency_ms"), (5, "item_key"), (6, "scores.mine"),
        (7, "more"), (9, "output"),
    ]  # fmt: skip
    assert dict(ExperimentResult.objects.values_list("item_key", "state")) == {"k00": "done", "k05": "failed"}


@pytest.mark.parametrize("body", [{}, {"results": []}, {"results": [1]}, {"results": "x"}, {"results": [{}], "x": 1}])
def test_a_body_without_results_names_the_field(kept, api, body):
    number = make(api)

    status, told = api("POST", f"experiments/{number}/results", body)

    assert status == 400
    assert told["errors"][0]["field"] in ("results", "results[0]", "x")


def test_a_finished_experiment_takes_no_more_and_finishing_again_is_no_error(kept, api):
    number = run_whole(api, lambda i: "yes")

    assert api("POST", f"experiments/{number}/results", results(lambda i: "late"))[0] == 409
    assert api("POST", f"experiments/{number}/finish")[1]["state"] == "done"
    assert set(ExperimentResult.objects.values_list("output", flat=True)) == {"yes"}
    assert Job.objects.filter(kind=running.KIND).count() == 1


def test_an_old_experiment_shows_the_old_item(kept, api):
    number = run_whole(api, lambda i: "yes")

    keeping.put_items(kept, "returns", [NewItem("k00", {"question": "Changed"}, "other")], by=By())
    keeping.remove_items(kept, "returns", ["k01"], by=By())

    found = {row.item_key: row for row in read.list_results(kept.pk, int(number), keys=["k00", "k01"])}
    assert (found["k00"].input, found["k00"].expected) == ({"question": "Is 0 even?"}, "yes")
    assert found["k01"].input == {"question": "Is 1 even?"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dataset": "nobody"}, "dataset"),
        ({"dataset": "returns", "version": 2}, "version"),
        ({"dataset": "returns", "judges": [{"judge": "nobody"}]}, "judges"),
        ({"dataset": "returns", "judges": [{"judge": "short", "version": 9}]}, "judges"),
        ({"dataset": "returns", "metrics": ["magic"]}, "metrics"),
        ({"dataset": "returns", "source": "endpoint"}, "connection"),
        ({"dataset": "returns", "source": "elsewhere"}, "source"),
        ({"dataset": "returns", "name": "x" * 121}, "name"),
        ({"dataset": "returns", "config": [1]}, "config"),
    ],
)
def test_an_experiment_that_cannot_be_names_its_field(kept, api, body, field):
    status, told = api("POST", "experiments", body)

    assert (status, told["errors"][0]["field"]) == (400, field)
    assert not Experiment.objects.exists()


def test_a_further_judge_judges_what_is_done(kept, api):
    number = run_whole(api, lambda i: "yes", judges=[], metrics=[])
    before = sql("SELECT count(*) FROM evals_score WHERE target_kind = 4")[0][0]

    status, told = api("POST", f"experiments/{number}/judge", {"judges": [{"judge": "short"}], "metrics": ["bleu"]})
    settle()

    assert (before, status, told["state"]) == (0, 200, "running")
    assert api("GET", f"experiments/{number}")[1]["state"] == "done"
    assert sql("SELECT count(*) FROM evals_score WHERE target_kind = 4")[0][0] == 30


def test_what_is_removed_takes_its_results_and_scores_along(kept, api):
    number = run_whole(api, lambda i: "yes")
    other = run_whole(api, lambda i: "no")

    assert api("DELETE", f"experiments/{number}")[0] == 204

    assert [str(row.id) for row in read.list_experiments(kept.pk)] == [other]
    assert sql("SELECT count(*) FROM evals_score WHERE target_kind = 4")[0][0] == 30
    actions = AuditEntry.objects.filter(action__startswith="experiment.").values_list("action", flat=True)
    assert sorted(set(actions)) == ["experiment.add", "experiment.finish", "experiment.remove"]


def test_cancelling_ends_what_waits_to_be_judged(kept, api):
    number = make(api, judges=[{"judge": "short"}])
    api("POST", f"experiments/{number}/results", results(lambda i: "yes"))
    api("POST", f"experiments/{number}/finish")
    while work.run_next() is not None:
        pass

    status, told = api("POST", f"experiments/{number}/cancel")
    judge(20)

    assert (status, told["state"]) == (200, "cancelled")
    assert sql("SELECT state, count(*) FROM evals_judgement GROUP BY 1") == [("skipped", 30)]
    assert api("POST", f"experiments/{number}/cancel")[0] == 409


def test_items_are_asked_by_template_messages_or_question():
    ask = AskConfig("m", system="Be brief.", template="{question} In {context}? {gone}{{x}}")
    asked = messages_for({"question": "Where {context}?", "context": ["a"]}, ask)
    spoken = messages_for({"messages": [
        {"role": "system", "content": "S"}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "Now"},
    ]}, AskConfig("m"))  # fmt: skip

    assert [(m.role, m.text) for m in asked] == [
        ("system", "Be brief."), ("user", 'Where {context}? In ["a"]? {}'),
    ]  # fmt: skip
    assert [(m.role, m.text) for m in spoken] == [
        ("system", "S"), ("user", "Hi"), ("assistant", "Yes?"), ("user", "Now"),
    ]  # fmt: skip
    assert [(m.role, m.text) for m in messages_for("Why?", AskConfig("m"))] == [("user", "Why?")]
