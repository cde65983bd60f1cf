"""Rules about how an answer came about: what is not known is never a low score, nor a good one."""

from __future__ import annotations

import pytest

from evals.judges import ConfigRefused, Document, Material, Tool, Unusable, Verdict, check_fit, parse_config, run_rules
from evals.judges.documents import judge_documents
from evals.rubrics import parse_rubric

YES = {"kind": "boolean"}


def make_rubric(**scales):
    criteria = [{"key": key, "definition": "x", "scale": scale} for key, scale in scales.items()]
    return parse_rubric({"criteria": criteria})


def run(material, *rules, **scales):
    scales = scales or {"it": YES}
    rubric = make_rubric(**scales)
    config = parse_config("rule", {"rules": [{"criterion": "it"} | rule for rule in rules]})
    check_fit(rubric, config)
    return run_rules(rubric, config, material)


def judge(material, kind, **settings):
    """True, False, or None where unsure."""
    score = run(material, {"kind": kind} | settings).scores[0]
    assert score.reason
    return None if score.is_unsure else bool(score.number)


def docs(*scores):
    return tuple(Document(f"doc-{at}", f"text {at}", score, at) for at, score in enumerate(scores, 1))


@pytest.mark.parametrize(
    ("kind", "settings", "material", "found"),
    [
        ("latency", {"at_most_ms": 500}, Material(duration_ms=500), True),
        ("latency", {"at_most_ms": 500}, Material(duration_ms=500.5), False),
        ("latency", {"at_most_ms": 500}, Material(), None),
        ("latency", {"at_most_ms": 500, "of": "ttft"}, Material(duration_ms=1, ttft_ms=900), False),
        ("latency", {"at_most_ms": 500, "of": "ttft"}, Material(duration_ms=1), None),
        ("cost", {"at_most_usd": "0.0000000001"}, Material(cost_pico=100), True),
        ("cost", {"at_most_usd": "0.0000000001"}, Material(cost_pico=101), False),
        ("cost", {"at_most_usd": 0.01}, Material(cost_pico=0), True),
        ("cost", {"at_most_usd": 0.01}, Material(), None),
        ("tokens", {"at_most": 10}, Material(output_tokens=11), False),
        ("tokens", {"at_most": 10, "of": "input"}, Material(output_tokens=11, input_tokens=10), True),
        ("tokens", {"at_most": 10}, Material(), None),
        ("no_error", {}, Material(), True),
        ("no_error", {}, Material(error_type="Timeout"), False),
        ("no_error", {}, Material(tools=(Tool("search", error="boom"),)), False),
        ("no_error", {"tools": False}, Material(tools=(Tool("search", error="boom"),)), True),
        ("finish", {}, Material(finish_reason="stop"), True),
        ("finish", {}, Material(finish_reason="length"), False),
        ("finish", {}, Material(), None),
        ("tools", {"called": ["a"]}, Material(tools=(Tool("a"), Tool("b"))), True),
        ("tools", {"called": ["a", "c"]}, Material(tools=(Tool("a"), Tool("b"))), False),
        ("tools", {"not_called": ["b"]}, Material(tools=(Tool("a"), Tool("b"))), False),
        ("documents", {}, Material(), False),
        ("documents", {"at_least": 2}, Material(documents=docs(0.1, None)), True),
        ("documents", {"score_at_least": 0.5}, Material(documents=docs(0.1, 0.5)), True),
        ("documents", {"score_at_least": 0.5}, Material(documents=docs(0.1, 0.4)), False),
        ("documents", {"score_at_least": 0.5}, Material(documents=docs(0.1, None)), None),
        ("cites", {}, Material(answer="As in [2]."), None),
        ("cites", {}, Material(answer="As in [2].", documents=docs(1, 1)), True),
        ("cites", {}, Material(answer="As in 【1†source】.", documents=docs(1, 1)), True),
        ("cites", {}, Material(answer="See doc-1.", documents=docs(1, 1)), True),
        ("cites", {"at_least": 2}, Material(answer="See [1], [1].", documents=docs(1, 1)), False),
        ("cites", {}, Material(answer="As in [3].", documents=docs(1, 1)), False),
        ("cites", {}, Material(answer="No marks.", documents=docs(1, 1)), False),
        ("numbers", {}, Material(answer="60 days"), None),
        ("numbers", {}, Material(answer="60 days", documents=(Document("", "within 30 days"),)), False),
        ("numbers", {}, Material(answer="30 days [1], 2 ways", documents=(Document("", "within 30 days"),)), True),
        ("numbers", {}, Material(answer="$1,200.50", documents=(Document("", "1200.5 USD"),)), True),
        ("numbers", {}, Material(answer="1,200 pieces", documents=(Document("", "1200 pieces"),)), True),
        ("numbers", {}, Material(answer="9.50", documents=(Document("", "9,5"),)), True),
        ("numbers", {}, Material(question="for 17?", answer="17", tools=(Tool("t", result="x"),)), True),
        ("relevance", {}, Material(question="gift receipt lost"), None),
        ("relevance", {}, Material(question="??", documents=docs(1)), None),
        ("relevance", {}, Material(question="lost receipt", documents=(Document("", "Receipts, lost"),)), True),
        ("relevance", {"at_least": 0.9, "of": "mean"},
         Material(question="lost receipt", documents=(Document("", "lost receipt"), Document("", "hats"))), False),
        ("exact", {}, Material(answer="Paris "), None),
        ("exact", {}, Material(answer=" PARIS ", expected="paris"), True),
        ("exact", {}, Material(answer="Paris!", expected="Paris"), False),
        ("expression", {"expression": "duration_ms"}, Material(), None),
        ("expression", {"expression": "len(answer) > 1"}, Material(answer="ab"), True),
    ],
)  # fmt: skip
def test_rule(kind, settings, material, found):
    assert judge(material, kind, **settings) is found


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "latency"}, "rules[0].at_most_ms"),
        ({"kind": "latency", "at_most_ms": -1}, "rules[0].at_most_ms"),
        ({"kind": "latency", "at_most_ms": 1, "of": "lunch"}, "rules[0].of"),
        ({"kind": "cost", "at_most_usd": "much"}, "rules[0].at_most_usd"),
        ({"kind": "cost", "at_most_usd": True}, "rules[0].at_most_usd"),
        ({"kind": "cost", "at_most_usd": "NaN"}, "rules[0].at_most_usd"),
        ({"kind": "cost", "at_most_usd": "Infinity"}, "rules[0].at_most_usd"),
        ({"kind": "cost", "at_most_usd": -1}, "rules[0].at_most_usd"),
        ({"kind": "tokens", "at_most": 1.5}, "rules[0].at_most"),
        ({"kind": "finish", "reasons": []}, "rules[0].reasons"),
        ({"kind": "tools"}, "rules[0].called"),
        ({"kind": "documents", "at_least": 0}, "rules[0].at_least"),
        ({"kind": "documents", "score_at_least": "high"}, "rules[0].score_at_least"),
        ({"kind": "relevance", "at_least": 1.1}, "rules[0].at_least"),
        ({"kind": "expression", "expression": "answer.__class__"}, "rules[0].expression"),
        ({"kind": "expression", "expression": "x" * 2001}, "rules[0].expression"),
        ({"kind": "no_error", "tools": "no"}, "rules[0].tools"),
    ],
)
def test_refusal_names_the_field(rule, field):
    with pytest.raises(ConfigRefused) as refused:
        parse_config("rule", {"rules": [{"criterion": "it"} | rule]})

    assert refused.value.field == field


FIVE = {"kind": "points", "low": 1, "high": 5}
GRADES = {"kind": "labels", "labels": ["short", "long"]}


@pytest.mark.parametrize(
    ("scale", "expression", "found"),
    [
        (FIVE, "len(answer)", (4.0, None)),
        (FIVE, "2.0", (2.0, None)),
        (FIVE, "2.5", "out_of_range"),
        (FIVE, "7", "out_of_range"),
        (FIVE, "True", "unparsable"),
        (FIVE, "'4'", "unparsable"),
        (FIVE, "[4]", "unparsable"),
        (FIVE, "1 / 0", "unparsable"),
        (YES, "1", "unparsable"),
        (YES, "answer", "unparsable"),
        (GRADES, "'long' if len(answer) > 3 else 'short'", (2, "long")),
        (GRADES, "'LONG'", "out_of_range"),
        (GRADES, "2", "unparsable"),
    ],
)
def test_expression_gives_a_level_or_nothing(scale, expression, found):
    verdict = run(Material(answer="abcd"), {"kind": "expression", "expression": expression}, it=scale)

    if isinstance(found, str):
        assert isinstance(verdict, Unusable)
        assert verdict.kind == found
        assert verdict.told
    else:
        assert (verdict.scores[0].number, verdict.scores[0].label) == found


@pytest.mark.parametrize(
    ("material", "number", "is_unsure"),
    [
        (Material(answer="ok", duration_ms=10), 1.0, False),
        (Material(answer="ok", duration_ms=5000), 0.0, False),
        (Material(answer="ok"), None, True),
        (Material(answer="far too long"), 0.0, False),
    ],
)
def test_all_rules_of_a_criterion_must_hold(material, number, is_unsure):
    score = run(material, {"kind": "length", "at_most": 5}, {"kind": "latency", "at_most_ms": 1000}).scores[0]

    assert (score.number, score.is_unsure) == (number, is_unsure)


@pytest.mark.parametrize(
    ("rules", "scales", "field"),
    [
        ([{"kind": "pii", "criterion": "other"}], {"it": YES}, "rules[0].criterion"),
        ([{"kind": "pii"}], {"it": YES, "more": YES}, "rules"),
        ([{"kind": "pii"}], {"it": FIVE}, "rules[0].kind"),
        ([{"kind": "language"}], {"it": YES}, "rules[0].languages"),
        ([{"kind": "language"}], {"it": FIVE}, "rules[0].kind"),
        ([{"kind": "expression", "expression": "1"}] * 2, {"it": FIVE}, "rules[0].criterion"),
    ],
)
def test_rules_that_do_not_fit_the_rubric_are_refused(rules, scales, field):
    with pytest.raises(ConfigRefused) as refused:
        run(Material(), *rules, **scales)

    assert refused.value.field == field


def test_format_compliance_of_known_data_is_the_known_figure():
    good, bad = '{"total": 12, "currency": "EUR"}', ('{"total": "12"}', "The total is 12.", '{"total": 12', "")
    answers = [good if at % 16 else bad[at // 16 % 4] for at in range(1600)]
    schema = {
        "type": "object",
        "required": ["total", "currency"],
        "properties": {"total": {"type": "integer"}, "currency": {"enum": ["EUR", "USD"]}},
    }

    kept = [judge(Material(answer=answer), "json_schema", schema=schema) for answer in answers]

    assert kept.count(True) == 1500
    assert kept.count(False) == 100


def test_same_material_gets_the_same_verdict():
    material = Material(question="lost receipt", answer="Ask us.", documents=docs(0.5))
    rules = [{"kind": "pii"}, {"kind": "relevance"}, {"kind": "language", "languages": ["en"]}]

    found = {str(run(material, *rules)) for _ in range(3)}

    assert len(found) == 1


def test_relevance_of_each_document_is_told():
    material = Material(
        question="lost gift receipt",
        documents=(Document("a", "A lost gift", 0.7, 1, 5), Document("b", "Shipping", 0.1, 2, 5)),
    )

    verdict = run(material, {"kind": "relevance"})

    assert isinstance(verdict, Verdict)
    told = [(d.rank, d.document_id, round(d.relevance, 2), d.retrieval_score, d.span_id) for d in verdict.documents]
    assert told == [
        (1, "a", 0.67, 0.7, 5), (2, "b", 0.0, 0.1, 5),
    ]  # fmt: skip
    assert judge_documents(Material(question="?")) is None
    assert len(judge_documents(Material(question="hat", documents=docs(*[1] * 80)))) == 50
