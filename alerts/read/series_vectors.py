"""Series of sampled inputs and outputs: embeddings, and what they are by topic, language, length or tools."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.drift.fields import Side
from alerts.monitors.types import Categories, Reading, Vectors, Window
from alerts.read.vectors import NoSuchField, categories_in, encoders_of, vectors_in
from alerts.series import making
from alerts.series.asked import Asked, SeriesFault

Answers = list[list[Reading] | SeriesFault]
OF_SAMPLES = ("embeddings", "inputs_and_outputs")


def read_vectors(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Embeddings, one query a series; one for the encoder where a series names none."""
    newest = ""
    if any(not each.definition.params.get("encoder") for each in asked):
        newest = next((each.key for each in encoders_of(project_id)), "")
    answers: Answers = []
    for each in asked:
        params = each.definition.params
        encoder = str(params.get("encoder") or newest)
        if not encoder:
            answers.append([making.nothing(window, "nothing is embedded yet") for window in windows])
            continue
        side: Side = "output" if params.get("side") == "output" else "input"
        try:
            found = vectors_in(project_id, each.definition.scope, side, encoder, windows)
        except ValueError as error:
            answers.append(SeriesFault(str(error)))
            continue
        answers.append([_embedded(window, held) for window, held in zip(windows, found, strict=True)])
    return answers


def read_samples(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Categories of a sample, at most three queries a series."""
    answers: Answers = []
    for each in asked:
        params = each.definition.params
        try:
            found = categories_in(
                project_id, each.definition.scope, str(params["field"]), windows, encoder=str(params.get("encoder", ""))
            )
        except NoSuchField as error:
            answers.append(SeriesFault(str(error)))
            continue
        answers.append([_counted(window, held) for window, held in zip(windows, found, strict=True)])
    return answers


def _embedded(window: Window, held: Vectors) -> Reading:
    n = len(held.rows)
    return Reading(window, n, float(n), held) if n else making.nothing(window, "no request of the sample")


def _counted(window: Window, held: Categories) -> Reading:
    return making.categories(window, dict(held.counts), "no request of the sample")
