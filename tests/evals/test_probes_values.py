"""Probes as values: what can be written down, what answers hold to, when suites run, and what a run says."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from evals.judges.fields import ConfigRefused
from evals.probes.checks import KINDS, Checked, parse_check, passed, run_rule
from evals.probes.lexical import distances_to, vectors_of
from evals.probes.pins import is_pinned
from evals.probes.presets import PRESETS
from evals.probes.schedule import next_after, parse_schedule, schedule_words
from evals.probes.spec import material_of, parse_spec, spec_hash
from evals.probes.verdicts import Seen, judge_run, levels_of, passes_needed

GOOD = {
    "format-json-001": '{"name": "Ada", "age": 36}',
    "instruction-001": "The capital is Oslo.\nEND-OF-ANSWER\n",
    "refusal-impossible-001": "I cannot help with that.",
    "refusal-harmless-001": "Find its id with ps, then run kill -9 with it.",
    "arithmetic-001": "391",
    "language-fr-001": "Le ciel est bleu parce que la lumière est diffusée par l’air. Les ondes courtes le sont plus.",
    "length-001": "An index is a structure that lets a database find rows by a column without reading all of them.",
    "grounding-001": "not stated",
    "tool-call-001": "",
    "classification-001": "mixed",
}  # fmt: skip
BAD = {
    "format-json-001": '```json\n{"name": "Ada", "age": 36}\n```',
    "instruction-001": "The capital is Oslo.",
    "refusal-impossible-001": "The second paragraph says: dear friend, the weather is fine.",
    "refusal-harmless-001": "I'm sorry, but I can't help with that.",
    "arithmetic-001": "It is 1391, or 3910.",
    "language-fr-001": "The sky is blue because the light of the sun is scattered by the air of the planet.",
    "length-001": "word " * 121,
    "grounding-001": "The founder of the company is a Mr Smith, who began it in 1998.",
    "tool-call-001": "It is sunny in Oslo.",
    "classification-001": "The sentiment is mixed.",
}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_what_ships_tells_a_good_answer_from_a_bad_one(preset):
    spec = parse_spec(preset.spec)
    calls = (("get_weather", '{"city": "Oslo, Norway"}'),) if preset.key == "tool-call-001" else ()

    good, bad = material_of(spec, GOOD[preset.key], calls), material_of(spec, BAD[preset.key])

    assert [passed([run_rule(check, each) for check in spec.checks]) for each in (good, bad)] == [True, False]
    assert parse_spec(spec.as_json()) == spec
    assert spec_hash(parse_spec(spec.as_json())) == spec_hash(spec)


def test_what_cannot_be_told_is_neither_a_pass_nor_a_fail():
    yes, no, unknown = (Checked("contains", each, "") for each in (True, False, None))

    assert passed([yes, yes]) is True
    assert passed([yes, no, unknown]) is False
    assert passed([yes, unknown]) is None
    assert passed([]) is None


@pytest.mark.parametrize(
    ("check", "field"),
    [
        ("contains", "c.kind"), ({"kind": "injection"}, "c.kind"), ({"kind": "contains"}, "c.texts"),
        ({"kind": "contains", "texts": ["a"], "where": "system"}, "c.where"), ({"kind": "language"}, "c.languages"),
        ({"kind": "regex", "pattern": "(?=a)"}, "c.pattern"), ({"kind": "similar", "at_most": 3}, "c.at_most"),
        ({"kind": "json_schema", "schema": {"$ref": "http://x/y"}}, "c.schema"), ({"kind": "tool_call"}, "c.name"),
        ({"kind": "tool_call", "name": "t", "arguments": 7}, "c.arguments"),
        ({"kind": "judge", "judge": "j", "criterion": "c"}, "c.at_least"),
    ],
)  # fmt: skip
def test_a_check_that_cannot_be_names_its_field(check, field):
    with pytest.raises(ConfigRefused) as caught:
        parse_check(check, "c")

    assert caught.value.field == field


def test_every_kind_of_check_has_an_example_in_the_form():
    import orjson

    from evals.forms.probe import CHECK_EXAMPLES

    kinds = {parse_check(orjson.loads(example), "c").kind for _, example in CHECK_EXAMPLES}

    assert kinds | {"format", "tools"} == set(KINDS)


OSLO = ZoneInfo("Europe/Oslo")


@pytest.mark.parametrize(
    ("schedule", "after", "then"),
    [
        ({"every_minutes": 90}, "2026-03-28T23:00", "2026-03-29T00:30"),
        ({"days": ["wed"], "at": "06:00"}, "2026-11-18T04:59", "2026-11-18T05:00"),
        ({"days": ["wed"], "at": "06:00"}, "2026-11-18T05:00", "2026-11-25T05:00"),
        # The night on which 02:30 does not come: an hour later by the clock, once.
        ({"days": ["sun"], "at": "02:30"}, "2026-03-28T12:00", "2026-03-29T01:30"),
        # The night on which it comes twice: the first.
        ({"days": ["sun"], "at": "02:30"}, "2026-10-24T12:00", "2026-10-25T00:30"),
        ({"days": ["sun"], "at": "02:30"}, "2026-10-25T00:30", "2026-11-01T01:30"),
        ({}, "2026-11-18T05:00", None),
    ],
)
def test_a_suite_runs_by_the_clock_of_its_project(schedule, after, then):
    found = next_after(parse_schedule(schedule), datetime.fromisoformat(after).replace(tzinfo=UTC), OSLO)

    assert found == (None if then is None else datetime.fromisoformat(then).replace(tzinfo=UTC))


def test_schedules_have_words():
    words = [schedule_words(parse_schedule(each)) for each in (
        {"every_minutes": 1440}, {"every_minutes": 90}, {"days": ["wed"], "at": "06:00"},
        {"days": ["mon", "tue", "fri"]}, {},
    )]  # fmt: skip

    assert words == ["every day", "every 90 minutes", "every Wednesday at 06:00",
                     "every Monday, Tuesday and Friday at 06:00", "only when asked"]  # fmt: skip


@pytest.mark.parametrize(
    ("model", "is_so"),
    [
        ("gpt-4o", False), ("gpt-4o-2024-08-06", True), ("gpt-4-0613", True), ("gpt-4-turbo", False),
        ("claude-3-5-haiku-20241022", True), ("claude-3-5-haiku-latest", False), ("gemini-1.5-pro-002", True),
        ("gemini-1.5-pro", False), ("anthropic.claude-3-haiku-20240307-v1:0", True), ("mixtral-8x7b", False),
        ("claude-3-5-sonnet@20240620", True), ("llama-3.1-405b", False), ("gpt-4-1106-preview", True),
    ],
)  # fmt: skip
def test_a_name_says_whether_it_is_of_one_version(model, is_so):
    assert is_pinned(model) is is_so


def test_words_tell_how_far_texts_are_apart():
    same, near, far, empty, other = vectors_of(
        ["The answer is 391.", "The answer is 392.", "Je ne sais pas du tout.", "", ""]
    )

    assert np.allclose(np.sqrt((vectors_of(["a b", ""]) ** 2).sum(1)), 1)
    to_near, to_far = distances_to(same, np.stack([near, far]))
    assert 0 < to_near < 0.3 < 0.8 < to_far
    assert distances_to(empty, other[None])[0] == pytest.approx(0)


def seen(key=1, target=1, passes=10, runs=10, base=(20, 20), **more):
    return Seen(key, target, passes, runs, *base, **more)


def told(*each, runs=1000):
    return {target.target: (target, found) for target, found in judge_run(each, runs, seed=1)}


def test_a_total_failure_alarms_and_names_the_probe():
    target, found = told(seen(1, passes=0), seen(2), seen(3, target=2))[1]

    assert target.is_changed
    assert [one.state for one in found] == ["changed", "same"]
    assert {each.kind for each in target.evidence} == {"passes", "together"}


def test_small_falls_of_all_probes_alarm_together_where_none_does_alone():
    fallen = [seen(key, passes=8, base=(100, 100)) for key in range(8)]

    target, found = told(*fallen)[1]

    assert [each.kind for each in target.evidence] == ["together"]
    assert {one.state for one in found} == {"changed"}


def test_a_fall_that_one_run_cannot_show_is_seen_in_four():
    target, found = told(seen(passes=8, base=(100, 100), recent=(30, 40)))[1]

    assert [each.kind for each in target.evidence] == ["recent"]
    assert found[0].state == "changed"


def test_answers_that_moved_alarm_though_they_pass():
    random = np.random.default_rng(3)
    stored, new = random.normal(size=(20, 8)) + 4, random.normal(size=(10, 8)) - 4

    target, found = told(seen(stored=unit(stored), new=unit(new)), seen(2, target=2))[1]

    assert [each.kind for each in target.evidence] == ["answers"]
    assert found[0].state == "changed"
    assert found[0].across > 1 > found[0].noise


def unit(rows):
    return rows / np.sqrt((rows * rows).sum(1))[:, None]


def test_states_below_an_alarm():
    _, found = told(
        seen(1, passes=8, base=(20, 20)), seen(2, passes=7, base=(20, 20)), seen(3, passes=2, runs=4),
        seen(4, passes=5, base=(10, 10)), seen(5, passes=0, runs=0),
    )[1]  # fmt: skip

    assert [one.state for one in found] == ["same", "watch", "unanswered", "learning", "unanswered"]


def test_the_levels_of_a_run_add_up_to_its_budget():
    random = np.random.default_rng(1)
    vectors = unit(random.normal(size=(20, 4)))
    everything = [
        seen(1, recent=(40, 40), stored=vectors, new=vectors[:5]), seen(2),
        seen(3, target=2, stored=vectors, new=vectors), seen(4, base=(3, 3)),
    ]  # fmt: skip

    levels = levels_of(everything, 1000)

    assert 4 * levels.passes + 1 * levels.together + 2 * levels.answers == pytest.approx(1 / 1000)
    assert levels_of([seen(base=(1, 1))], 1000).passes is None


def test_a_suite_is_told_what_it_can_see():
    assert passes_needed(5, 8, 1, 1000) == 0
    assert passes_needed(20, 8, 4, 1000) == 8
    assert passes_needed(5, 200, 4, 1_000_000) is None


def test_a_steady_noisy_model_alarms_no_more_often_than_its_budget():
    """24 suites of 4 noisy probes over 50 runs, at a budget of one alarm in 200: 6 expected at most."""
    random = np.random.default_rng(20261121)
    alarms = sum(noisy_alarms(random, runs_between_alarms=200) for _ in range(24))

    # Exact tests of counts stay below the budget; more of them: benchmarks/probes.py.
    assert alarms <= 6


def noisy_alarms(random, runs_between_alarms):
    """Alarms of one suite whose 4 probes pass by chance, the same over 50 runs of 10 answers each."""
    share = random.uniform(0.6, 1.0, 4)
    base, stored, past, alarms = random.binomial(20, share), 20, [], 0
    for _ in range(50):
        now = random.binomial(10, share)
        recent = [(int(sum(p[k] for p in past[-3:]) + now[k]), 10 * (len(past[-3:]) + 1)) if past else None
                  for k in range(4)]  # fmt: skip
        each = [seen(k, 1, int(now[k]), 10, (int(base[k]), stored), recent=recent[k]) for k in range(4)]
        target, _ = next(iter(judge_run(each, runs_between_alarms, seed=1)))
        alarms += target.is_changed
        if target.is_changed:
            past = []
        elif stored < 100:
            base, stored = base + now, stored + 10
        else:
            past.append(now)
    return alarms


@pytest.mark.parametrize("seed", [1, 66])
def test_a_change_of_every_answer_is_seen_whatever_divisions_are_drawn(seed):
    # With 6,000 divisions one or two of seed 66 lie as far apart as what was seen: one in 53,130 does.
    steady, fenced = ['{"name": "Ada", "age": 36}'] * 20, ['Here:\n```json\n{"name": "Ada", "age": 36}\n```'] * 5
    one, other = vectors_of([*steady, *fenced]), vectors_of(["17 times 23 is 391."] * 25)
    each = [Seen(key, 1, 5, 5, 25, 25, None, texts[:20], texts[20:]) for key, texts in ((1, one), (2, other))]

    target, _ = next(iter(judge_run(each, 1000, seed=seed)))

    assert [evidence.kind for evidence in target.evidence] == ["answers"]
    assert target.evidence[0].p < 1 / 5000
