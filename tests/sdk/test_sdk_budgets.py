"""An application asks whether it may spend: answered in time, or it goes on."""

from __future__ import annotations

import json
import threading
import time
from decimal import Decimal

import pytest

import telltale_sdk as telltale
from telltale_sdk import _budgets

SPENT = {
    "allowed": True, "over": False, "advice": "cheaper_model", "with": "gpt-4o-mini", "is_stale": False,
    "budget": {"name": "People", "spent_usd": "0.81", "limit_usd": "1", "share": 0.81, "resets_at": "2026-12-01"},
}  # fmt: skip


@pytest.fixture
def spent(receiver):
    receiver.body = json.dumps(SPENT).encode()
    return receiver


def test_a_budget_is_asked_for_whoever_is_in_force(sdk, spent):
    sdk(headers={"X-Team": "shop"})
    with telltale.user("ü 1"), telltale.feature("returns & more"):
        answer = telltale.budget_check(timeout_seconds=5)

    assert (answer.allowed, answer.is_known, answer.over) == (True, True, False)
    assert (answer.advice, answer.using, answer.budget) == ("cheaper_model", "gpt-4o-mini", "People")
    assert (answer.spent_usd, answer.limit_usd, answer.share) == (Decimal("0.81"), Decimal(1), 0.81)
    ((path, headers),) = spent.requests
    assert path == "/api/v1/budgets/check?user=%C3%BC+1&feature=returns+%26+more"
    assert (headers["Authorization"], headers["X-Team"]) == ("Bearer tt_sk_test", "shop")


def test_an_answer_holds_for_a_moment_and_for_one_user(sdk, spent):
    sdk()
    for user in ("a", "a", "b", "a"):
        telltale.budget_check(user, timeout_seconds=5, kept_seconds=60)
    telltale.budget_check("a", timeout_seconds=5, kept_seconds=0)

    assert [path[-1] for path, _ in spent.requests] == ["a", "b", "a"]


def test_who_is_masked_is_asked_for_as_traces_name_them(sdk, spent):
    sdk(mask=lambda text: text.replace("kim@example.com", "someone"))

    telltale.budget_check("kim@example.com", timeout_seconds=5)

    assert spent.requests[0][0].endswith("user=someone")


def test_nobody_is_held_up_by_a_slow_answer_and_the_next_not_at_all(sdk, spent):
    spent.hold = threading.Event()
    sdk()

    began = time.monotonic()
    answer = telltale.budget_check("a", timeout_seconds=0.1)
    waited = time.monotonic() - began
    assert telltale.budget_check("b", timeout_seconds=60) == answer == telltale.BudgetCheck()
    spent.hold.set()

    assert (answer.allowed, answer.is_known, answer.over, answer.spent_usd) == (True, False, None, None)
    assert 0.1 <= waited < 5
    assert telltale.stats().troubles >= 1


@pytest.mark.parametrize("status", [301, 401, 403, 404, 429, 500])
def test_a_refusal_lets_the_request_go_on_and_is_not_asked_again_at_once(sdk, spent, status):
    spent.always = (status, {"Location": "http://127.0.0.1:1/"} if status == 301 else {})
    sdk()

    assert telltale.budget_check("a", timeout_seconds=5) == telltale.BudgetCheck()
    assert telltale.budget_check("b", timeout_seconds=5) == telltale.BudgetCheck()

    assert len(spent.requests) == 1


def test_one_user_who_cannot_be_asked_for_does_not_stop_the_others(sdk, spent):
    spent.answers = [(400, {})]
    sdk()

    assert telltale.budget_check("a", timeout_seconds=5).is_known is False
    assert telltale.budget_check("b", timeout_seconds=5).is_known is True


@pytest.mark.parametrize("body", [b" ", b"[]", b"{}", b'{"allowed": "no"}', b"\xff", b'{"allowed": false'])
def test_an_answer_that_is_none_is_unknown(sdk, receiver, body):
    receiver.body = body
    sdk()

    assert telltale.budget_check(timeout_seconds=5) == telltale.BudgetCheck()


def test_a_refusal_by_policy_is_told(sdk, receiver):
    told = {"allowed": False, "over": True, "advice": "refuse", "with": None, "budget": None}
    receiver.body = json.dumps(told).encode()
    sdk()

    answer = telltale.budget_check(timeout_seconds=5)

    assert (answer.allowed, answer.advice, answer.over, answer.budget) == (False, "refuse", True, None)


def test_nothing_raises_whatever_is_asked(sdk, receiver):
    assert telltale.budget_check() == _budgets.UNKNOWN  # no init()
    sdk()

    class Odd:
        def __str__(self):
            raise RuntimeError

    assert telltale.budget_check(Odd(), timeout_seconds=5).allowed is True
    assert telltale.budget_check("a", timeout_seconds="soon").allowed is True
