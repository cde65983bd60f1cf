"""What another price book would change."""

from __future__ import annotations

import pytest

from traces.canonical.types import CostStatus
from traces.cost.reprice import Difference, Priced, StatusChange, difference, merge

PRICED, UNPRICED = CostStatus.PRICED, CostStatus.UNPRICED


def one(model: str | None, pico: int | None, *, counted: bool = True, price_id: int | None = 1) -> Priced:
    return Priced(model, UNPRICED if pico is None else PRICED, pico, price_id, counted)


OLD = [
    one("a", 100),
    one("a", 10),
    one("b", None, price_id=None),
    one("b", 7),
    one("a", 50, counted=False),
    one(None, 3),
]
NEW = [one("a", 80), one("a", 10), one("b", 900), one("b", 7), one("a", 40, counted=False), one(None, 3, price_id=2)]


def test_differences_are_summed_by_model_with_the_largest_change_first() -> None:
    result = difference(OLD, NEW)

    assert [model.model for model in result.models] == ["b", "a", None]
    b, a, nameless = result.models
    assert (b.spans, b.changed, b.old_pico, b.new_pico, b.delta_pico) == (2, 1, 7, 907, 900)
    assert (b.old_unknown, b.new_unknown) == (1, 0)
    assert b.status_changes == (StatusChange(UNPRICED, PRICED, 1),)
    assert (a.spans, a.changed, a.old_pico, a.new_pico) == (2, 1, 110, 90)
    assert a.status_changes == ()
    assert (nameless.changed, nameless.delta_pico) == (1, 0)


def test_totals_are_those_of_the_models_and_leave_out_what_is_not_counted() -> None:
    result = difference(OLD, NEW)

    assert (result.spans, result.changed, result.uncounted) == (5, 3, 1)
    assert (result.old_pico, result.new_pico, result.delta_pico) == (120, 1000, 880)
    assert (result.old_unknown, result.new_unknown) == (1, 0)


def test_slices_add_up_to_the_whole_wherever_they_are_cut() -> None:
    whole = difference(OLD, NEW)

    for cut in range(len(OLD) + 1):
        parts = [difference(OLD[:cut], NEW[:cut]), difference(OLD[cut:], NEW[cut:])]
        assert merge(parts) == whole
    assert merge([]) == Difference()


def test_sums_beyond_64_bits_are_exact() -> None:
    many = [one("a", 10**18)] * 100

    assert difference(many, [one("a", 10**18 + 1)] * 100).delta_pico == 100


def test_lists_of_different_spans_are_refused() -> None:
    with pytest.raises(ValueError, match=r"longer|shorter"):
        difference(OLD, NEW[:-1])
