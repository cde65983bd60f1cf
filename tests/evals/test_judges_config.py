"""Settings of a judge are read whole or refused with the field; flags follow them."""

from __future__ import annotations

import pytest

from evals.judges import (
    ConfigRefused,
    CriterionScore,
    FlagRule,
    ModelConfig,
    PlainConfig,
    check_fit,
    config_json,
    flags,
    parse_config,
)
from evals.rubrics import parse_rubric


def make_rubric(*criteria):
    return parse_rubric({"criteria": [{"definition": "x", **each} for each in criteria]})


POINTS = {"kind": "points", "low": 1, "high": 5}
THREE = make_rubric(
    {"key": "correctness", "scale": POINTS, "flag_at_most": 2},
    {"key": "completeness", "scale": POINTS},
    {"key": "tone", "scale": POINTS},
)
TEN = {"kind": "points", "low": 1, "high": 10}
MIXED = make_rubric(
    {"key": "a", "scale": POINTS},
    {"key": "b", "scale": TEN},
    {"key": "topic", "scale": {"kind": "labels", "labels": ["x", "y"], "ordered": False}},
)


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("robot", {}, "kind"),
        ("model", [], "config"),
        ("model", {"rules": []}, "rules"),
        ("model", {"parts": []}, "parts"),
        ("model", {"parts": ["answer", "secrets"]}, "parts[1]"),
        ("model", {"max_chars": 499}, "max_chars"),
        ("model", {"max_chars": 1_000_001}, "max_chars"),
        ("model", {"max_chars": 600.5}, "max_chars"),
        ("model", {"max_output_tokens": 10}, "max_output_tokens"),
        ("model", {"with_documents": 1}, "with_documents"),
        ("model", {"mapping": {"answer": "root"}}, "mapping.answer"),
        ("model", {"mapping": {"answer": 1}}, "mapping.answer"),
        ("model", {"mapping": {"reply": "auto"}}, "mapping.reply"),
        ("model", {"mapping": {"documents": "root.input"}}, "mapping.documents"),
        ("model", {"mapping": {"answer": "span:" + "x" * 201 + ".output"}}, "mapping.answer"),
        ("model", {"flag": {"criteria": [1]}}, "flag.criteria"),
        ("model", {"flag": {"criteria": {"a": "low"}}}, "flag.criteria.a"),
        ("model", {"flag": {"criteria": {"a": float("nan")}}}, "flag.criteria.a"),
        ("model", {"flag": {"mean_at_most": True}}, "flag.mean_at_most"),
        ("rule", {}, "rules"),
        ("rule", {"rules": []}, "rules"),
        ("rule", {"rules": [{"kind": "pii", "criterion": "a"}] * 51}, "rules"),
        ("rule", {"rules": [1]}, "rules[0]"),
        ("rule", {"rules": [{"kind": "magic"}]}, "rules[0].kind"),
        ("rule", {"rules": [{"kind": "pii"}]}, "rules[0].criterion"),
        ("rule", {"rules": [{"kind": "pii", "criterion": "a", "pattern": "x"}]}, "rules[0].pattern"),
        ("person", {"rules": []}, "rules"),
    ],
)
def test_refusal_names_the_field(kind, spec, field):
    with pytest.raises(ConfigRefused) as refused:
        parse_config(kind, spec)

    assert refused.value.field == field


@pytest.mark.parametrize(
    "source",
    [
        "auto", "none", "root.input", "root.output", "first_generation.input", "last_generation.output",
        "span:call model.input", "span:a.b:c.output", "attribute:app.answer", "metadata:plan",
    ],
)  # fmt: skip
def test_sources_of_a_mapping(source):
    config = parse_config("model", {"mapping": {"answer": source}})

    assert config.mapping.answer == source
    assert parse_config("model", config_json(config)) == config


def test_defaults():
    assert parse_config("model", {}) == ModelConfig()
    assert parse_config("person", {}) == parse_config("external", {}) == PlainConfig()


@pytest.mark.parametrize(
    ("rubric", "spec", "field"),
    [
        (THREE, {"flag": {"criteria": {"style": 2}}}, "flag.criteria.style"),
        (THREE, {"flag": {"criteria": {"tone": 5}}}, "flag.criteria.tone"),
        (THREE, {"flag": {"criteria": {"tone": 0}}}, "flag.criteria.tone"),
        (THREE, {"flag": {"mean_at_most": 5}}, "flag.mean_at_most"),
        (MIXED, {"flag": {"mean_at_most": 2}}, "flag.mean_at_most"),
        (MIXED, {"flag": {"criteria": {"topic": 1}}}, "flag.criteria.topic"),
    ],
)
def test_settings_that_do_not_fit_the_rubric_are_refused(rubric, spec, field):
    with pytest.raises(ConfigRefused) as refused:
        check_fit(rubric, parse_config("model", spec))

    assert refused.value.field == field


def scores(*numbers):
    names = ("correctness", "completeness", "tone")
    return [CriterionScore(k, 1, n, is_unsure=n is None) for k, n in zip(names, numbers, strict=True)]


@pytest.mark.parametrize(
    ("flag", "given", "is_flagged"),
    [
        (FlagRule(), (2, 5, 5), True),
        (FlagRule(), (3, 1, 1), False),
        (FlagRule({"tone": 3}), (1, 5, 5), False),
        (FlagRule({"tone": 3}), (5, 5, 3), True),
        (FlagRule({}, 2.5), (3, 2, 2), True),
        (FlagRule({}, 2.5), (3, 3, 2), False),
        (FlagRule({"correctness": 2}, 2.5), (2, 5, 5), True),
        (FlagRule({"correctness": 2}, 2.5), (None, 5, 5), False),
        (FlagRule({"correctness": 2}, 2.5), (None, 2, 3), True),
        (FlagRule({"correctness": 2}, 2.5), (None, None, None), False),
    ],
)
def test_flag(flag, given, is_flagged):
    assert flags(THREE, flag, scores(*given)) is is_flagged
