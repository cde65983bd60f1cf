"""What masking costs: CPU a span of decoding, mapping and masking the corpus in requests of 512 spans.

    python -m benchmarks.masking --spans 8192

No server and no database: these are the steps of ingest before storing. The last row masks spans of a request in which
something was caught, as far as they themselves hold nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from benchmarks._report import Report
from benchmarks.corpus import Corpus
from traces.masking import DEFAULT, mask_span, masker_of
from traces.wire.otlp import read_traces

BAR_US = 8.0


def cpu_us(work: Callable[[], Any], spans: int, times: int = 5) -> float:
    """CPU microseconds a span, the best of some tries."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best / spans * 1e6


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=8192)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    bodies = [bytes(batch.body) for batch in Corpus(args.seed, args.spans).batches()]
    masker = masker_of(DEFAULT, b"k" * 32)
    intakes = [read_traces(body, False, received_at_ns=time.time_ns()) for body in bodies]
    spans = sum(len(intake.spans) for intake in intakes)

    def mask() -> None:
        for intake in intakes:
            origins: dict[int, Any] = {}
            for span in intake.spans:
                mask_span(span, masker, Counter(), origins)

    report = Report("masking")
    decode = cpu_us(lambda: [read_traces(body, False, received_at_ns=1) for body in bodies], spans)
    suspect = cpu_us(lambda: [masker.suspects(body, is_json=False) for body in bodies], spans)
    report.add("decode and map", decode, "us/span")
    report.add("mask, nothing caught", suspect, "us/span", BAR_US)
    report.add("mask, something caught elsewhere in the request", suspect + cpu_us(mask, spans), "us/span")
    caught = sum(masker.suspects(body, is_json=False) for body in bodies)
    report.add("requests of the corpus in which something was caught", caught, f"of {len(bodies)}")
    return 0 if suspect <= BAR_US else 1


if __name__ == "__main__":
    sys.exit(main())
