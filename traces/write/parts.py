"""Large requests, stored part by part: memory follows a part, not the request."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from traces.canonical.types import CanonicalSpan, Intake
from traces.write.batch import Batch, Outcome, new_id
from traces.write.spans import Rules, store_spans

# The sums of 75,000 traces of one span in one go took 650 MiB.
PART_SPANS = 2_048


def store_request(batch: Batch, intake: Intake, rules: Rules, *, is_suspect: bool = True) -> Outcome:
    """Commit what `intake` holds, at most about `PART_SPANS` spans a transaction; what became of all of them.

    Traces stay whole. Every part has an accounting row of its own, of which the last has the bytes of the request: it
    is counted as one request once it is stored to its end. Where this raises, the parts before stay; the sender is told
    to send all of it again, and what is there by then counts as duplicate. Empties `intake.spans` as it goes.
    Raises what `store_spans` raises.
    """
    if len(intake.spans) <= PART_SPANS:
        return store_spans(batch, intake, rules, is_suspect=is_suspect)
    parts = list(_parts(intake.spans))[::-1]
    intake.spans.clear()
    whole = Outcome()
    while parts:
        spans = parts.pop()
        part = Intake(len(spans), spans)
        if not parts:
            part.rejections = intake.rejections
            part.received += sum(rejection.count for rejection in intake.rejections)
        of_part = replace(batch, batch_id=new_id(), body_bytes=0 if parts else batch.body_bytes)
        _add(whole, store_spans(of_part, part, rules, is_suspect=is_suspect))
    return whole


def _parts(spans: list[CanonicalSpan]) -> Iterator[list[CanonicalSpan]]:
    """The spans, traces whole, in lists of `PART_SPANS` or of one trace that is longer."""
    by_trace: dict[UUID, list[CanonicalSpan]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    part: list[CanonicalSpan] = []
    for trace in by_trace.values():
        if part and len(part) + len(trace) > PART_SPANS:
            yield part
            part = []
        part.extend(trace)
    if part:
        yield part


def _add(whole: Outcome, part: Outcome) -> None:
    whole.received += part.received
    whole.stored += part.stored
    whole.duplicate += part.duplicate
    for reason, (n, example) in part.rejected.items():
        whole.reject(reason, example, n)
    for reason, n in part.dropped.items():
        whole.dropped[reason] = whole.dropped.get(reason, 0) + n
