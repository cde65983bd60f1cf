"""What judges, models and people say is stored without secrets, and a judge's words not at all without content."""

from __future__ import annotations

import json

import pytest

from evals import experimenting, keeping
from evals.experimenting import AskConfig, Wanted, running
from evals.judging import context, judge_models, judge_rules
from evals.judging.answers import unpack_answer
from evals.keeping import By, NewItem
from evals.models import ExperimentResult, JudgeVersion, ProbeAnswer
from evals.read import experiments as read
from evals.scoring import Author, put_scores
from evals.setup import preflights
from evals.write.masked import mask_fields
from telltale.jobs import work
from telltale.jobs.models import Job
from tests.evals.judging_kit import (
    RUBRIC,
    YES_NO,
    StandIn,
    draw,
    make_connection,
    make_plan,
    make_version,
    set_noon,
    sql,
    store_traces,
)
from tests.evals.probes_kit import SUM_PROBE, Provider, make_suite, run
from traces import masks
from traces.ingest.rules import forget as forget_rules
from traces.models import MaskPolicy

pytestmark = pytest.mark.django_db
CARD = "4111 1111 1111 1111"
KEY = "sk-proj-Zx8Kq2mN5vB7cW1eR4tY6u"
SAID = f"My key is {KEY} and my card {CARD}."
MARKS = "My key is [masked: key] and my card [masked: card]."


@pytest.fixture(autouse=True)
def fresh(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.02)
    context.forget()
    masks.forget()
    forget_rules()
    yield
    masks.forget()
    forget_rules()


def keep_no_content(project, feature=None):
    """Store no text of the project's traces, or of one feature's."""
    rules = {"mode": "no content"} if feature is None else {"features": [{"feature": feature, "mode": "no content"}]}
    MaskPolicy.objects.create(project=project, version=1, rules=rules)
    masks.forget()
    forget_rules()


class Teller(StandIn):
    """A judge whose reasons, quotes and answers hold secrets."""

    def verdict(self, body):
        if body["messages"][-1]["content"].startswith("Q"):
            return SAID
        criterion = {"reason": SAID, "evidence": [SAID], "unsure": False, "score": 4}
        return {
            "injection_attempt": False,
            "criteria": {"correctness": criterion, "tone": {**criterion, "score": 2}},
        }


@pytest.fixture
def teller():
    stand_in = Teller()
    yield stand_in
    stand_in.close()


def live(project, teller):
    set_noon(project)
    version = make_version(project, endpoint=make_connection(project, teller.url))
    make_plan(version, {"kind": "all"})
    return version


def everything():
    """Every text of judgements and scores, and the bodies of the calls' own traces, as one text."""
    parts = [repr(row) for row in sql("SELECT s.* FROM evals_score AS s")]
    parts += [repr(unpack_answer(bytes(row[0]))) for row in sql("SELECT answer FROM evals_judgement") if row[0]]
    calls = sql("SELECT preview_in, preview_out FROM traces_trace WHERE service = 'telltale.judge'")
    parts += [repr(row) for row in calls]
    return "\n".join(parts)


def test_a_judges_reasons_quotes_and_raw_reply_are_masked(project, teller):
    live(project, teller)

    draw(project, store_traces(project, 1))
    assert judge_models(20) == 1

    comment, evidence = sql("SELECT comment, evidence FROM evals_score WHERE name = 'correctness'")[0]
    assert (comment, evidence) == (MARKS, [MARKS])
    told = everything()
    assert "4111" not in told
    assert KEY not in told
    assert "[masked: key]" in told


def test_what_a_judge_says_that_is_no_verdict_is_masked_too(project, teller):
    live(project, teller)
    teller.verdict = lambda body: {"criteria": {}, f"why {CARD}": 1}

    draw(project, store_traces(project, 1))
    judge_models(3)

    answer = sql("SELECT answer FROM evals_judgement")[0][0]
    told = unpack_answer(bytes(answer))
    assert "4111" not in repr(told)
    assert "[masked: card]" in told["text"]


@pytest.mark.parametrize("feature", [None, "help"])
def test_without_content_a_verdict_keeps_its_scores_and_no_words(project, teller, feature):
    live(project, teller)
    ids = store_traces(project, 1, answer="It opens at nine, said Bob.")
    draw(project, ids)
    keep_no_content(project, feature)  # after the trace was stored: its text is still there to be judged

    assert judge_models(20) == 1

    rows = sql("SELECT name, number, comment, evidence FROM evals_score ORDER BY name")
    assert rows == [("correctness", 4.0, None, None), ("tone", 2.0, None, None)]
    told = everything()
    assert "Bob" not in told
    assert "masked" not in told


def test_rules_and_their_quotes_are_masked(project):
    config = {"rules": [{"criterion": "short", "kind": "regex", "pattern": "at .*"}]}
    make_plan(make_version(project, "rule", slug="short", rubric=YES_NO, config=config), {"kind": "all"})
    MaskPolicy.objects.create(project=project, version=1, rules={"mode": "off"})
    masks.forget()
    forget_rules()
    ids = store_traces(project, 1, answer=f"You reach us at {CARD}.")
    MaskPolicy.objects.create(project=project, version=2, rules={"mode": "mask"})
    masks.forget()

    draw(project, ids)
    judge_rules()

    rows = sql("SELECT comment, evidence FROM evals_score")
    assert rows == [("The answer matches the pattern.", ["at [masked: card]."])]


def test_a_trial_of_a_judge_is_kept_masked(project, teller):
    live(project, teller)
    ids = store_traces(project, 1)
    version = JudgeVersion.objects.get()
    config = {} if not version.config else version.config
    job = preflights.start_preflight(
        project, kind="model", rubric=RUBRIC, config=config, connection_id=version.connection_id, model="stand-in",
        trace_ids=ids,
    )  # fmt: skip

    work.run_next()

    result = Job.objects.get(pk=job).result
    assert result["tried"][0]["verdict"]["scores"][0]["reason"] == MARKS
    assert "4111" not in json.dumps(result)
    assert KEY not in json.dumps(result)


def test_a_trial_of_a_judge_keeps_no_words_of_a_feature_without_content(project, teller):
    live(project, teller)
    ids = store_traces(project, 1, answer="It opens at nine, said Bob.")
    keep_no_content(project, "help")
    version = JudgeVersion.objects.get()
    job = preflights.start_preflight(
        project, kind="model", rubric=RUBRIC, config=version.config or {}, connection_id=version.connection_id,
        model="stand-in", trace_ids=ids,
    )  # fmt: skip

    work.run_next()

    tried = Job.objects.get(pk=job).result["tried"][0]
    assert [score["number"] for score in tried["verdict"]["scores"]] == [4.0, 2.0]
    calls = sql("SELECT preview_in, preview_out FROM traces_trace WHERE service = 'telltale.judge'")
    assert "Bob" not in json.dumps(tried) + repr(calls)
    assert "masked" not in json.dumps(tried) + repr(calls)
    assert calls == [(None, None)]


def make_items(project, n=2):
    keeping.make_dataset(project, "Returns", f"what {CARD} says", by=By())
    items = [NewItem(f"k{at}", f"Q{at}", "A") for at in range(n)]
    keeping.put_items(project, "returns", items, note=f"for {CARD}", by=By())


def test_an_endpoints_answers_to_a_dataset_are_masked(project, teller):
    make_items(project)
    wanted = Wanted("returns", connection_id=make_connection(project, teller.url).pk, ask=AskConfig("small"))
    experimenting.make_experiment(project, wanted, by=By())

    work.run_next()

    assert list(ExperimentResult.objects.values_list("output", "state")) == [(f'"{MARKS}"', "done")] * 2


@pytest.mark.parametrize("mode", ["mask", "no content"])
def test_posted_results_their_errors_and_names_are_masked_in_every_mode(project, mode):
    MaskPolicy.objects.create(project=project, version=1, rules={"mode": mode})
    masks.forget()
    make_items(project, 3)
    keeping.put_items(project, "returns", [NewItem(f"of {CARD}", "Q", "A")], by=By())
    wanted = Wanted("returns", name=f"Run {CARD}", config={"prompt": SAID, "temperature": 0})
    made = experimenting.make_experiment(project, wanted, by=By())

    taken = experimenting.post_results(project, made.id, [
        {"item_key": "k0", "output": {"said": [SAID], "card": 4111111111111111, "n": 7}, "cost_usd": 4.0},
        {"item_key": "k1", "error": SAID, "scores": {f"of {CARD}": 0.5}},
        {"item_key": f"of {CARD}", "output": "a"},
        {"item_key": "k9", "output": "a"},
    ])  # fmt: skip

    assert (taken.accepted, [one.index for one in taken.refused]) == (3, [3])
    row = read.get_experiment(project.pk, made.id)
    assert row.name == "Run [masked: card]"
    assert row.config == {"prompt": MARKS, "temperature": 0}
    first, second, _ = ExperimentResult.objects.order_by("item_key")
    assert first.output == {"said": [MARKS], "card": "[masked: card]", "n": 7}
    assert (first.cost_pico, second.error) == (4 * 10**12, MARKS)
    assert second.metrics["sent"] == {"of [masked: card]": 0.5}
    rows = repr(sql("SELECT d.description, v.note FROM evals_dataset AS d, evals_datasetversion AS v"))
    assert "4111" not in rows


def test_answers_to_probes_are_masked_and_checked_as_they_came(project):
    provider = Provider()
    provider.text_for = lambda user: f"391, and {SAID}"
    try:
        run(project, make_suite(project, provider, SUM_PROBE))
    finally:
        provider.close()

    answers = list(ProbeAnswer.objects.filter(state="done"))
    assert answers
    assert {each.text for each in answers} == {f"391, and {MARKS}"}
    assert all(each.passed for each in answers)
    assert "4111" not in repr(list(ProbeAnswer.objects.values()))


def test_amounts_that_look_like_cards_stay_numbers(project):
    values = {"text": SAID, "cost_pico": 4111111111111111, "finish_reason": f"{CARD} " + "x" * 40}

    told = mask_fields(project.pk, values, {"text": None, "finish_reason": 40})

    assert told["cost_pico"] == 4111111111111111
    assert told["text"] == MARKS
    assert told["finish_reason"].startswith("[masked: card] xx")
    assert len(told["finish_reason"]) == 40


@pytest.mark.parametrize("mode", ["mask", "no content"])
def test_scores_of_programs_join_masked_sessions_and_lose_their_words_without_content(project, mode):
    MaskPolicy.objects.create(project=project, version=1, rules={"mode": mode})
    masks.forget()
    items = [
        {"session_id": f"s {CARD}", "name": "good", "value": 1, "comment": SAID, "evidence": [SAID], "id": f"r {CARD}",
         "metadata": {"k": SAID, "n": 3}},
    ]  # fmt: skip

    first = put_scores(project.pk, items, Author("a"))[0]
    again = put_scores(project.pk, [{**items[0], "value": 0}], Author("a"))[0]

    assert (first.status, again.status, again.score_id) == ("created", "updated", first.score_id)
    row = sql("SELECT session_id, comment, evidence, external_id, metadata FROM evals_score")[0]
    assert row[0] == masks.mask_id(project.pk, f"s {CARD}") != f"s {CARD}"
    assert row[1] == (MARKS if mode == "mask" else None)
    assert row[2] == ([MARKS] if mode == "mask" else None)
    assert "4111" not in repr(row)
    assert json.loads(row[4]) == ({"k": MARKS, "n": 3} if mode == "mask" else {"n": 3})
