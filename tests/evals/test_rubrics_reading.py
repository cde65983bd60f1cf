"""A rubric is read whole or refused with the field and the limit."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.judges import JUDGE_PRESETS, check_fit, config_json, parse_config
from evals.rubrics import PRESETS, RubricRefused, Scale, lint, parse_rubric, to_json

FIVE = {"kind": "points", "low": 1, "high": 5}


def make_spec(**changes):
    criterion = {"key": "correctness", "title": "Correctness", "definition": "Claims have sources.", "scale": FIVE}
    return {"criteria": [criterion | changes]}


@pytest.mark.parametrize(
    ("spec", "field", "limit"),
    [
        ([], "rubric", ""),
        ({}, "criteria", ""),
        ({"criteria": []}, "criteria", ""),
        ({"criteria": "x"}, "criteria", ""),
        ({"criteria": [1]}, "criteria[0]", ""),
        ({"criteria": [], "more": 1}, "rubric.more", "criteria, instructions"),
        ({"criteria": make_spec()["criteria"] * 2}, "criteria[1].key", ""),
        ({"criteria": make_spec()["criteria"] * 21}, "criteria", "20"),
        ({**make_spec(), "instructions": "x" * 8001}, "instructions", "8,000 characters"),
        (make_spec(key="Not a key"), "criteria[0].key", "50 characters"),
        (make_spec(key="_hidden"), "criteria[0].key", "50 characters"),
        (make_spec(key=None), "criteria[0].key", "50 characters"),
        (make_spec(definition="  "), "criteria[0].definition", ""),
        (make_spec(definition="x" * 4001), "criteria[0].definition", "4,000 characters"),
        (make_spec(definition="nul \x00"), "criteria[0].definition", ""),
        (make_spec(definition="half \ud800"), "criteria[0].definition", ""),
        (make_spec(definition=3), "criteria[0].definition", ""),
        (make_spec(scale=None), "criteria[0].scale", ""),
        (make_spec(scale={"kind": "stars"}), "criteria[0].scale.kind", ""),
        (make_spec(scale={"kind": "points", "low": 5, "high": 5}), "criteria[0].scale.high", "> 5"),
        (make_spec(scale={"kind": "points", "low": 0, "high": 101}), "criteria[0].scale.high", "-100 to 100"),
        (make_spec(scale={"kind": "points", "low": -100, "high": 100}), "criteria[0].scale.high", "101"),
        (make_spec(scale={"kind": "points", "low": True}), "criteria[0].scale.low", ""),
        (make_spec(scale={"kind": "points", "low": 1.5}), "criteria[0].scale.low", ""),
        (make_spec(scale={"kind": "boolean", "high": 1}), "criteria[0].scale.high", ""),
        (make_spec(scale={"kind": "labels", "labels": ["one"]}), "criteria[0].scale.labels", "2 to 20"),
        (make_spec(scale={"kind": "labels", "labels": ["One", "one"]}), "criteria[0].scale.labels", ""),
        (make_spec(scale={"kind": "labels", "labels": ["a", ""]}), "criteria[0].scale.labels[1]", ""),
        (make_spec(scale={"kind": "labels", "labels": ["a", "b"], "ordered": 1}), "criteria[0].scale.ordered", ""),
        (make_spec(scale={**FIVE, "anchors": {"6": "x"}}), "criteria[0].scale.anchors", ""),
        (make_spec(scale={**FIVE, "anchors": {"5": ""}}), "criteria[0].scale.anchors.5", ""),
        (make_spec(scale={**FIVE, "anchors": {"5": "x" * 501}}), "criteria[0].scale.anchors.5", "500 characters"),
        (make_spec(flag_at_most=5), "criteria[0].flag_at_most", "1 to below 5"),
        (make_spec(flag_at_most=0), "criteria[0].flag_at_most", "1 to below 5"),
        (make_spec(flag_at_most=True), "criteria[0].flag_at_most", ""),
        (make_spec(flag_at_most=float("nan")), "criteria[0].flag_at_most", "1 to below 5"),
        (make_spec(examples=[{"answer": "x", "level": 6}]), "criteria[0].examples[0].level", "1, 2, 3, 4, 5"),
        (make_spec(examples=[{"level": 5}]), "criteria[0].examples[0].answer", ""),
        (make_spec(examples=[{"answer": "x", "level": 5}] * 6), "criteria[0].examples", "5"),
        (
            make_spec(scale={"kind": "labels", "labels": ["a", "b"], "ordered": False}, flag_at_most="a"),
            "criteria[0].flag_at_most",
            "",
        ),
    ],
)
def test_refusal_names_field_and_limit(spec, field, limit):
    with pytest.raises(RubricRefused) as refused:
        parse_rubric(spec)

    assert refused.value.field == field
    assert refused.value.limit == limit
    assert refused.value.message


@pytest.mark.parametrize(
    ("scale", "levels", "names", "units"),
    [
        (Scale.points(1, 5), (1, 2, 3, 4, 5), ("1", "2", "3", "4", "5"), {1: 0.0, 3: 0.5, 5: 1.0}),
        (Scale.points(-1, 1), (-1, 0, 1), ("-1", "0", "1"), {-1: 0.0, 0: 0.5, 1: 1.0}),
        (Scale.yes_no(), (0, 1), ("no", "yes"), {0: 0.0, 1: 1.0}),
        (Scale.of_labels("bad", "fair", "good"), (1, 2, 3), ("bad", "fair", "good"), {1: 0.0, 2: 0.5, 3: 1.0}),
        (Scale.of_labels("de", "en", is_ordered=False), (), ("de", "en"), {1: None}),
    ],
)
def test_scale_knows_all_its_levels(scale, levels, names, units):
    assert scale.levels == levels
    assert scale.names == names
    assert {x: scale.to_unit(x) for x in units} == units


def test_labels_are_numbered_from_the_worst():
    ordered, plain = Scale.of_labels("bad", "good"), Scale.of_labels("de", "en", is_ordered=False)

    assert (ordered.number_of("bad"), ordered.number_of("good")) == (1, 2)
    assert plain.number_of("de") is None
    with pytest.raises(KeyError):
        ordered.number_of("fair")


def test_flag_may_be_named_by_label_or_by_no():
    labels = make_spec(scale={"kind": "labels", "labels": ["bad", "fair", "good"]}, flag_at_most="fair")
    boolean = make_spec(scale={"kind": "boolean"}, flag_at_most=False)

    assert parse_rubric(labels).criteria[0].flag_at_most == 2
    assert parse_rubric(boolean).criteria[0].flag_at_most == 0


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.slug)
def test_preset_is_clear_and_names_its_source(preset):
    rubric = parse_rubric(preset.spec)

    assert lint(rubric) == ()
    assert preset.source
    assert preset.about
    assert parse_rubric(json.loads(json.dumps(to_json(rubric)))) == rubric


def test_presets_cover_the_criteria_people_look_for():
    asked = {each.key for preset in PRESETS for each in parse_rubric(preset.spec).criteria}

    assert asked >= {
        "correctness", "completeness", "tone", "helpfulness", "safety", "relevance", "groundedness", "no_toxicity",
        "resists_injection",
    }  # fmt: skip


@pytest.mark.parametrize("preset", JUDGE_PRESETS, ids=lambda preset: f"{preset.kind}-{preset.slug}")
def test_judge_preset_fits_its_rubric(preset):
    rubric, config = parse_rubric(preset.rubric), parse_config(preset.kind, preset.config)

    check_fit(rubric, config)

    assert lint(rubric) == ()
    assert parse_config(preset.kind, json.loads(json.dumps(config_json(config)))) == config


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    field=st.sampled_from(["key", "title", "definition", "scale", "examples", "flag_at_most", "other"]),
    value=json_values,
)
def test_any_json_is_read_or_refused(field, value):
    try:
        rubric = parse_rubric(make_spec(**{field: value}))
    except RubricRefused as refused:
        named = refused.field
    else:
        named = "criteria[0]"
        assert parse_rubric(to_json(rubric)) == rubric
    assert named.startswith("criteria[0]")
