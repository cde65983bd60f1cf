"""The page about finding traces names every filter and sort, and every way to ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from traces.forms import LABELS
from traces.read import COUNT_MAX, FIELDS, SORTS
from traces.read.facets import SAMPLE
from traces.read.filters import ops_of

PAGE = (Path(__file__).parents[2] / "docs" / "finding-traces.md").read_text()
ROWS = dict(re.findall(r"^\| `([\w.]+)` \|((?: `[.\w]+`)*) \|", PAGE, re.M))


@pytest.mark.parametrize("key", FIELDS)
def test_every_filter_is_documented_with_its_ways(key):
    ways = {f".{op}" for op in ops_of(FIELDS[key]) if op != "is"}

    assert set(re.findall(r"`([^`]+)`", ROWS[key])) == ways


def test_nothing_is_documented_that_is_not_there():
    assert set(ROWS) == set(FIELDS)


def test_sorts_windows_and_limits_are_those_of_the_code():
    assert all(f"`{key}`" in PAGE for key in (*SORTS, *LABELS))
    assert f"{COUNT_MAX:,}" in PAGE
    assert f"{SAMPLE:,}" in PAGE
