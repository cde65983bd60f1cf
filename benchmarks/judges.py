"""Judging: judgements a second of rules on one core, and how quickly the pipeline judges by a model that is instant.

    python -m benchmarks.judges --rules
    python -m benchmarks.judges --pipeline 10000
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks._pipeline import AT_A_TIME, measure_pipeline
from benchmarks._report import Report
from benchmarks._rules import SECONDS, measure_rules


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rules", action="store_true", help="judges that need no model, in this process alone")
    parser.add_argument("--pipeline", type=int, metavar="N", help="the whole product on N stored traces")
    parser.add_argument("--at-a-time", type=int, default=AT_A_TIME, help="calls of --pipeline at a time")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="CPU seconds for each figure of --rules")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    report = Report("judges")
    if args.rules or not args.pipeline:
        measure_rules(report, args.seed, args.seconds)
    if args.pipeline:
        measure_pipeline(report, args.pipeline, args.at_a_time)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
