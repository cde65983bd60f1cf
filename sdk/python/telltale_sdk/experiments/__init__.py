"""Experiments from your own code: run a function over a dataset, post what it answers, compare with an earlier one.

    from telltale_sdk import experiments

    done = experiments.run("returns", answer, name="prompt v19", judges=["quality"], metrics=["token_f1"])
    found = experiments.Client().compare(done.id, "41")

`answer` takes an item's input and gives the output, or an `Answer` with what it took. In CI:
`python -m telltale_sdk.experiments compare NEW OLD` exits 1 where a regression is proven, 0 where none is, 2 on errors.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from telltale_sdk._api import current_trace_id
from telltale_sdk._observe import observe_span
from telltale_sdk.experiments._client import Client, Comparison, ExperimentError, Item, Line

__all__ = ["Answer", "Client", "Comparison", "ExperimentError", "Item", "Line", "Ran", "run"]

ERROR_CHARS = 400
# Sent while others still run, so that a long run that is interrupted has kept what it had.
SEND_EVERY = 25


@dataclass(frozen=True)
class Answer:
    """What your function gives where there is more to tell than the output. Unknown is None.

    `scores` are numbers of your own by name, more is better. `latency_ms` is measured where it is left out.
    """

    output: Any
    latency_ms: float | None = None
    cost_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    trace_id: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ran:
    """An experiment that was run: its id, how many items were answered, failed, and were refused (in words)."""

    id: str
    version: int
    answered: int
    failed: int
    refused: tuple[str, ...]


def run(
    dataset: str,
    function: Callable[..., Any],
    *,
    name: str = "",
    version: int | None = None,
    judges: Sequence[str] = (),
    metrics: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    workers: int = 4,
    client: Client | None = None,
) -> Ran:
    """Run `function` over every item of a dataset and have the answers measured and judged.

    It is called with the item's input, or with the whole `Item` where its one parameter is called `item`; in `workers`
    threads. What it raises is that item's error. ExperimentError where Telltale refuses or cannot be reached; the
    experiment is then cancelled.
    """
    speaker = client or Client()
    held, items = speaker.items(dataset, version)
    wants_item = _wants_item(function)
    experiment = speaker.create(dataset, name=name, version=held, judges=judges, metrics=metrics, config=config)
    failed, refused, waiting = 0, [], []
    try:
        with ThreadPoolExecutor(max(1, workers)) as pool:
            futures = [pool.submit(_answer, function, item, wants_item=wants_item) for item in items]
            try:
                for future in as_completed(futures):
                    result = future.result()
                    failed += "error" in result
                    waiting.append(result)
                    if len(waiting) >= SEND_EVERY:
                        refused += speaker.post(experiment, waiting)
                        waiting = []
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        refused += speaker.post(experiment, waiting)
        speaker.finish(experiment)
    except BaseException:
        _give_up(speaker, experiment)
        raise
    return Ran(experiment, held, len(items) - failed, failed, tuple(refused))


def _answer(function: Callable[..., Any], item: Item, *, wants_item: bool) -> dict[str, Any]:
    began = time.perf_counter()
    with observe_span(f"experiment {item.key}"):
        trace_id = current_trace_id()
        try:
            given = function(item if wants_item else item.input)
        except Exception as error:  # noqa: BLE001 - what the function raises is its answer to this item
            took = (time.perf_counter() - began) * 1000
            words = f"{type(error).__name__}: {error}"[:ERROR_CHARS]
            return _known({"item_key": item.key, "error": words, "latency_ms": took, "trace_id": trace_id})
    took = (time.perf_counter() - began) * 1000
    told = given if isinstance(given, Answer) else Answer(given)
    if told.output is None:
        return _known({"item_key": item.key, "error": "the function gave None", "latency_ms": took})
    return _known({
        "item_key": item.key, "output": told.output, "latency_ms": took if told.latency_ms is None else told.latency_ms,
        "cost_usd": told.cost_usd, "input_tokens": told.input_tokens, "output_tokens": told.output_tokens,
        "trace_id": told.trace_id or trace_id, "scores": dict(told.scores) or None,
    })  # fmt: skip


def _known(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if value is not None}


def _wants_item(function: Callable[..., Any]) -> bool:
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return False
    return names[:1] == ["item"]


def _give_up(client: Client, experiment: str) -> None:
    try:
        client.cancel(experiment)
    except ExperimentError:
        return
