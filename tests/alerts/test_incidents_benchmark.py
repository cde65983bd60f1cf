"""The command that measures scope and isolate, at a reduced size: what is planted is found, nothing in nothing."""

from __future__ import annotations

from benchmarks.incidents import measure


def test_what_is_planted_is_found_and_nothing_where_nothing_differs():
    figures = {figure.name: figure for figure in measure(2, 12_000, 0.7, 3, 10_000)}

    missed = [name for name, figure in figures.items() if figure.holds is False]
    assert missed == []
    assert len([figure for figure in figures.values() if figure.bar is not None]) == 7
