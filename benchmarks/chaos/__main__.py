"""The command: runs scenarios one after another, prints a table, exits with 1 where one is broken."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks._report import Report, line, machine

# Importing registers.
from benchmarks.chaos import (  # noqa: F401
    alerting,
    bodies,
    brokers,
    clocks,
    database,
    disk,
    judging,
    kills,
    overload,
)
from benchmarks.chaos.scene import SCENARIOS, Scenario, Scene, Skip


@dataclass(slots=True)
class Result:
    """How one scenario ended: "holds", "BROKEN" or "SKIPPED", and why."""

    scenario: Scenario
    scene: Scene
    word: str
    seconds: float
    why: str = ""


def play(scenario: Scenario, *, quick: bool, seed: int) -> Result:
    """Run one scenario; whatever it raises is a broken one."""
    print(f"\n== {scenario.name} ({scenario.rows}): {scenario.about}", flush=True)
    scene = Scene(scenario.name, quick, seed, Report(scenario.name))
    began = time.monotonic()
    word, why = "BROKEN", ""
    try:
        scenario.play(scene)
        word = "holds" if scene.holds else "BROKEN"
        missed = [figure.name for figure in scene.report.figures if figure.holds is False]
        why = "; ".join([finding.name for finding in scene.findings if not finding.holds] + missed)
    except Skip as reason:
        word, why = "SKIPPED", str(reason)
        print(f"  SKIPPED: {why}", flush=True)
    except Exception as error:  # noqa: BLE001 - the others are still to be run
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    return Result(scenario, scene, word, time.monotonic() - began, why)


def table(results: list[Result]) -> str:
    """All results with their figures."""
    lines = []
    for result in results:
        name, rows = result.scenario.name, result.scenario.rows
        lines.append(f"{result.word:8s} {name:24s} {rows:14s} {result.seconds:6.0f} s  {result.why}".rstrip())
        lines += [f"           {line(figure)}" for figure in result.scene.report.figures]
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the scenarios and end")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=sorted(SCENARIOS), help="these alone")
    parser.add_argument("--quick", action="store_true", help="shorter faults and fewer of them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    if args.list:
        for scenario in SCENARIOS.values():
            print(f"{scenario.name:24s} {scenario.rows:14s} {scenario.about}")
        return 0
    # What was started is stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = args.only or list(SCENARIOS)
    results = [play(SCENARIOS[name], quick=args.quick, seed=args.seed) for name in chosen]
    print("\n" + table(results))
    count = {word: sum(result.word == word for result in results) for word in ("holds", "BROKEN", "SKIPPED")}
    print(f"\nchaos: {count['holds']} hold, {count['BROKEN']} broken, {count['SKIPPED']} SKIPPED")
    if args.json:
        told = [
            {
                "scenario": result.scenario.name, "rows": result.scenario.rows, "result": result.word,
                "why": result.why, "seconds": round(result.seconds, 1),
                "figures": [asdict(figure) | {"holds": figure.holds} for figure in result.scene.report.figures],
                "findings": [asdict(finding) for finding in result.scene.findings],
            }
            for result in results
        ]  # fmt: skip
        whole = {"machine": machine(), "quick": args.quick, "scenarios": told}
        args.json.write_text(json.dumps(whole, indent=1) + "\n")
    return 1 if count["BROKEN"] else 0


if __name__ == "__main__":
    sys.exit(main())
