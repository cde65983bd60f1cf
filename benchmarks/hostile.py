"""Hostile bodies against a live product, a plain span after each: nothing breaks or hangs, every plain span counts.

    python -m benchmarks.hostile --bodies 600

The bodies are those of `tests/traces/hostile_bodies.py` (over 2,000: malformed, huge, deep, mis-typed, wrongly packed,
with every odd value in every field), taken evenly, and some fifty requests that are broken as HTTP. Afterwards every
plain span is looked for: stored, in the roll-ups that charts read, and judged by a judge of rules.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from typing import Any

from benchmarks import _product
from benchmarks._checks import check_account, check_sums
from benchmarks._client import Wire, quantile
from benchmarks._door import Door, provision_key, raw
from benchmarks._product import Product
from benchmarks._raw_requests import raw_requests
from benchmarks._report import Report
from tests.traces.hostile_bodies import cases
from tests.traces.hostile_case import NATIVE, PROTOBUF, Case, trace_of
from tests.traces.hostile_wire import attribute, request, span

SLOWEST_SECONDS = 5.0
SETTLE_SECONDS = 300.0
INTERNALS = re.compile(
    rb"traceback|file \"|\.py\b|site-packages|psycopg|django|orjson|select |insert |copy |exception|traces_", re.I
)
# What gunicorn itself answers to what is no HTTP; an answer is not owed to a connection that dies.
RAW_STATUSES = frozenset({0, 200, 301, 302, 400, 401, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 431, 501, 505})
PLAIN = "plain"
RUBRIC = {
    "criteria": [
        {"key": "short", "title": "Short", "definition": "At most 500 characters.", "scale": {"kind": "boolean"}}
    ]
}  # fmt: skip
RULES = {"rules": [{"criterion": "short", "kind": "length", "at_most": 500}]}


class Siege:
    """One run: what was sent and what was wrong with the answers."""

    def __init__(self, product: Product, secret: str) -> None:
        self.product = product
        self.hostile = Door(Wire(product.url, timeout_s=30.0), secret)
        self.plain = Door(Wire(product.url, timeout_s=30.0), secret)
        self.faults: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.lost: list[str] = []
        self.sent: list[bytes] = []

    def send(self, case: Case) -> None:
        """One hostile body, and a plain span right after it."""
        before = len(self.hostile.seconds)
        status, headers, content = self.hostile.post(case.path, case.body, case.content_type, case.headers)
        self.statuses[status] += 1
        took = self.hostile.seconds[before]
        if status not in case.status:
            self.faults.append(f"{case.name}: answered {status} {content[:120]!r}")
        if took > SLOWEST_SECONDS:
            self.faults.append(f"{case.name}: took {took:.1f} s")
        if told := INTERNALS.search(content):
            self.faults.append(f"{case.name}: told {told.group()!r}")
        wanted = case.content_type.split(";")[0].strip().lower()
        if status not in (0, 415) and case.path != NATIVE and headers.get("content-type") != wanted:
            self.faults.append(f"{case.name}: answered in {headers.get('content-type')}")
        self.send_plain(case.name)

    def send_raw(self, name: str, data: bytes, *, cut: bool) -> None:
        """One request that is broken as HTTP, and a plain span after it."""
        status, answer, took = raw(self.product, data, cut=cut)
        self.statuses[status] += 1
        if status not in RAW_STATUSES:
            self.faults.append(f"{name}: answered {status} {answer[:120]!r}")
        if took > SLOWEST_SECONDS:
            self.faults.append(f"{name}: took {took:.1f} s")
        if told := INTERNALS.search(answer):
            self.faults.append(f"{name}: told {told.group()!r}")
        self.hostile.slowest = max(self.hostile.slowest, took)
        self.send_plain(name)

    def send_plain(self, after: str) -> None:
        """A span like any other; it must be taken at once."""
        trace = trace_of(f"plain after {after} {len(self.sent)}")
        fields = attribute("telltale.feature", PLAIN) + attribute("openinference.span.kind", "LLM")
        fields += attribute("input.value", "Are you open?") + attribute("output.value", "We are.")
        start = time.time_ns()
        body = request(span(1, trace, name=PLAIN, start=start, end=start + 10**6, attributes=fields))
        answer = self.plain.post("/v1/traces", body, PROTOBUF)
        if (answer[0], answer[2]) == (200, b""):
            self.sent.append(trace)
        else:
            self.lost.append(f"plain after {after}: {answer[0]} {answer[2][:100]!r}")


def make_judge(door: Door) -> None:
    """A judge of rules that scores every trace; RuntimeError where the API does not take it."""
    for path, value in (
        ("rubrics", {"name": "Short", "slug": "short", "spec": RUBRIC}),
        ("judges", {"name": "Short", "slug": "short", "kind": "rule", "rubric": "short", "config": RULES}),
        ("judges/short/live", {}),
        ("judges/short/plan", {"spec": {"kind": "all"}}),
    ):
        status, told = door.api("POST", f"/api/v1/{path}", value)
        if status >= 300:
            raise RuntimeError(f"{path} answered {status} {told}")


def counts(connection: Any) -> tuple[int, int, int]:
    """(plain spans stored, plain traces in the roll-ups that charts read, plain traces with a score)."""
    stored = "SELECT count(*) FROM traces_span WHERE feature = %s"
    charted = (
        "SELECT coalesce(sum(r.n), 0) FROM traces_rollup r JOIN traces_scope s USING (project_id, scope_id) "
        "WHERE s.feature = %s AND s.family = 1 AND r.grain = (SELECT min(grain) FROM traces_rollup)"
    )
    judged = (
        "SELECT count(DISTINCT s.trace_id) FROM evals_score s JOIN traces_trace t USING (project_id, trace_id) "
        "WHERE t.feature = %s"
    )
    return tuple(int(connection.execute(query, (PLAIN,)).fetchone()[0]) for query in (stored, charted, judged))  # type: ignore[return-value]


def settle(product: Product, wanted: int) -> tuple[int, int, int]:
    """The counts once all of them are `wanted`, or what they were when time was up."""
    ends = time.monotonic() + SETTLE_SECONDS
    with product.connect() as connection:
        while True:
            found = counts(connection)
            if min(found) >= wanted or time.monotonic() > ends:
                return found
            time.sleep(2.0)


def main() -> int:
    """Exit 0 where nothing was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _product.add_arguments(parser)
    parser.add_argument("--bodies", type=int, default=600, help="of the corpus, taken evenly; 0 for all")
    args = parser.parse_args()
    report = Report("hostile bodies")
    with _product.started(keep=args.keep) as running:
        siege = Siege(running, provision_key(running))
        make_judge(siege.plain)
        every = cases()
        chosen = every if not args.bodies else every[:: max(len(every) // args.bodies, 1)]
        for case in chosen:
            siege.send(case)
        broken = list(raw_requests(siege.plain.secret))
        for one in broken:
            siege.send_raw(one.name, one.data, cut=one.cut)
        n = len(siege.sent)
        report.add("hostile bodies and requests sent", len(chosen) + len(broken), "", 300, is_floor=True)
        report.add("answers wrong, internals told, hangs", len(siege.faults), "", 0)
        report.add("slowest answer", siege.hostile.slowest, "s", SLOWEST_SECONDS)
        report.add("p95 of a plain span beside them", 1e3 * quantile(siege.plain.seconds, 0.95), "ms")
        report.add("plain spans not taken at once", len(siege.lost), "", 0)
        stored, charted, judged = settle(running, n)
        report.add("plain spans sent and not stored", n - stored, "", 0)
        report.add("plain spans sent and not in the charts' sums", n - charted, "", 0)
        report.add("plain spans sent and not judged", n - judged, "", 0)
        with running.connect() as connection:
            for finding in (check_sums(connection), check_account(connection)):
                report.add(f"{finding.name}: problems", len(finding.problems), "", 0, note=f"of {finding.looked_at:,}")
                siege.faults += finding.problems
        report.say("answers by status: " + ", ".join(f"{k}: {v}" for k, v in sorted(siege.statuses.items())))
        for fault in [*siege.faults, *siege.lost][:50]:
            report.say(fault)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
