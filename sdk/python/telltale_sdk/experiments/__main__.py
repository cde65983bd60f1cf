"""The command for CI: `python -m telltale_sdk.experiments`, or `telltale-experiment`.

Exits 1 where the newer experiment is proven worse, 0 where it is not, 2 where that could not be found out.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from telltale_sdk.experiments import Client, Comparison, ExperimentError, Line, run

WORSE, FINE, TROUBLE = 1, 0, 2
WAIT_SECONDS = 600.0
WORDS = {"better": "better", "worse": "WORSE", "cannot_tell": "cannot tell", "too_little": "too little data"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code."""
    try:
        told = _parser().parse_args(arguments)
    except SystemExit as ended:
        return TROUBLE if ended.code else FINE
    try:
        client = Client(told.endpoint)
        code: int = told.do(client, told)
        return code
    except ExperimentError as error:
        print(f"error: {error}", file=sys.stderr)
    except (ImportError, AttributeError, TypeError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
    return TROUBLE


def _compare(client: Client, told: argparse.Namespace) -> int:
    new = client.find(told.new)
    return _judge(client, new, client.find(told.old, but=new), told)


def _run(client: Client, told: argparse.Namespace) -> int:
    # Found before anything is run: a mistyped name must not cost a run.
    old = client.find(told.against, told.dataset) if told.against else ""
    done = run(
        told.dataset, _function(told.function), name=told.name, version=told.version, judges=told.judge,
        metrics=told.metric, workers=told.workers, client=client,
    )  # fmt: skip
    print(f"experiment {done.id} over {told.dataset} v{done.version}: {done.answered} answered, {done.failed} failed")
    for words in done.refused[:10]:
        print(f"refused: {words}", file=sys.stderr)
    if done.refused:
        return TROUBLE
    return _judge(client, done.id, old, told) if old else FINE


def _judge(client: Client, new: str, old: str, told: argparse.Namespace) -> int:
    for each in (new, old):
        found = client.wait(each, told.wait)
        if found["state"] != "done":
            raise ExperimentError(f"experiment {each} {found['state']}: {found['reason'] or 'no reason was given'}")
    compared = client.compare(new, old, on=told.on, margin=told.margin)
    deciding = [line for line in compared.lines if line.decides]
    if not compared.pairs or not deciding:
        raise ExperimentError("nothing measured both experiments: there is nothing to compare them by")
    print(json.dumps(compared.raw) if told.json else _report(compared))
    return WORSE if compared.regressions else FINE


def _report(compared: Comparison) -> str:
    rows: list[tuple[str, ...]] = [("measure", "new", "old", "difference", "95 % interval", "n", "verdict")]
    rows += [_row(line) for line in compared.lines]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.append(f"{compared.pairs} items answered by both, experiment {compared.new} against {compared.old}")
    left = {"edited": "edited in between", "only_old": "without a result in the new one",
            "only_new": "without a result in the old one"}  # fmt: skip
    lines += [f"{compared.raw[name]} {words}" for name, words in left.items() if compared.raw[name]]
    lines += list(compared.raw["unlike"])
    if compared.regressions:
        lines.append(f"proven worse: {', '.join(compared.regressions)}")
    else:
        lines.append("no regression is proven")
    return "\n".join(lines)


def _row(line: Line) -> tuple[str, ...]:
    def word(value: float | None) -> str:
        return "unknown" if value is None else f"{value:.4g}"

    interval = f"{word(line.low)} to {word(line.high)}"
    verdict = WORDS.get(line.verdict, line.verdict) + ("" if line.decides else " (decides nothing)")
    return line.measure, word(line.new), word(line.old), word(line.difference), interval, str(line.n), verdict


def _function(reference: str) -> Callable[..., Any]:
    module, colon, name = reference.partition(":")
    if not colon or not name:
        raise ExperimentError(f"a function is module:name, not {reference!r}")
    sys.path.insert(0, os.getcwd())
    found = getattr(importlib.import_module(module), name)
    if not callable(found):
        raise ExperimentError(f"{reference} is no function")
    function: Callable[..., Any] = found
    return function


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("telltale-experiment", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    compare = commands.add_parser("compare", help="compare two experiments; an id, or a name for its newest done one")
    compare.add_argument("new")
    compare.add_argument("old")
    compare.set_defaults(do=_compare)
    go = commands.add_parser("run", help="run module:function over a dataset, and compare where --against is given")
    go.add_argument("dataset")
    go.add_argument("function", help="module:name, called with an item's input")
    go.add_argument("--name", default="")
    go.add_argument("--version", type=int)
    go.add_argument("--judge", action="append", default=[], help="slug, or slug@version; may be repeated")
    go.add_argument("--metric", action="append", default=[], help="a reference metric; may be repeated")
    go.add_argument("--workers", type=int, default=4)
    go.add_argument("--against", default="", help="an earlier experiment: its id, or its name")
    go.set_defaults(do=_run)
    for each in (compare, go):
        each.add_argument("--on", action="append", default=[], help="a measure that decides; all where left out")
        each.add_argument("--margin", type=float, default=0.0, help="differences up to it are none")
        each.add_argument("--wait", type=float, default=WAIT_SECONDS, help="seconds to wait for judges")
        each.add_argument("--json", action="store_true", help="print the comparison as JSON")
        each.add_argument("--endpoint", help="else TELLTALE_ENDPOINT; the key is TELLTALE_API_KEY")
    return parser


if __name__ == "__main__":
    sys.exit(main())
