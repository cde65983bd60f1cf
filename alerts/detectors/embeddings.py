"""Embeddings by windows: every vector of a window in its turn by the detector of vectors, one verdict a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from alerts.detectors.base import Baseline, NotStable, Part, State, TooLittle, Verdict, of_kind, waiting
from alerts.detectors.points import Vectors as Window
from alerts.detectors.vectors import KIND, Vectors, VectorSettings

_EACH = Vectors()


class Embeddings:
    """The detector of windows of embeddings, all of one length."""

    kind = KIND

    def learn(self, points: Sequence[Window], settings: VectorSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """The reference of all vectors of the windows; the run length, in windows, becomes one in vectors.

        Assumptions and errors as those of `Vectors.learn`; a refusal names the window.
        """
        owner = [at for at, point in enumerate(points) for _ in point.rows]
        rows = [row for point in points for row in point.rows]
        if not rows:
            return TooLittle(0, settings.vectors_min, "vectors")
        a_window = len(rows) / len(points)
        each = replace(settings, arl0=max(settings.arl0 * a_window, settings.arl0))
        found = _EACH.learn(rows, each, seed)
        if isinstance(found, Baseline):
            return replace(found, windows=len(points), arl0=settings.arl0)
        if isinstance(found, NotStable):
            at, low, high = (owner[min(one, len(owner) - 1)] for one in (found.at, found.low, found.high))
            return NotStable(at=at, p=found.p, low=low, high=high)
        return found

    def step(self, baseline: Baseline, state: State, point: Window) -> tuple[State, Verdict]:
        """The state after all vectors of a window: it speaks by its first crossing, or by where it ended.

        A window without vectors says nothing. Errors as those of `Vectors.step`.
        """
        of_kind(baseline, KIND)
        if not point.rows:
            return waiting(state, (Part(f"MEWMA {baseline.number('lam'):g}", 0.0, None, baseline.number("high")),), ())
        following, spoken = state, None
        for row in point.rows:
            following, verdict = _EACH.step(baseline, following, row)
            if spoken is None and verdict.crossed is not None:
                spoken = verdict
        return replace(following, points=state.points + 1), spoken or verdict
