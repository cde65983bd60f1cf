"""Trying an unsaved judge: prompt, answer, verdict and price of real traces, and nothing is scored."""

from __future__ import annotations

from uuid import uuid4

import pytest

from evals.judges import parse_config
from evals.judging import PreflightRefused, context, preflight
from evals.models import SpendDay
from evals.rubrics import parse_rubric
from tests.evals.judging_kit import (
    LENGTH_RULE,
    RUBRIC,
    YES_NO,
    StandIn,
    make_connection,
    set_budget,
    sql,
    store_traces,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def loopback(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    context.forget()


@pytest.fixture
def stand_in():
    started = StandIn()
    yield started
    started.close()


def tried(project, stand_in, ids, **more):
    connection = make_connection(project, stand_in.url, **more)
    return preflight(project, parse_rubric(RUBRIC), parse_config("model", {}), connection, "stand-in", ids)


def test_each_trace_shows_prompt_answer_verdict_and_price(project, stand_in):
    ids = store_traces(project, 3)

    found = tried(project, stand_in, ids)

    assert [each.trace_id for each in found] == ids
    assert all("It opens at nine." in each.prompt.user and each.answer for each in found)
    assert [each.verdict.score("tone").number for each in found] == [4.0] * 3
    assert sum(each.price_pico for each in found) == stand_in.bill_pico
    assert SpendDay.objects.get(project=project, judge_id=0).spent_pico == stand_in.bill_pico
    assert sql("SELECT count(*) FROM evals_score") == [(0,)]
    calls = sql("SELECT trace_id FROM traces_trace WHERE service = 'telltale.judge'")
    assert {row[0] for row in calls} == {each.call_trace_id for each in found}


def test_at_most_five_and_what_is_gone_is_said(project, stand_in):
    ids = [uuid4(), *store_traces(project, 7)]

    found = tried(project, stand_in, ids)

    assert len(found) == 5
    assert found[0].failed == "The trace is not there any more."
    assert stand_in.calls == 4


def test_an_answer_that_is_no_verdict_is_shown_as_such(project, stand_in):
    stand_in.fault = lambda n, user: "prose"

    (found,) = tried(project, stand_in, store_traces(project, 1))

    assert found.unusable.kind == "unparsable"
    assert "four out of five" in found.answer


def test_a_call_that_fails_says_why(project, stand_in):
    stand_in.fault = lambda n, user: "server"

    (found,) = tried(project, stand_in, store_traces(project, 1))

    assert "cannot answer" in found.failed
    assert SpendDay.objects.get(judge_id=0).reserved_calls == 0


def test_it_stays_within_the_budget(project, stand_in):
    set_budget(project, budget_calls_day=1)

    found = tried(project, stand_in, store_traces(project, 2))

    assert stand_in.calls == 1
    assert "budget" in found[1].failed


def test_rules_are_tried_without_any_call(project):
    ids = store_traces(project, 1)

    (found,) = preflight(project, parse_rubric(YES_NO), parse_config("rule", LENGTH_RULE), None, "", ids)

    assert (found.verdict.score("short").number, found.price_pico, found.prompt) == (1.0, 0, None)


def test_without_a_connection_nothing_is_called(project):
    with pytest.raises(PreflightRefused):
        preflight(project, parse_rubric(RUBRIC), parse_config("model", {}), None, "", store_traces(project, 1))
