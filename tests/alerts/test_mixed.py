"""Raw against the baseline's mix: the figures by hand, what is absent or new, and where nothing can be said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.monitors.types import Definition, Reading, Scope, Share, Values, Window
from alerts.pages import mix_view
from alerts.read import mixed
from alerts.series.asked import SeriesFault
from alerts.series.catalogue import METRICS
from evals.stats.results import TooLittle

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
ERRORS = Definition("Errors", "errors")
REFERENCE = (START - timedelta(days=2), START)
WINDOWS = [Window(START + at * HOUR, START + (at + 1) * HOUR) for at in range(3)]


@pytest.fixture
def told(monkeypatch):
    """Readings by feature: a function of (feature, window) to (k, n)."""

    def use(of, values=("a", "b")):
        def read_many(project_id, zone, asked, windows):
            answers = []
            for one in asked:
                (feature,) = dict(one.definition.scope.values)["feature"]
                rows = [of(feature, window) for window in windows]
                answers.append([
                    Reading(window, n, k / n, Share(k, n)) if n else Reading(window, 0, None, None)
                    for window, (k, n) in zip(windows, rows, strict=True)
                ])  # fmt: skip
            return answers

        monkeypatch.setattr(mixed, "read_many", read_many)
        monkeypatch.setattr(mixed, "values_of", lambda *told: list(values))

    return use


def read(definition=ERRORS, dimension="feature"):
    return mixed.read_mixed(1, "UTC", METRICS["errors"], definition, dimension, REFERENCE, WINDOWS)


def test_a_shift_of_traffic_alone_moves_the_raw_share_and_not_the_standardised(told):
    # Nothing is worse: 10 % of a and 2 % of b fail, before and now; b was nine tenths of it, and is one tenth.
    then, now = {"a": (4, 40), "b": (7, 360)}, {"a": (36, 360), "b": (1, 40)}
    told(lambda feature, window: (then if window.start < START else now)[feature])

    found = read()

    whole = found.whole
    before = (0.1 * 40 + 7 / 360 * 360) / 400
    assert whole.raw.value == pytest.approx(37 / 400)
    assert whole.standardised.value == pytest.approx(0.1 * 0.1 + 0.9 / 40)
    assert abs(whole.standardised.value - before) < 0.01 < whole.raw.value - before
    assert [(part.name, part.before, part.now) for part in found.parts] == [("a", 0.1, 0.9), ("b", 0.9, 0.1)]
    assert len(found.windows) == 3

    view = mix_view.view(found, METRICS["errors"], "feature", "the baseline", START, START + 3 * HOUR, UTC)
    assert view.finding == "The mix by feature does +6.0 pts to it"
    assert view.figure is not None
    assert [line.now for line in view.lines] == ["90%", "10%"]


def test_values_that_are_gone_or_new_are_named(told):
    told(lambda feature, window: (
        ((2, 100) if feature != "c" else (0, 0)) if window.start < START else ((2, 100) if feature != "b" else (0, 0))
    ), values=("a", "b", "c"))  # fmt: skip

    view = mix_view.view(read(), METRICS["errors"], "feature", "the baseline", START, START + 3 * HOUR, UTC)

    assert "50% of the mix of the baseline has no value now: b." in view.grounds
    assert "New since: c (50%)." in view.grounds


def test_too_little_is_said_in_words(told):
    told(lambda feature, window: (0, 0))
    assert read() == TooLittle(0, 1, "units in the baseline")

    told(lambda feature, window: (1, 9), values=("a",))
    assert read() == TooLittle(1, 2, "values of feature")
    told(lambda feature, window: (1, 90), values=("a", "b", "c"))
    assert read(Definition("x", "errors", scope=Scope((("feature", ("a",)),)))) == TooLittle(1, 2, "values of feature")
    view = mix_view.view(
        TooLittle(1, 2, "values of feature"), METRICS["errors"], "feature", "the baseline", START, START, UTC
    )
    assert view.lacking == "Too little to say: 1 of 2 values of feature."


def test_a_series_that_cannot_be_read_says_why(monkeypatch):
    monkeypatch.setattr(mixed, "values_of", lambda *told: ["a", "b"])
    monkeypatch.setattr(mixed, "read_many", lambda *told: [SeriesFault("no such judge")] * 2)

    with pytest.raises(SeriesFault, match="no such judge"):
        read()


def test_a_series_is_split_by_what_its_scope_leaves_open():
    held = Definition("x", "errors", scope=Scope((("feature", ("a",)),)))

    assert "feature" in mixed.dimensions_of(METRICS["errors"], ERRORS)
    assert "feature" not in mixed.dimensions_of(METRICS["errors"], held)
    assert mixed.dimensions_of(METRICS["errors"], Definition("x", "errors", scope=Scope(filter="cost.min=1"))) == []
    assert mixed.dimensions_of(METRICS["requests"], ERRORS) == []
    assert mixed.dimensions_of(None, ERRORS) == []


def test_values_of_many_windows_are_one_stratum_with_what_they_differ_by():
    window = WINDOWS[0]
    one = mixed._stratum(Reading(window, 2, 2.0, Values((1.0, 3.0))))
    other = mixed._stratum(Reading(window, 2, 6.0, Values((5.0, 7.0))))

    joined = mixed._joined([one, other, None])

    # 1, 3, 5, 7: mean 4, variance 5 (divisor n).
    assert (joined.n, joined.mean, joined.variance) == (4, 4.0, pytest.approx(5.0))
