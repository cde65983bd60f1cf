"""Texts as vectors by an endpoint that speaks `/embeddings` as OpenAI defined it and many others serve it. No rows."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from evals.calling.answers import NAME_CHARS_MAX, _object, _tokens
from evals.calling.client import CONNECT_SECONDS, TIMEOUT_MAX, TIMEOUT_MIN, _failure, _headers
from evals.calling.kinds import OPENAI, CallFailed, Endpoint
from evals.judges.fencing import clean
from telltale.lib import egress

# One call: 64 vectors of 4,096 numbers of 20 characters are 5 MB.
TEXTS_MAX = 64
DIMS_MAX = 4096
ANSWER_BYTES = 16 * 1024 * 1024
_PATH = "/embeddings"


@dataclass(frozen=True)
class Embedded:
    """What came back: `vectors` (n, d) in the order of the texts. Tokens and money are None where not known."""

    vectors: NDArray[np.float64] = field(repr=False)
    model: str
    input_tokens: int | None
    duration_ms: float
    cost_pico: int | None = None


def address_of(endpoint: Endpoint) -> str:
    """Where calls go: the base URL with `/embeddings`, unless it ends with that already."""
    base, mark, query = endpoint.base_url.partition("?")
    base = base.rstrip("/").removesuffix("/chat/completions")
    return (base if base.endswith(_PATH) else base + _PATH) + mark + query


def embed(endpoint: Endpoint, texts: Sequence[str]) -> Embedded:
    """A vector of each text, by one call; CallFailed where there is none.

    The answer must hold a vector for every text, all of one length, 1 to 4,096 finite numbers, not all of them 0.
    Errors: ValueError for no texts, or more than 64.
    """
    if not 1 <= len(texts) <= TEXTS_MAX:
        raise ValueError(f"a call embeds 1 to {TEXTS_MAX} texts, not {len(texts)}")
    if endpoint.kind != OPENAI:
        raise CallFailed("refused_request", "Embeddings need a connection of the kind openai.", was_sent=False)
    # Some servers refuse an empty text; a blank is as empty.
    body = orjson.dumps(
        {"model": endpoint.model, "input": [clean(text) or " " for text in texts], "encoding_format": "float"}
    )
    seconds = min(max(endpoint.timeout_seconds, TIMEOUT_MIN), TIMEOUT_MAX)
    limits = egress.Limits(min(CONNECT_SECONDS, seconds), seconds, seconds, ANSWER_BYTES)
    began = time.perf_counter()
    try:
        answer = egress.request("POST", address_of(endpoint), headers=_headers(endpoint), body=body, limits=limits)
    except egress.Refused as refused:
        raise CallFailed("egress", str(refused), was_sent=False) from None
    except egress.Unreachable as error:
        kind = "timeout" if error.is_late else "unreachable"
        raise CallFailed(kind, str(error), was_sent=error.was_sent) from None
    duration_ms = (time.perf_counter() - began) * 1000
    if answer.status != 200:
        raise _failure(answer)
    if answer.is_cut:
        raise CallFailed("server", f"The answer is larger than {ANSWER_BYTES:,} bytes.", status=200)
    return read_embeddings(endpoint, answer.body, len(texts), duration_ms)


def read_embeddings(endpoint: Endpoint, body: bytes, n: int, duration_ms: float) -> Embedded:
    """An answer to `n` texts; CallFailed where it is not what was asked for."""
    told = _object(body)
    data = told.get("data")
    if not isinstance(data, list) or len(data) != n:
        found = len(data) if isinstance(data, list) else 0
        raise CallFailed("server", f"The answer holds {found} vectors for {n} texts.", status=200)
    rows: list[list[float] | NDArray[np.float64] | None] = [None] * n
    for at, each in enumerate(data):
        place = each.get("index", at) if isinstance(each, dict) else None
        if type(place) is not int or not 0 <= place < n or rows[place] is not None:
            raise CallFailed("server", "The answer does not say which vector is of which text.", status=200)
        rows[place] = _numbers(each.get("embedding"))
    if any(row is None or len(row) == 0 for row in rows) or len({len(row) for row in rows if row is not None}) != 1:
        raise CallFailed("server", "The answer's vectors are none, or of different lengths.", status=200)
    try:
        vectors = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise CallFailed("server", "The answer's vectors are no numbers.", status=200) from None
    if vectors.ndim != 2 or vectors.shape[1] > DIMS_MAX or not bool(np.isfinite(vectors).all()):
        told_most = f"The answer's vectors are not 1 to {DIMS_MAX:,} finite numbers each."
        raise CallFailed("server", told_most, status=200)
    if not bool(vectors.any(axis=1).all()):
        raise CallFailed("server", "The answer holds a vector of zeros.", status=200)
    usage = told.get("usage")
    tokens = _tokens(usage.get("prompt_tokens", usage.get("total_tokens"))) if isinstance(usage, dict) else None
    model = told.get("model")
    name = clean(model)[:NAME_CHARS_MAX] if isinstance(model, str) and model else endpoint.model
    cost = None if endpoint.input_pico is None or tokens is None else endpoint.input_pico * tokens
    return Embedded(vectors, name, tokens, duration_ms, cost)


def _numbers(raw: Any) -> list[float] | NDArray[np.float64] | None:
    """The numbers of one vector: a list of them, or base64 of little-endian float32."""
    if isinstance(raw, str):
        try:
            packed = base64.b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            return None
        return None if len(packed) % 4 else np.frombuffer(packed, dtype="<f4").astype(np.float64)
    if isinstance(raw, list) and len(raw) <= DIMS_MAX and all(type(each) in (int, float) for each in raw):
        return raw
    return None
