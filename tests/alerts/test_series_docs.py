"""The page about series has a row for every metric and param, and no others."""

from __future__ import annotations

import re

from alerts.series.catalogue import GROUPS, METRICS, metrics_of
from alerts.series.grid import SIZES
from alerts.series.making import SCORES_MAX, VALUES_MAX
from alerts.series.params import PARAMS
from tests.alerts.series_kit import param_row, row_of
from tests.evals.documented import DOCS

TEXT = (DOCS / "series.md").read_text()


def test_every_metric_has_its_row_in_its_group():
    for group in GROUPS:
        part = TEXT.split(f"\n### {group}\n", 1)[1].split("\n## ", 1)[0].split("\n### ", 1)[0]
        rows = [line for line in part.splitlines() if line.startswith("| `")]

        assert rows == [row_of(metric) for metric in metrics_of(group)]


def test_no_row_is_of_nothing():
    params, metrics = TEXT.split("\n## Metrics\n")

    assert re.findall(r"^\| `(\w+)` \|", params, re.MULTILINE) == list(PARAMS)
    assert re.findall(r"^\| `(\w+)` \|", metrics, re.MULTILINE) == list(METRICS)
    for param in PARAMS.values():
        assert param_row(param) in TEXT


def test_the_limits_are_those_of_the_code():
    assert f"at most {SCORES_MAX} of them" in TEXT
    assert TEXT.count(f"at most {VALUES_MAX} evenly") == 2
    minutes = [str(size) for size in SIZES if size < 60]
    hours = [str(size // 60) for size in SIZES if 60 <= size < 1440]
    said = " ".join(TEXT.split())
    assert f"{', '.join(minutes)} minutes, {', '.join(hours)} hours, a day or a week" in said
