"""Judging: judgements a second of the judges of rules on one core.

python -m benchmarks.judges --rules
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks._report import Report
from benchmarks._rules import SECONDS, measure_rules


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rules", action="store_true", help="judges that need no model, in this process alone")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="CPU seconds for each figure of --rules")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    report = Report("judges")
    measure_rules(report, args.seed, args.seconds)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
