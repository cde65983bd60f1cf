"""What one trace adds, and how it is written down: pure rules."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.rollup import ledger
from traces.rollup.booking import PLAIN, USAGE, Contribution, User, begin, finish, saved_pico, take
from traces.rollup.deltas import Delta
from traces.rollup.ledger import LedgerDamaged
from traces.rollup.scopes import Scopes, scope_id_of
from traces.rollup.sums import OTHER

MINUTE_US = 60_000_000
GENERATION, TOOL = 1, 5
ERROR = 2


def make_span(place=0, *, at=0, span_id=1, parent=None, kind=GENERATION, status=0, counted=False, name="chat", **more):
    given = {
        "duration_ns": None, "error_type": None, "service": None, "environment": None, "release": None, "feature": None,
        "provider": None, "model_requested": None, "model_answered": None, "streamed": None, "ttft_ns": None,
        "finish_reason": None, "prompt_name": None, "prompt_version": None, "cost_status": None, "cost_pico": None,
        "cost_parts": None, "price_id": None, "tokens": (None,) * 8,
    } | more  # fmt: skip
    *plain, tokens = given.values()
    return (place, at, span_id, parent, kind, status, counted, name, *plain, *tokens)


def book(*spans, errors=0, **more):
    given = {
        "user_id": None, "session_id": None, "error_count": errors, "root_status": None, "duration_ns": None,
        "ttft_ns": None, "finish_reason": None, "error_type": None,
    } | more  # fmt: skip
    building = begin("UTC", 0, ("search", None, None, None, None, None), **given)
    scopes = {}
    scope_of = lambda key: scopes.setdefault(key, len(scopes))  # noqa: E731
    assert take([building], spans, scope_of, str, lambda price_id: None) == len(spans)
    found = finish(building, scope_of, str)
    names = {scope: key for key, scope in scopes.items()}
    return {(minute, names[scope]): cell for (minute, scope), cell in found.cells.items()}, found


def retries(cells, family=2):
    return sum(cell[0][PLAIN.index("retries")] for (_, key), cell in cells.items() if key[0] == family)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1, 7, ERROR, "chat"), (2, 7, 0, "chat")], 1),
        ([(1, 7, ERROR, "chat"), (2, 7, ERROR, "chat"), (3, 7, 0, "chat")], 2),
        ([(1, 7, 0, "chat"), (2, 7, ERROR, "chat")], 0),
        ([(1, 7, ERROR, "chat"), (2, 8, 0, "chat")], 0),
        ([(1, 7, ERROR, "chat"), (2, 7, 0, "title")], 0),
        ([(2, 7, 0, "chat"), (1, 7, ERROR, "chat")], 1),  # whatever order rows come in
    ],
)
def test_a_model_call_after_a_failed_one_of_its_parent_is_a_retry(spans, expected):
    made = [make_span(at=at, span_id=at, parent=p, status=status, name=name) for at, p, status, name in spans]
    cells, _ = book(*made, errors=sum(status == ERROR for _, _, status, _ in spans))
    assert retries(cells) == expected
    assert retries(cells, family=1) == (expected > 0)


def test_a_failed_tool_is_no_retried_model_call():
    made = [make_span(at=n, span_id=n, parent=7, kind=TOOL, status=ERROR if n == 1 else 0, name="t") for n in (1, 2)]
    assert retries(book(*made, errors=1)[0]) == 0


def test_spans_lie_in_their_own_minute_and_the_trace_in_its_first():
    cells, _ = book(make_span(at=0), make_span(at=MINUTE_US - 1, span_id=2), make_span(at=-1, span_id=3))
    assert {(minute, key[0]): cell[0][0] for (minute, key), cell in cells.items()} == {(0, 2): 2, (-1, 2): 1, (0, 1): 1}


def test_a_span_inherits_from_its_trace_only_what_it_lacks():
    cells, _ = book(make_span(), make_span(span_id=2, feature="returns"))
    assert {key[3] for (_, key) in cells if key[0] == 2} == {"search", "returns"}


def test_parts_of_a_cost_that_is_not_known_are_not_booked():
    tokens = (10, None, None, None, None, 5, None, None)
    known = make_span(
        counted=True, tokens=tokens, cost_status=1, cost_pico=7, cost_parts=[2, *[None] * 4, 5, None, None]
    )
    part = make_span(counted=True, tokens=tokens, cost_status=4, cost_parts=[2, *[None] * 7], span_id=2)
    cells, _ = book(known, part)
    for cell in cells.values():
        usage = dict(zip(USAGE, cell[1], strict=True))
        assert usage["cost_pico"] == sum(usage[name] for name in USAGE if name.startswith("cost_input")) + 5
        assert (usage["input_fresh"], usage["priced_count"], usage["partial_count"]) == (20, 1, 1)


@pytest.mark.parametrize(
    ("tokens", "parts", "rate", "saved"),
    [
        ((10, 100, None, None), (50, 50, None, None), None, 450),  # the fresh rate is told by the fresh tokens
        ((None, 100, None, None), (None, 50, None, None), 5, 450),  # or by the price row
        ((None, 100, None, None), (None, 50, None, None), None, 0),  # else nothing is claimed
        ((10, None, 100, None), (50, None, 625, None), None, -125),  # writing the cache costs more
    ],
)
def test_what_the_cache_saved(tokens, parts, rate, saved):
    padded = [*tokens, None, 1, None, None], [*parts, None, 1, None, None]
    assert saved_pico(*padded, 3, lambda price_id: rate) == saved


cells = st.dictionaries(
    st.tuples(st.integers(-(10**9), 10**9), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(
        st.lists(st.integers(0, 2**80), min_size=len(PLAIN), max_size=len(PLAIN)),
        st.none() | st.lists(st.integers(-(2**90), 2**90), min_size=len(USAGE), max_size=len(USAGE)),
        st.lists(st.none() | st.lists(st.integers(0, 854), min_size=1, max_size=5), min_size=4, max_size=4),
    ).map(list),
    max_size=5,
)


@given(cells, st.none() | st.text(max_size=20), st.text(max_size=9))
@settings(max_examples=80, deadline=None)
def test_the_ledger_gives_back_what_was_written(cells, session, user):
    found = Contribution("Asia/Kathmandu", session, User(user, 5, [1, 2, 3, 4, 5, 2**70, 7]), cells)
    found.reasons = {(minute, scope, 1, user): 3 for minute, scope in cells}
    assert ledger.read(ledger.write(found)) == found


@given(cells)
@settings(max_examples=40, deadline=None)
def test_adding_and_taking_away_leaves_nothing(cells):
    found = Contribution("UTC", None, None, cells)
    delta = Delta()
    delta.book(found, 1)
    delta.book(ledger.read(ledger.write(found)), -1)
    delta.settle()
    assert (delta.cells, delta.reasons, delta.users) == ({}, {}, {})


@pytest.mark.parametrize("data", [b"", b"\x00", ledger.write(Contribution("UTC"))[:-3]])
def test_a_damaged_ledger_says_so(data):
    with pytest.raises(LedgerDamaged):
        ledger.read(data)
    with pytest.raises(LedgerDamaged):
        ledger.read(ledger.write(Contribution("UTC")), 99)


def key(kind=1, stage=None, feature="f", model="m", release=None, version=None):
    return (2, kind, stage, feature, "openai", model, "web", "prod", release, None, version)


def test_scopes_fold_step_by_step_and_never_beyond_their_bound():
    today = date(2026, 11, 21)
    scopes = Scopes(8, today)
    for number in range(500):
        scopes.scope_of(key(number % 3, f"s{number}", f"f{number}", f"m{number}", f"r{number}", str(number)))
    folded = [scope.folded for scope in scopes.fresh.values()]
    assert folded == sorted(folded)
    assert folded.count(0) == 8
    assert set(folded) == {0, 1, 2, 3}
    assert len(folded) <= 8 * 3 // 2 + 3
    last = [scope for scope in scopes.fresh.values() if scope.folded == 3]
    assert {scope.key[1] for scope in last} == {0, 1, 2}
    assert all(scope.key[5] == OTHER for scope in last)


def test_scopes_that_were_not_used_for_long_make_room():
    today = date(2026, 11, 21)
    scopes = Scopes(4, today, {scope_id_of(key(feature=f"old {n}"), 0): today - timedelta(days=27) for n in range(4)})
    scopes.scope_of(key(feature="one too many", release="r"))
    assert [scope.folded for scope in scopes.fresh.values()] == [1]
    scopes.turn(today + timedelta(days=1))
    scopes.scope_of(key(feature="fits", release="r"))
    assert list(scopes.fresh.values())[-1].folded == 0


def test_scope_ids_are_stable_and_tell_their_family():
    assert scope_id_of(key(), 0) == scope_id_of(key(), 0) > 0
    assert scope_id_of((1, *[None] * 10), 0) < 0
    assert len({scope_id_of(key(feature=f), n) for f in ("", None, "\0", "\1") for n in (0, 1)}) == 8
