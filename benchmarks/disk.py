"""Bytes on disk a span against the size of its protobuf, text and indexes included.

    python -m benchmarks.disk --spans 100000

Counted after VACUUM and a checkpoint: every table of the product with its indexes and TOAST, empty days and all. The
log of changes (WAL) is bounded by PostgreSQL's settings and counted apart.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import _product
from benchmarks._client import drive, parcel
from benchmarks._report import Report
from benchmarks.corpus import Corpus

RATIO_BAR, RATIO_AIM = 1.0, 0.6
SIZES = """
    SELECT coalesce(substring(c.relname FROM '^traces_(?:span|payload|trace|origin|span_log|ingest)'), 'other'),
           sum(pg_table_size(c.oid))::bigint, sum(pg_indexes_size(c.oid))::bigint
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND n.nspname = 'public'
    GROUP BY 1 ORDER BY 2 DESC
"""


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--days", type=float, default=7.0, help="days the spans spread over")
    parser.add_argument("--small", action="store_true", help="one trace a request instead of 512-span batches")
    parser.add_argument("--burst", type=int, default=1, help="traces whose spans mix in the batches")
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("disk")
    end_s = time.time() // 86_400 * 86_400
    corpus = Corpus(args.seed, args.spans, end_s=end_s, days=args.days, burst=args.burst)
    batches = list(corpus.small() if args.small else corpus.batches())
    sent_bytes = sum(len(batch.body) for batch in batches)
    with _product.product(args) as product:
        before = sizes(product)
        tally = drive(product.url, product.key, (parcel(b.body, b.spans, 1) for b in batches), connections=2)
        spans = tally.spans_acked
        if spans != corpus.totals.counts["spans"]:
            raise RuntimeError(f"{spans} of {corpus.totals.counts['spans']} spans acknowledged: {dict(tally.status)}")
        after = sizes(product)
    total = 0
    for name, (heap, index) in sorted(after.items(), key=lambda item: -sum(item[1])):
        old = before.get(name, (0, 0))
        grown = heap - old[0], index - old[1]
        total += sum(grown)
        if sum(grown):
            report.add(
                f"  {name}",
                sum(grown) / spans,
                "B/span",
                note=f"heap {grown[0] / spans:.0f}, index {grown[1] / spans:.0f}",
            )
    report.add("protobuf, uncompressed", sent_bytes / spans, "B/span")
    report.add("on disk", total / spans, "B/span")
    report.add("on disk over protobuf", total / sent_bytes, "x", RATIO_BAR, RATIO_AIM)
    return report.finish(args.json)


def sizes(product: _product.Product) -> dict[str, tuple[int, int]]:
    """Bytes of heap (TOAST included) and of indexes by group of tables, settled."""
    with product.connect() as connection:
        connection.execute("VACUUM ANALYZE")
        rows = connection.execute(SIZES.encode()).fetchall()
    return {str(name): (int(str(heap)), int(str(index))) for name, heap, index in rows}


if __name__ == "__main__":
    sys.exit(main())
