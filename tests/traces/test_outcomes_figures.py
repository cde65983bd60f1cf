"""What one session adds to an outcome, and what an outcome may measure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from traces.behaviour.types import NOTHING, Behaviour, Fact, Seen, Stratum, Turn
from traces.outcomes.figures import figure, figures, matches
from traces.outcomes.presets import PRESETS
from traces.outcomes.spec import Condition, SpecRefused, parse_outcome, to_json
from traces.outcomes.types import Unit
from traces.outcomes.words import sentence
from traces.signals.kinds import Kind, Source

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
CONVERSION = [{"kind": "conversion"}]
UNKNOWN, NOT_ABOUT = (None, None), None


def make_unit(
    *seen,
    facts=NOTHING,
    stratum=Stratum.CARRIED_ON,
    cost=10**10,
    feature="chat",
    turns=(),
    closed=True,
    told_turns=None,
):
    found = Behaviour(
        feature="chat", first_at=NOON, last_at=NOON, closes_at=NOON, is_closed=closed, last_trace_id=None,
        turns=len(turns) if told_turns is None else told_turns, answers=len(turns), facts=facts,
        stratum=Stratum.UNKNOWN if facts & Fact.LONE else stratum, vote=0, votes=0, rating=None,
        length_seconds=None,
    )  # fmt: skip
    return Unit(found, seen, cost, turns or None)


def signal(kind=Kind.CONVERSION, name="purchase", after=60.0, trace=None, source=Source.API, **value):
    at = NOON + timedelta(seconds=after)
    return Seen(kind, name, source, at, None if trace is None else UUID(int=trace), **value)


def turn(n, at, has_answer=True):
    return Turn(UUID(int=n), NOON + timedelta(seconds=at), None, "chat", None, None, has_answer, failed=not has_answer)


def adds(told, unit):
    found = figure(parse_outcome(told), unit)
    return found if found in (UNKNOWN, NOT_ABOUT) else tuple(map(str, found))


SHARE = {"measure": "share", "of": CONVERSION}
COST = {"measure": "cost", "of": CONVERSION}
VALUE = {"measure": "value", "of": CONVERSION}
REVENUE = {**VALUE, "per": "session"}
TIME = {"measure": "time", "of": CONVERSION}
ANSWERS = {"measure": "answers", "of": CONVERSION}
LEFT = {"measure": "share", "of": [{"fact": "abandoned"}]}
TURNS = (turn(1, 0), turn(2, 30, has_answer=False), turn(3, 50), turn(4, 90))


@pytest.mark.parametrize(
    ("told", "unit", "expected"),
    [
        (SHARE, make_unit(), ("1", "0")),
        (SHARE, make_unit(signal()), ("1", "1")),
        (SHARE, make_unit(signal(), signal(after=90)), ("1", "1")),
        (SHARE, make_unit(signal(Kind.THUMB)), ("1", "0")),
        # Told not to have happened, in the words senders have for it.
        (SHARE, make_unit(signal(truth=False)), ("1", "0")),
        (SHARE, make_unit(signal(number=0.0)), ("1", "1")),  # a conversion of no value is one
        ({"measure": "share", "of": [{"kind": "completed"}]}, make_unit(signal(Kind.COMPLETED, number=0)), ("1", "0")),
        ({"measure": "share", "of": [{"name": "closed"}]}, make_unit(signal(Kind.OTHER, "closed")), ("1", "1")),
        ({"measure": "share", "of": [{"name": "left"}]}, make_unit(signal(Kind.OTHER, "left", number=0)), ("1", "1")),
        ({"measure": "share", "of": [{"name": "x"}]}, make_unit(signal(Kind.OTHER, "x", truth=False)), ("1", "0")),
        # Facts: seen, not seen, and of a trace without a session not known whatever they are.
        (LEFT, make_unit(facts=Fact.ABANDONED), ("1", "1")),
        (LEFT, make_unit(), ("1", "0")),
        (LEFT, make_unit(facts=Fact.LONE), UNKNOWN),
        (LEFT, make_unit(facts=Fact.LONE | Fact.ABANDONED), UNKNOWN),
        ({"measure": "share", "of": [{"fact": "corrected"}]}, make_unit(facts=Fact.WORDLESS), UNKNOWN),
        ({"measure": "share", "of": [{"fact": "corrected"}, {"kind": "conversion"}]},
         make_unit(signal(), facts=Fact.WORDLESS), UNKNOWN),
        (LEFT, make_unit(facts=Fact.WORDLESS), ("1", "0")),
        ({"measure": "share", "of": [{"fact": "retried"}]}, make_unit(facts=Fact.WORDLESS | Fact.RETRIED), UNKNOWN),
        ({"measure": "share", "of": [{"fact": "completed"}]}, make_unit(facts=Fact.WORDLESS), ("1", "0")),
        (LEFT, make_unit(facts=Fact.SINGLE_SHOT), UNKNOWN),  # one answer is the whole job
        (LEFT, make_unit(stratum=Stratum.UNKNOWN), UNKNOWN),  # none was given
        (SHARE, make_unit(signal(), facts=Fact.LONE), ("1", "1")),
        # Only among sessions with something, only of a feature.
        ({**SHARE, "among": [{"kind": "thumb"}]}, make_unit(signal()), NOT_ABOUT),
        ({**SHARE, "among": [{"kind": "thumb"}]}, make_unit(signal(Kind.THUMB, vote=-1)), ("1", "0")),
        ({**SHARE, "among": [{"fact": "retried"}]}, make_unit(facts=Fact.LONE), UNKNOWN),
        ({**SHARE, "features": ["checkout"]}, make_unit(signal()), NOT_ABOUT),
        ({**SHARE, "features": ["chat", "checkout"]}, make_unit(signal()), ("1", "1")),
        # Cost: that of all, also of those without; not known is not 0.
        (COST, make_unit(signal(), cost=12_345), ("1", "1.2345E-8")),
        (COST, make_unit(cost=2 * 10**12), ("0", "2.000000000000")),
        (COST, make_unit(signal(), cost=None), UNKNOWN),
        (COST, make_unit(cost=0), ("0", "0E-12")),
        # Values.
        (VALUE, make_unit(), NOT_ABOUT),
        (VALUE, make_unit(signal(number=0.1), signal(number=0.2)), ("1", "0.300000000")),
        (VALUE, make_unit(signal(number=0.1), signal()), UNKNOWN),
        (VALUE, make_unit(signal(number=float("nan"))), UNKNOWN),
        (VALUE, make_unit(signal(number=1e300)), UNKNOWN),
        (VALUE, make_unit(signal(number=-3.5)), ("1", "-3.500000000")),
        (REVENUE, make_unit(), ("1", "0")),
        (REVENUE, make_unit(signal()), UNKNOWN),
        # Times: of the first; one before the first turn is none.
        (TIME, make_unit(), NOT_ABOUT),
        (TIME, make_unit(signal(after=90), signal(after=30.25)), ("1", "30.250000")),
        (TIME, make_unit(signal(after=-0.001)), UNKNOWN),
        # Answers: by the turn it is about, else by the time; only where all turns are known.
        (ANSWERS, make_unit(signal(after=500, trace=3), turns=TURNS), ("1", "2")),
        (ANSWERS, make_unit(signal(after=60), turns=TURNS), ("1", "2")),
        (ANSWERS, make_unit(signal(after=60, trace=77), turns=TURNS), ("1", "2")),
        (ANSWERS, make_unit(signal(after=-5), turns=TURNS), UNKNOWN),
        (ANSWERS, make_unit(signal(after=60), turns=TURNS, told_turns=900), UNKNOWN),
        (ANSWERS, make_unit(signal(after=60)), UNKNOWN),
    ],
)  # fmt: skip
def test_what_a_session_adds(told, unit, expected):
    assert adds(told, unit) == expected


@pytest.mark.parametrize(
    ("condition", "seen", "expected"),
    [
        ({"kind": "thumb", "is": True}, signal(Kind.THUMB, vote=1), True),
        ({"kind": "thumb", "is": True}, signal(Kind.THUMB, vote=-1, truth=True), False),  # thumbs_down: true
        ({"kind": "thumb", "is": False}, signal(Kind.THUMB, vote=-1, truth=True), True),
        ({"kind": "thumb"}, signal(Kind.THUMB, vote=0), False),  # taken back
        ({"kind": "rating", "at_least": 4}, signal(Kind.RATING, number=4.0), True),
        ({"kind": "rating", "at_least": 4}, signal(Kind.RATING, number=3.9), False),
        ({"kind": "rating", "at_most": 2}, signal(Kind.RATING, number=1.0), True),
        ({"kind": "rating", "at_least": 4}, signal(Kind.RATING, label="5"), False),
        ({"name": "plan", "label": "pro"}, signal(Kind.OTHER, "plan", label="pro"), True),
        ({"name": "plan", "label": "pro"}, signal(Kind.OTHER, "plan", label="free"), False),
        ({"name": "ok", "is": True}, signal(Kind.OTHER, "ok", number=1.0), True),
        ({"name": "ok", "is": True}, signal(Kind.OTHER, "ok"), False),
        ({"name": "Ok"}, signal(Kind.OTHER, "ok"), False),
        # Of a kind is what users do; under its name anybody's word is looked at.
        ({"kind": "rating"}, signal(Kind.RATING, "stars", source=Source.REVIEWER, number=5.0), False),
        ({"name": "stars"}, signal(Kind.RATING, "stars", source=Source.REVIEWER, number=5.0), True),
        ({"name": "tone", "at_least": 0.5}, signal(Kind.OUTSIDE, "tone", source=Source.MODEL, number=0.8), True),
    ],
)
def test_a_condition_looks_at_kind_name_and_value(condition, seen, expected):
    (read,) = parse_outcome({"measure": "share", "of": [condition]}).of

    assert matches(read, seen) is expected


def test_sessions_that_are_open_add_nothing():
    specs = [(7, parse_outcome(SHARE)), (9, parse_outcome(TIME))]

    assert figures(specs, make_unit(signal(), closed=False)) == ()
    assert [each.outcome_id for each in figures(specs, make_unit())] == [7]
    assert [str(each.y) for each in figures(specs, make_unit(signal()))] == ["1", "60.000000"]


@pytest.mark.parametrize(
    ("told", "field"),
    [
        (None, "spec"),
        ([], "spec"),
        ({}, "measure"),
        ({"measure": "share"}, "of"),
        ({"measure": "share", "of": "conversion"}, "of"),
        ({"measure": "share", "of": [{}]}, "of[0]"),
        ({"measure": "share", "of": [{"kind": "conversion", "fact": "abandoned"}]}, "of[0]"),
        ({"measure": "share", "of": [{"kind": "other"}]}, "of[0].kind"),
        ({"measure": "share", "of": [{"kind": ["conversion"]}]}, "of[0].kind"),
        ({"measure": "share", "of": [{"name": "  "}]}, "of[0].name"),
        ({"measure": "share", "of": [{"name": "x" * 201}]}, "of[0].name"),
        ({"measure": "share", "of": [{"name": "a\x00b"}]}, "of[0].name"),
        ({"measure": "share", "of": [{"name": "a\ud800"}]}, "of[0].name"),
        ({"measure": "share", "of": [{"fact": "abandoned", "is": True}]}, "of[0].is"),
        ({"measure": "share", "of": [{"kind": "rating", "at_least": True}]}, "of[0].at_least"),
        ({"measure": "share", "of": [{"kind": "rating", "at_least": float("inf")}]}, "of[0].at_least"),
        ({"measure": "share", "of": [{"kind": "rating", "at_least": 10**400}]}, "of[0].at_least"),
        ({"measure": "share", "of": [{"kind": "rating", "at_least": 1, "at_most": 2}]}, "of[0]"),
        ({"measure": "share", "of": [{"kind": "rating", "over": 1}]}, "of[0].over"),
        ({"measure": "share", "of": CONVERSION, "among": {}}, "among"),
        ({"measure": "share", "of": [{"name": str(n)} for n in range(11)]}, "of"),
        ({"measure": "share", "of": CONVERSION, "per": "session"}, "per"),
        ({"measure": "cost", "of": CONVERSION, "unit": "EUR"}, "unit"),
        ({"measure": "value", "of": [{"fact": "completed"}]}, "of[0].fact"),
        ({"measure": "time", "of": [{"kind": "conversion"}, {"fact": "completed"}]}, "of[1].fact"),
        ({"measure": "share", "of": CONVERSION, "features": [1]}, "features[0]"),
        ({"measure": "share", "of": CONVERSION, "better": "up"}, "better"),
        ({"measure": "share", "of": CONVERSION, "colour": "red"}, "colour"),
    ],
)
def test_a_measure_that_cannot_be_is_refused_by_its_field(told, field):
    with pytest.raises(SpecRefused) as refused:
        parse_outcome(told)

    assert refused.value.field == field


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.slug)
def test_presets_are_measures_that_say_what_they_are(preset):
    spec = parse_outcome(preset.told)

    assert parse_outcome(to_json(spec)) == spec
    assert sentence(spec).endswith(".")


def test_a_measure_says_itself_in_a_sentence():
    told = {
        "measure": "share", "of": [{"kind": "thumb", "is": True}, {"kind": "rating", "at_least": 4}],
        "among": [{"name": "plan", "label": "pro"}], "features": ["shop"],
    }  # fmt: skip

    assert sentence(parse_outcome(told)) == (
        "Sessions with a thumb up or a rating of at least 4, as a share of those with a signal “plan” “pro” of shop."
    )
    assert sentence(parse_outcome(COST)) == "Cost of all sessions, divided by those with a conversion."


def test_the_same_condition_twice_is_one():
    spec = parse_outcome({"measure": "share", "of": [*CONVERSION, *CONVERSION]})

    assert spec.of == (Condition(kind=Kind.CONVERSION),)
    assert Decimal(1) == figure(spec, make_unit(signal()))[1]
