"""Vectors that the application made itself and sent along: what its own search goes by costs nothing to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from alerts.drift.fields import Side
from alerts.drift.packing import unit
from alerts.encoders.kinds import DIMS_MAX, SENDER, Encoded, key_of
from traces.canonical.types import Kind
from traces.read import SpanDetail

Floats = NDArray[np.float64]
OWN_KEY = "telltale.embedding."  # + input, output, model
UNNAMED = "unnamed"
_LIST = "embedding.embeddings."
_TEXT, _VECTOR = ".embedding.text", ".embedding.vector"
_MODELS = ("embedding.model_name", "gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
VECTOR_CHARS_MAX = 200_000


def sent_vectors(spans: Sequence[SpanDetail], texts: Mapping[Side, str]) -> dict[Side, Encoded]:
    """The vectors of a trace's input and output, each under a key that names the sender's model; those it sent.

    First `telltale.embedding.input` and `.output` on any span, the root's before others'; else, by OpenInference, the
    vector of the text that equals the side's, or the only vector of the trace: then it is of the input.
    """
    found: dict[Side, Encoded] = {}
    ordered = sorted(spans, key=lambda each: each.span.parent_span_id is not None)
    for side in texts:
        for each in ordered:
            values = {**each.span.attributes, **each.body.get("raw", {})}
            vector = _vector(values.get(OWN_KEY + side))
            if vector is not None:
                found[side] = _encoded(values.get(OWN_KEY + "model"), vector)
                break
    if len(found) < len(texts):
        known = [one for each in spans if each.span.kind is Kind.EMBEDDING for one in _embeddings(each)]
        for side, text in texts.items():
            if side in found:
                continue
            plain = " ".join(text.split())
            same = next((one for one in known if plain and " ".join(one[0].split()) == plain), None)
            if same is None and side == "input" and len(known) == 1:
                same = known[0]
            if same is not None:
                found[side] = _encoded(same[1], same[2])
    return found


def _encoded(model: Any, vector: Floats) -> Encoded:
    name = model if isinstance(model, str) and model.strip() else UNNAMED
    return Encoded(key_of(SENDER, " ".join(name.split()), vector.size), (vector,))


def _embeddings(detail: SpanDetail) -> list[tuple[str, Any, Floats]]:
    """Text, model and vector of what one embedding span made, as OpenInference tells it."""
    raw = {**detail.span.attributes, **detail.body.get("raw", {})}
    model = detail.span.model or next((raw[key] for key in _MODELS if key in raw), None)
    places = sorted({key[len(_LIST) :].partition(".")[0] for key in raw if key.startswith(_LIST)}, key=_place)
    found = []
    for place in places:
        vector = _vector(raw.get(f"{_LIST}{place}{_VECTOR}"))
        if vector is not None:
            text = raw.get(f"{_LIST}{place}{_TEXT}")
            found.append((text if isinstance(text, str) else detail.content.input_text or "", model, vector))
    return found


def _place(name: str) -> tuple[int, str]:
    return (int(name), name) if name.isascii() and name.isdigit() and len(name) < 9 else (10**9, name)


def _vector(raw: Any) -> Floats | None:
    """A vector at length 1 from a list, or a list written as JSON; None for anything else, or zeros."""
    if isinstance(raw, str) and len(raw) <= VECTOR_CHARS_MAX and raw.lstrip().startswith("["):
        try:
            raw = orjson.loads(raw)
        except json.JSONDecodeError:
            return None
    if not isinstance(raw, list) or not 2 <= len(raw) <= DIMS_MAX:
        return None
    if not all(type(each) in (int, float) for each in raw):
        return None
    try:
        return unit(raw)
    except OverflowError:
        return None
