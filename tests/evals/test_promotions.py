"""The registry of models and prompts, and the gate: what was seen, what is let through, on what evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import keeping, promoting
from evals.keeping import By, NewItem
from evals.models import Dataset, Experiment, ExperimentResult, Promotion
from evals.promoting import NotThrough, PromotionRefused, Wanted
from evals.read import promotions as read
from telltale.audit.models import AuditEntry
from telltale.projects import keys
from traces import folding, sighting
from traces.read import TooSlow
from traces.read.model_registry import read_registry
from traces.write import partitions, spans

pytestmark = pytest.mark.django_db
GOOD, BAD, EQUAL = [0.9] * 24, [0.1] * 24, [0.95, 0.85] * 12


@pytest.fixture
def kept(project):
    """Dataset `returns` of 24 items."""
    keeping.make_dataset(project, "Returns", by=By())
    keeping.put_items(project, "returns", [NewItem(f"k{n:02}", f"Q{n}", f"A{n}") for n in range(24)], by=By())
    return project


def experiment(project, scores, *, name="e", state="done", n=24, config=None, metric="token_f1"):
    made = Experiment.objects.create(
        project=project, dataset=Dataset.objects.get(project=project, slug="returns"), dataset_version=1, name=name,
        source="posted", state=state, metrics=[metric], config=config or {},
    )  # fmt: skip
    ExperimentResult.objects.bulk_create(
        ExperimentResult(
            experiment=made, item_key=f"k{at:02}", target_id=uuid4(), state="done", output="x",
            metrics={"reference": {metric: scores[at]} if scores else {}, "sent": {}},
        )
        for at in range(n)
    )  # fmt: skip
    return made.pk


def promote(project, version, experiment_id, *, kind="prompt", subject="answer", against=None):
    return promoting.promote(project, Wanted(kind, subject, version, experiment_id, against), By(words="ci"), "CI")


def test_the_first_version_stands_and_says_that_nothing_was_compared(kept):
    row = promote(kept, "13", experiment(kept, GOOD))

    assert (row.words, row.stands, row.evidence["is_first"]) == ("prompt answer 13", True, True)
    assert row.finding == "24 items of Returns version 1 answered; the first one, so nothing to compare with."
    entry = AuditEntry.objects.get(action="prompt.promote")
    assert (entry.target, entry.actor, entry.after["version"]) == ("prompt answer 13", "ci", "13")


def test_the_next_takes_its_place_where_nothing_is_proven_worse(kept):
    first = promote(kept, "13", experiment(kept, GOOD))
    second = promote(kept, "14", experiment(kept, EQUAL))

    first = read.get_promotion(kept.pk, first.id)
    assert (first.ended_as, first.ended_by, second.stands) == ("replaced", "CI", True)
    assert second.against_id == first.experiment_id
    assert "No regression proven in" in second.finding
    assert [line["measure"] for line in second.evidence["lines"] if line["verdict"] == "worse"] == []
    assert read.find_standing(kept.pk, "prompt", "answer") == second


def test_a_proven_regression_is_not_let_through(kept):
    promote(kept, "13", experiment(kept, GOOD))

    with pytest.raises(NotThrough) as closed:
        promote(kept, "14", experiment(kept, BAD))

    assert "proven worse over 24 items" in closed.value.reasons[0]
    assert read.find_standing(kept.pk, "prompt", "answer").version == "13"
    assert Promotion.objects.count() == 1


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"scores": GOOD, "state": "judging"}, "is not done: it is judging"),
        ({"scores": GOOD, "n": 9}, "fewer than 10 prove nothing"),
        ({"scores": None}, "Nothing decides"),
        ({"scores": GOOD, "metric": "rouge1"}, "Nothing decides"),
    ],
)
def test_what_proves_nothing_is_not_let_through(kept, made, words):
    promote(kept, "13", experiment(kept, GOOD))

    with pytest.raises(NotThrough) as closed:
        promote(kept, "14", experiment(kept, **made))

    assert words in str(closed.value)


def test_an_experiment_of_another_version_is_no_evidence(kept):
    told = experiment(kept, GOOD, config={"model": "gpt-4o-mini"})

    with pytest.raises(PromotionRefused) as refused:
        promote(kept, "gpt-5", told, kind="model", subject="")
    row = promote(kept, "gpt-4o-mini", told, kind="model", subject="")

    assert (refused.value.field, refused.value.limit) == ("version", "gpt-4o-mini, as the experiment says")
    assert (row.words, row.evidence["is_told"]) == ("model gpt-4o-mini for everything", True)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (Wanted("judge", "a", "1", 1), "kind"), (Wanted("prompt", " ", "1", 1), "subject"),
        (Wanted("model", "", "", 1), "version"), (Wanted("model", "", "a\nb", 1), "version"),
        (Wanted("model", "x" * 201, "1", 1), "subject"), (Wanted("model", "", "1", 1, None, "x" * 501), "note"),
        (Wanted("model", "", "1", 987_654_321), "experiment"),
    ],
)  # fmt: skip
def test_what_is_none_names_its_field(kept, wanted, field):
    with pytest.raises(PromotionRefused) as refused:
        promoting.promote(kept, wanted, By(), "CI")

    assert refused.value.field == field


def test_the_same_again_makes_no_second_one_and_a_withdrawn_one_stands_no_more(kept):
    told = experiment(kept, GOOD)
    first, again = promote(kept, "13", told), promote(kept, "13", told)

    promoting.withdraw(kept, first.id, By(words="ci"), "Kim")

    assert first.id == again.id
    row = read.get_promotion(kept.pk, first.id)
    assert (row.ended_as, row.ended_by) == ("withdrawn", "Kim")
    assert AuditEntry.objects.filter(action="prompt.withdraw").count() == 1
    with pytest.raises(promoting.Gone):
        promoting.withdraw(kept, first.id, By(), "Kim")


def test_the_record_outlives_the_experiments(kept):
    first = promote(kept, "13", experiment(kept, GOOD))
    Experiment.objects.all().delete()

    row = read.get_promotion(kept.pk, first.id)
    assert (row.experiment_id, row.evidence["dataset"]) == (None, "Returns")
    with pytest.raises(PromotionRefused) as refused:
        promote(kept, "14", experiment(kept, GOOD))
    assert refused.value.field == "against"


# --- REST and pages -----------------------------------------------------------------------------------------------


@pytest.fixture
def rest(kept, client):
    secret = keys.make_key(kept, "ci", ("read", "write", "ingest")).secret

    def ask(method, path="", body=None, status=200):
        data = b"" if body is None else orjson.dumps(body)
        headers = {"Authorization": f"Bearer {secret}"}
        answer = client.generic(method, f"/api/v1/models{path}", data, "application/json", headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None

    yield ask
    keys.cache.clear()


def test_a_pipeline_promotes_and_is_told_why_not(rest, kept):
    good, bad = experiment(kept, GOOD), experiment(kept, BAD)
    body = {"kind": "prompt", "subject": "answer", "version": "13", "experiment": str(good)}

    made = rest("POST", "/promotions", body, 201)
    closed = rest("POST", "/promotions", body | {"version": "14", "experiment": str(bad)}, 409)
    rest("POST", "/promotions", body | {"experiment": "x"}, 400)
    rest("POST", "/promotions", body | {"kind": "judge"}, 400)

    assert (made["author"], made["stands"], made["experiment"]) == ("API key ci", True, str(good))
    assert "proven worse" in closed["errors"][0]["message"]
    assert rest("GET", "/promotions?standing=true")["items"] == [made]
    assert rest("GET", f"/promotions/{made['id']}") == made
    rest("DELETE", f"/promotions/{made['id']}", status=204)
    rest("DELETE", f"/promotions/{made['id']}", status=404)
    assert rest("GET", "/promotions?standing=true")["items"] == []


NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def traffic(kept, client):
    """Calls of an hour ago: `gpt-4o` answered by two versions, a pinned one, one that failed; two prompt versions."""
    partitions.forget()
    spans.forget()
    secret = keys.make_key(kept, "app", ("ingest",)).secret
    at = NOW - timedelta(hours=1)
    calls = [
        ("gpt-4o", "gpt-4o-2024-08-06", "13"), ("gpt-4o", "gpt-4o-2024-11-20", "14"), ("o3-mini", "o3-mini", None),
        ("gpt-4o", "gpt-4o-2024-11-20", "14"),
    ]  # fmt: skip
    body = [
        {"trace_id": f"{n + 1:032x}", "id": f"{n + 1:016x}", "name": "chat", "kind": "generation",
         "start": (at + timedelta(seconds=n)).isoformat(), "end": (at + timedelta(seconds=n + 1)).isoformat(),
         "status": "error" if n == 2 else "ok", "provider": "openai", "model": asked, "model_answered": answered,
         "feature": "support", **({"prompt": {"name": "answer", "version": version}} if version else {})}
        for n, (asked, answered, version) in enumerate(calls)
    ]  # fmt: skip
    answer = client.post("/api/v1/traces", orjson.dumps(body), "application/json",
                         headers={"Authorization": f"Bearer {secret}"})  # fmt: skip
    assert (answer.status_code, answer.json()["stored"]) == (200, 4), answer.content
    folding.fold_roll_ups()
    sighting.see_changes(settle=timedelta(days=-9))
    keys.cache.clear()


def test_the_registry_tells_who_answered_to_which_name_how_often_and_since_when(traffic, kept, rest):
    shown = rest("GET")

    models = {each["model"]: each for each in shown["models"]}
    assert shown["calls"] == 4
    assert next(each["model"] for each in shown["models"]) == "gpt-4o-2024-11-20"
    first, new, mini = (models[name] for name in ("gpt-4o-2024-08-06", "gpt-4o-2024-11-20", "o3-mini"))
    assert (first["calls"], new["calls"], new["share"]) == (1, 2, 0.5)
    assert (first["shifted"], new["shifted"], mini["shifted"]) == (["gpt-4o"], ["gpt-4o"], [])
    assert (new["is_pinned"], mini["is_pinned"], mini["errors"]) == (True, False, 1)
    assert [one["name"] for one in new["asked"]] == ["gpt-4o"]
    assert new["first_at"] == (NOW - timedelta(seconds=3599)).isoformat().replace("+00:00", "Z")
    assert new["features"] == ["support"]
    prompts = {(each["name"], each["version"]): each["share"] for each in shown["prompts"]}
    assert prompts == {("answer", "13"): pytest.approx(1 / 3), ("answer", "14"): pytest.approx(2 / 3)}
    assert new["cost_usd"] is None


def test_what_was_seen_before_the_window_is_listed_without_calls(traffic, kept):
    found = read_registry(kept.pk, "UTC", NOW - timedelta(minutes=5), NOW)

    assert (found.calls, len(found.models), {each.usage.calls for each in found.models}) == (0, 3, {0})


def test_the_page_says_what_may_change_under_its_name_and_what_stands(traffic, kept, sign_in, alice, charlie):
    promote(kept, "14", experiment(kept, GOOD))
    page, shop = f"/p/{kept.slug}/models/", sign_in(alice)

    with CaptureQueriesContext(connection) as queries:
        text = shop.get(page).content.decode()

    assert "3 models answered in the last 28 days" in text
    assert "1 of them may change under its name." in text
    assert "“gpt-4o” was answered by another model too" in text
    assert "Prompt answer 14" in text
    assert len(queries) < 30
    assert b"gpt-4o-2024-08-06" in b"".join(shop.get(page + "?format=csv").streaming_content)
    assert sign_in(charlie).get(page).status_code == 404


def test_a_person_asks_the_gate_and_reads_what_it_says(kept, sign_in, alice):
    shop, page = sign_in(alice), f"/p/{kept.slug}/models/promote/"
    assert "No experiment is done" in shop.get(page).content.decode()
    good, bad = experiment(kept, GOOD, name="good one"), experiment(kept, BAD, name="bad one")
    told = {"kind": "prompt", "subject": "answer", "version": "13", "experiment": good}

    empty = shop.post(page, {"kind": "prompt"})
    made = shop.post(page, told)
    closed = shop.post(page, told | {"version": "14", "experiment": bad})

    assert (empty.status_code, made.status_code, closed.status_code) == (400, 302, 409)
    assert "The gate is not passed" in closed.content.decode()
    assert "Prompt answer 13 stands" in closed.content.decode()
    [row] = read.list_promotions(kept.pk)
    withdrawn = shop.post(f"/p/{kept.slug}/models/promotions/{row.id}/withdraw/", {"withdraw": "yes"})
    assert withdrawn.status_code == 302
    assert not read.get_promotion(kept.pk, row.id).stands
    assert shop.post(f"/p/{kept.slug}/models/promotions/{2**70}/withdraw/").status_code == 404


def test_a_registry_that_takes_too_long_says_so(kept, sign_in, alice, monkeypatch):
    def slow(*_):
        raise TooSlow

    monkeypatch.setattr("evals.pages.models.read_registry", slow)

    answer = sign_in(alice).get(f"/p/{kept.slug}/models/")

    assert (answer.status_code, "This took too long" in answer.content.decode()) == (503, True)


def test_an_empty_project_says_how_models_come(kept, sign_in, alice):
    assert "No model yet" in sign_in(alice).get(f"/p/{kept.slug}/models/").content.decode()
