"""Which detector charts what, with which settings, and which one a stored baseline belongs to."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from alerts.detectors.base import Baseline, NotThisBaseline, State, replay
from alerts.detectors.embeddings import Embeddings
from alerts.detectors.points import Share, Vectors
from alerts.detectors.registry import DETECTORS, detector_for, detector_of, settings_for
from alerts.detectors.vectors import Vectors as Singly
from alerts.detectors.vectors import VectorSettings
from alerts.monitors.states import Kind, Method
from tests.alerts.detector_kit import vectors

CHARTED = (Method.CHART, Method.CUSUM, Method.SHEWHART)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("method", CHARTED)
def test_every_kind_is_charted_by_every_method_that_has_a_meaning(kind: Kind, method: Method):
    if kind in (Kind.CATEGORY, Kind.VECTOR) and method != Method.CHART:
        with pytest.raises(ValueError, match=f"{kind} is not charted by {method}"):
            detector_for(kind, method)
        return
    settings = settings_for(kind, method, arl0=500.0)

    assert settings.by == method
    assert detector_for(kind, method).kind in DETECTORS


@pytest.mark.parametrize("method", [Method.FIXED, Method.OBJECTIVE, Method.COMPOSITE, "none"])
def test_what_is_no_chart_has_no_detector(method: str):
    with pytest.raises(ValueError, match="not charted"):
        detector_for("share", method)
    with pytest.raises(ValueError, match="not charted"):
        settings_for("share", method, arl0=100.0)
    with pytest.raises(ValueError, match="not charted"):
        settings_for("tea", arl0=100.0)


def test_shares_with_less_than_one_event_a_window_have_their_own_detector():
    assert detector_for("share", points=[Share(0, 40)] * 50).kind == "rare"
    assert detector_for("share", points=[Share(3, 40)] * 50).kind == "share"
    assert detector_for("share", "cusum", points=[Share(0, 40)] * 50).kind == "share"
    assert detector_for("share").kind == "share"


def test_a_stored_baseline_finds_its_detector():
    for kind, detector in DETECTORS.items():
        assert detector_of(Baseline(kind, {}, 1, 1, "", 1, 100.0)) is detector
    with pytest.raises(NotThisBaseline, match="kind tea"):
        detector_of(Baseline("tea", {}, 1, 1, "", 1, 100.0))


@pytest.mark.parametrize(
    ("kind", "direction", "worse", "up_share"),
    [
        ("share", "both", "up", 0.8),
        ("share", "up", "up", 1.0),
        ("share", "down", None, 0.0),
        ("share", "both", None, 0.5),
        ("score", "both", "down", 0.05),
        ("score", "both", "up", 0.8),
        ("score", "up", "down", 1.0),
        ("time", "both", "up", 0.9),
        ("time", "both", "down", 0.2),
        ("cost", "both", None, 0.8),
        ("level", "both", "down", 0.2),
    ],
)
def test_the_budget_goes_where_alarms_are_asked_for(kind, direction, worse, up_share):
    assert settings_for(kind, arl0=100.0, direction=direction, worse=worse).up_share == up_share


def test_windows_and_scales_reach_the_settings():
    assert settings_for("count", arl0=100.0, window=timedelta(minutes=15)).windows_a_day == 96  # type: ignore[attr-defined]
    assert settings_for("count", arl0=100.0, window=timedelta(days=7)).windows_a_day == pytest.approx(1 / 7)  # type: ignore[attr-defined]
    assert settings_for("score", arl0=100.0, least_n=30, highest=10.0).window == 30  # type: ignore[attr-defined]
    assert settings_for("score", arl0=100.0, highest=10.0).highest == 10.0  # type: ignore[attr-defined]


def test_windows_of_vectors_come_to_what_single_vectors_do():
    g = np.random.default_rng(1)
    singles = vectors(g, 600)
    windows = [Vectors(tuple(singles[at : at + 6])) for at in range(0, 600, 6)]
    by_window = Embeddings().learn(windows, VectorSettings(100.0), 3)
    singly = Singly().learn(singles, VectorSettings(600.0), 3)
    assert isinstance(by_window, Baseline)
    assert isinstance(singly, Baseline)
    later = vectors(g, 60, True)

    state, one = State(), None
    for at in range(0, 60, 6):
        state, one = Embeddings().step(by_window, state, Vectors(tuple(later[at : at + 6])))
    alone = replay(Singly(), singly, later)

    assert (by_window.windows, by_window.n, by_window.arl0) == (100, 600, 100.0)
    assert by_window.number("high") == singly.number("high")
    assert one is not None
    assert one.crossed == alone[-1].crossed == "up"
    assert state.points == 10
    empty, verdict = Embeddings().step(by_window, state, Vectors(()))
    assert (empty, verdict.z, verdict.crossed) == (state, None, None)


def test_a_change_between_windows_of_vectors_names_the_window():
    g = np.random.default_rng(2)
    singles = vectors(g, 300) + vectors(g, 300, True)
    found = Embeddings().learn(
        [Vectors(tuple(singles[at : at + 6])) for at in range(0, 600, 6)], VectorSettings(100.0), 3
    )

    assert not isinstance(found, Baseline)
    assert getattr(found, "at", None) == pytest.approx(50, abs=4)
    assert not isinstance(Embeddings().learn([Vectors(())] * 5, VectorSettings(100.0), 3), Baseline)
