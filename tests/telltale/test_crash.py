"""Killing a real installation while it works; the long version is `python -m benchmarks.crash`."""

from __future__ import annotations

import pytest

from benchmarks import _product, crash


@pytest.mark.process
def test_three_kills_lose_nothing_and_double_nothing():
    """Web, worker and PostgreSQL die with -9 once each, between repeating and overlapping senders."""
    with _product.started() as product:
        outcome = crash.run(product, kills=3, senders=4, pause_s=0.2, seed=11, double=0.0)

    assert {part for kill in outcome.kills for part in kill.parts} == {"web", "worker", "postgres"}
    assert len(outcome.history.acked) > 500
    assert outcome.problems == []
