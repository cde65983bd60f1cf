"""Vague criteria are remarked upon; clear ones are left alone."""

from __future__ import annotations

import pytest

from evals.rubrics import lint, parse_rubric

ANCHORS = {"1": "no claim has a source", "3": "one claim has none", "5": "each claim has one"}
CLEAR = {
    "key": "sources",
    "title": "Sources",
    "definition": "Each claim of the answer is found in one of the documents.",
    "scale": {"kind": "points", "low": 1, "high": 5, "anchors": ANCHORS},
}


def remarks(*criteria):
    return [(each.criterion, each.text) for each in lint(parse_rubric({"criteria": list(criteria)}))]


def test_clear_criterion_gets_no_remark():
    assert remarks(CLEAR) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"definition": "Says it."}, "very short"),
        ({"definition": "The answer is helpful and of high quality for whoever asked it."}, "“helpful” and “quality”"),
        ({"definition": "The person who asked feels satisfied after reading the whole answer."}, "“feels” and “satisf"),
        ({"definition": "The answer is correct in each claim and polite in each sentence of it."}, "correctness, tone"),
        ({"title": "Sources and style"}, "names two things"),
        ({"scale": {"kind": "points", "low": 1, "high": 5}}, "No level says"),
        ({"scale": {"kind": "points", "low": 1, "high": 5, "anchors": {"3": "half"}}}, "An end of the scale"),
        ({"scale": {"kind": "points", "low": 1, "high": 5, "anchors": {"1": "a", "5": "b"}}}, "Only the ends"),
        (
            {"scale": {"kind": "points", "low": 0, "high": 100, "anchors": {"0": "a", "50": "b", "100": "c"}}},
            "101 levels",
        ),
        ({"scale": {"kind": "labels", "labels": ["x", "y"]}}, "the label “x”, “y”"),
        ({"title": "Toxicity", "scale": {"kind": "boolean"}}, "names a fault"),
    ],
)
def test_vague_criterion_is_remarked_upon(changes, words):
    found = remarks(CLEAR | changes)

    assert any(words in text for _, text in found), found
    assert all(key in ("sources", "") for key, _ in found)


def test_two_criteria_that_ask_the_same_are_named():
    twin = CLEAR | {"key": "evidence", "title": "Evidence", "definition": CLEAR["definition"] + " Exactly."}

    assert remarks(CLEAR, twin) == [("evidence", "It asks nearly the same as “Sources”. Count a fault once.")]


def test_fault_turned_round_is_clear():
    assert remarks(CLEAR | {"title": "No toxicity", "scale": {"kind": "boolean"}}) == []
