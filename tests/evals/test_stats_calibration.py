"""What a calibration keeps of people among themselves is what krippendorff and irrCAC make of the same labels."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from evals.calibrating.figures import figures
from evals.read.calibration import EVERYTHING
from evals.read.pairs import Pair, PairSet, Rating
from evals.rubrics import Criterion, Scale
from evals.stats.gate import GateSettings

REFERENCES = json.loads((Path(__file__).parents[1] / "fixtures" / "statistics" / "references.json").read_text())
CASES = {case["name"]: case for case in REFERENCES["ratings"]}
AT = datetime(2026, 11, 12, tzinfo=UTC)


def calibrated(ratings, scale):
    """The figures of a judge that says what the first person said, beside these people."""
    pairs = []
    for n, column in enumerate(zip(*ratings, strict=True)):
        labels = [(f"r{rater}", level - 1) for rater, level in enumerate(column) if level is not None]
        if labels:
            said = tuple(Rating(name, level, AT) for name, level in labels)
            pairs.append(Pair(UUID(int=n + 1), 0, said, labels[0][1], labels[0][1], None, "", "", ""))
    found = PairSet(Criterion("tone", "Tone", "How it sounds.", scale), EVERYTHING, tuple(pairs))
    result, _gate = figures(found, None, GateSettings(), stage="deploy", seed=1)
    return result


@pytest.mark.parametrize("name", CASES)
def test_figures_of_people_equal_the_packages(name):
    case = CASES[name]

    people = calibrated(case["ratings"], Scale.points(1, 5))["people"]

    assert people["krippendorff"]["value"] == pytest.approx(case["krippendorff"]["ordinal"], abs=1e-9)
    assert people["gwet_ac1"]["value"] == pytest.approx(case["irrcac"]["gwet_identity"], abs=1e-9)
    assert people["gwet_ac2"]["value"] == pytest.approx(case["irrcac"]["gwet_quadratic"], abs=1e-9)
    assert people["krippendorff"]["low"] < people["krippendorff"]["value"] < people["krippendorff"]["high"]


def test_labels_without_an_order_are_only_the_same_or_not():
    case = CASES["three raters with gaps"]

    result = calibrated(case["ratings"], Scale.of_labels(*"abcde", is_ordered=False))

    assert result["people"]["krippendorff"]["value"] == pytest.approx(case["krippendorff"]["nominal"], abs=1e-9)
    assert result["agreement"]["krippendorff"]["value"] == pytest.approx(1)
    assert "gwet_ac2" not in result["people"]
