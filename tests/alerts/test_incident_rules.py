"""The rule of grouping, scopes and timers of incidents: no rows, no clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.incidents import scopes, timeline, wording
from alerts.incidents.grouping import Arrival, Going, choose, order
from alerts.incidents.types import STEPS, Kind, Settings, Step, following

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def arrival(scope=None, *, hours=0.0, metric="errors", monitor=1, direction="up", page=True, severity=2, ref=1):
    start = NOON + hours * HOUR
    return Arrival(
        Kind.ALARM, ref, severity, page, start, start + HOUR, metric=metric, direction=direction, monitor_id=monitor,
        scope=scope or {},
    )  # fmt: skip


def going(scope=None, *, id=1, hours=0.0, wide=False, metrics=("errors",), monitors=(), opened=0):
    began = NOON + hours * HOUR
    opened_at = NOON + opened * HOUR
    return Going(id, scope or {}, wide, began, began + HOUR, opened_at, frozenset(metrics), frozenset(monitors))


RETURNS, CHECKOUT, GPT = {"feature": ("returns",)}, {"feature": ("checkout",)}, {"model": ("gpt-4o",)}


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ({}, {}, 0),
        (RETURNS, {}, 0),
        (RETURNS, RETURNS, 1),
        (RETURNS, CHECKOUT, None),
        (RETURNS, GPT, None),
        (RETURNS, {**RETURNS, **GPT}, 1),
        ({**RETURNS, **GPT}, {**CHECKOUT, **GPT}, None),
        ({"feature": ("a", "b")}, {"feature": ("b", "c")}, 1),
        ({"feature": (None,)}, {"feature": (None,)}, 1),
    ],
)
def test_scopes_agree_where_they_share_and_nowhere_differ(one, other, shared):
    assert scopes.agree(one, other) == scopes.agree(other, one) == shared


def test_the_same_part_at_the_same_time_is_one_incident():
    assert choose(arrival(RETURNS, metric="cost"), [going(RETURNS)]) is not None
    assert choose(arrival(CHECKOUT, metric="cost"), [going(RETURNS)]) is None
    assert choose(arrival(metric="cost"), [going(RETURNS)]) is not None


@pytest.mark.parametrize(("hours", "joins"), [(-2.1, False), (-2, True), (3, True), (3.1, False)])
def test_a_window_joins_from_an_hour_before_to_two_hours_after(hours, joins):
    assert (choose(arrival(RETURNS, metric="cost", hours=hours), [going(RETURNS)]) is not None) == joins


def test_one_metric_in_one_window_is_one_trouble_whatever_the_feature():
    assert choose(arrival(CHECKOUT), [going(RETURNS)]) is not None
    assert choose(arrival(CHECKOUT, hours=1.1), [going(RETURNS)]) is not None
    assert choose(arrival(CHECKOUT, hours=1.5), [going(RETURNS)]) is None


def test_the_same_monitor_in_the_same_direction_goes_to_its_incident_days_later():
    held = going(RETURNS, monitors=[(1, "up")])

    assert choose(arrival(RETURNS, hours=50), [held]) is held
    assert choose(arrival(RETURNS, hours=50, direction="down"), [held]) is None


def test_an_alarm_of_the_whole_project_takes_in_those_of_its_parts():
    assert choose(arrival(CHECKOUT, metric="cost"), [going(RETURNS, wide=True)]) is not None


def test_the_most_specific_incident_wins_then_the_oldest():
    wide, exact, also = going(id=1), going(RETURNS, id=2, opened=2), going(RETURNS, id=3, opened=1)

    assert choose(arrival(RETURNS, metric="cost"), [wide, exact, also]).id == 3
    assert choose(arrival(RETURNS, metric="cost"), [wide, exact]).id == 2


def test_what_pages_is_taken_before_what_does_not():
    late, early, notice = arrival(hours=1, ref=1), arrival(ref=2), arrival(hours=-1, page=False, ref=3)

    assert [one.ref for one in order([notice, late, early])] == [2, 1, 3]


def test_what_members_have_in_common_is_the_scope_of_an_incident():
    assert scopes.common([RETURNS, {**RETURNS, **GPT}, {}]) == RETURNS
    assert scopes.common([RETURNS, CHECKOUT]) == {"feature": ("checkout", "returns")}
    assert scopes.common([RETURNS, GPT]) == RETURNS
    assert scopes.common([{}, {}]) == {}


@given(st.permutations([RETURNS, CHECKOUT, {**RETURNS, **GPT}, {}]))
def test_the_common_scope_does_not_depend_on_who_came_first(told):
    assert scopes.common(told) == {"feature": ("checkout", "returns")}


def test_scopes_pass_through_json_and_are_said_in_words():
    scope = scopes.read({"feature": ["returns", None], "model": "gpt-4o", "filter": "", "view": 3, "nonsense": 1})

    assert scopes.read(scopes.as_json(scope)) == scope
    assert scopes.words(scope) == "feature returns or unknown, model gpt-4o"
    assert scopes.words({}) == "the whole project"
    assert scopes.words({"feature": tuple("abcde")}) == "feature a or b or c or 2 more"


def test_timers_are_those_of_the_guide_unless_a_project_says_otherwise():
    told = Settings()

    assert [told.due(step, 1, NOON) for step in STEPS] == [
        NOON + timedelta(minutes=30), NOON + HOUR, NOON + 2 * HOUR, None, None,
    ]  # fmt: skip
    assert [following(step) for step in STEPS] == [*STEPS[1:], None]
    assert Settings({1: {Step.TRIAGE: None}}).due(Step.TRIAGE, 1, NOON) is None


@pytest.mark.parametrize("kind", [*timeline.KINDS, "something new"])
def test_every_line_of_a_timeline_says_something_whatever_it_knows(kind):
    assert timeline.say(kind, "", {}).strip()
    assert "Mara" in timeline.say("commented", "Mara", {"text": "Looking"})


def test_titles_and_numbers_are_in_the_words_of_the_metric():
    assert wording.title("Errors of returns", "errors", "EWMA", "up") == "Errors of returns rose"
    assert wording.title("Errors of returns", "errors", "EWMA", "up", 20).endswith("rose in 20 features")
    assert wording.title("x" * 400, "errors", "EWMA", "down").endswith("…")
    assert wording.number("errors", 0.069) == "6.9%"
    assert wording.number("a metric of tomorrow", 12345.6) == "12,346"
    assert wording.number("errors", None) == "unknown"
