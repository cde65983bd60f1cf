"""Masking what a request brought, before any of it is stored: by the rules of the project, or of a trace's feature.

A span without a feature of its own has that of its trace: of the root in the same request, of another span of it there,
or the one stored already. What came before its trace's feature was known is masked by the project's rules; the trace is
masked again once its feature is known (traces.write.remask).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from telltale.lib.db import raw_cursor
from traces.canonical.types import CanonicalSpan, LogEvent, LogIntake, MetricIntake, Rejection
from traces.masking import Masker, Mode, mask_event, mask_point, mask_span, strip_event, strip_span
from traces.masking.kinds import STRICTNESS
from traces.masking.spans import Origins, numbers_of
from traces.signals.items import NewSignal

SIGNAL_IDS = ("client_id", "session_id", "request_id", "author")
SIGNAL_TEXTS = ("name", "label", "text", "comment")
FeatureOf = Callable[[str, str | None], str | None]
_FEATURES = """
    SELECT trace_id, feature FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s) AND feature IS NOT NULL
"""


def mask_spans(
    project_id: int,
    by_trace: Mapping[UUID, Sequence[CanonicalSpan]],
    masker: Masker,
    feature_of: FeatureOf,
    *,
    is_suspect: bool,
) -> tuple[Counter[str], set[UUID]]:
    """Mask the spans of a request in place, by trace; how often, by rule. Not suspected: nothing matches any rule.

    Also the traces that this request gives a feature with stricter rules than the project's: what is stored of them
    came before that was known.
    """
    counts: Counter[str] = Counter()
    late: set[UUID] = set()
    policy = masker.policy
    has_work = is_suspect and policy.strictest is not Mode.OFF
    if not has_work and not policy.features and policy.mode is not Mode.NO_CONTENT:
        return counts, late
    features: dict[UUID, str] = {}
    if policy.features:
        told = _features(by_trace, feature_of)
        least = STRICTNESS[policy.mode]
        late = {trace_id for trace_id, feature in told.items() if STRICTNESS[policy.mode_of(feature)] > least}
        features = told | stored_features(project_id, [trace_id for trace_id in by_trace if trace_id not in told])
    masked: Origins = {}
    stripped: Origins = {}
    for trace_id, spans in by_trace.items():
        mode = policy.mode_of(features.get(trace_id))
        if mode is Mode.NO_CONTENT:
            for span in spans:
                strip_span(span, masker, counts, stripped)
        elif mode is Mode.MASK and is_suspect:
            for span in spans:
                mask_span(span, masker, counts, masked)
    return counts, late


def _features(by_trace: Mapping[UUID, Sequence[CanonicalSpan]], feature_of: FeatureOf) -> dict[UUID, str]:
    """The features that the spans of a request tell of their traces."""
    found: dict[UUID, str] = {}
    for trace_id, spans in by_trace.items():
        roots = [span for span in spans if span.parent_span_id is None]
        told = [span.feature for span in (*roots, *spans) if span.feature is not None]
        ruled = [feature_of(span.name, span.service) for span in roots]
        feature = next((feature for feature in (*told, *ruled) if feature is not None), None)
        if feature is not None:
            found[trace_id] = feature
    return found


def stored_features(project_id: int, trace_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The features of stored traces, of those that have one."""
    ids = list(trace_ids)
    if not ids:
        return {}
    with raw_cursor() as cursor:
        cursor.execute(_FEATURES, (project_id, ids))
        return dict(cursor.fetchall())


def mask_logs(project_id: int, intake: LogIntake, masker: Masker, *, is_suspect: bool) -> Counter[str]:
    """Mask the log events of a request in place; those of which nothing is kept are left out, counted as dropped."""
    counts: Counter[str] = Counter()
    policy = masker.policy
    has_work = is_suspect and policy.strictest is not Mode.OFF
    if not has_work and policy.strictest is not Mode.NO_CONTENT:
        return counts
    features: dict[UUID, str] = {}
    if policy.features:
        features = stored_features(project_id, {event.trace_id for event in intake.events})
    kept: list[LogEvent] = []
    for event in intake.events:
        mode = policy.mode_of(features.get(event.trace_id))
        if mode is Mode.NO_CONTENT and not strip_event(event, masker, counts):
            continue
        if mode is Mode.MASK and is_suspect:
            mask_event(event, masker, counts)
        kept.append(event)
    if len(kept) < len(intake.events):
        intake.dropped["no_content"] = intake.dropped.get("no_content", 0) + len(intake.events) - len(kept)
        intake.events = kept
    return counts


def mask_points(intake: MetricIntake, masker: Masker, *, is_suspect: bool) -> Counter[str]:
    """Mask the attributes of metric points in place. They are labels of measurements: no mode leaves them out."""
    counts: Counter[str] = Counter()
    if is_suspect and masker.policy.strictest is not Mode.OFF:
        for point in intake.points:
            mask_point(point, masker, counts)
    return counts


def mask_signals(signals: Iterable[NewSignal], masker: Masker) -> Counter[str]:
    """Mask what signals say, in place, by the project's own mode: their feature is known once they are bound.

    Names and ids join them to what they are about, and change only where a rule finds something in them. Without
    content a signal keeps its value where that is a number, a truth or a label.
    """
    counts: Counter[str] = Counter()
    mode = masker.policy.mode
    if mode is Mode.OFF:
        return counts
    for one in signals:
        if mode is Mode.NO_CONTENT and (one.text or one.comment or one.metadata):
            one.text = one.comment = None
            one.metadata = numbers_of(one.metadata)
            counts["no content"] += 1
        for name in (*SIGNAL_TEXTS, *SIGNAL_IDS):
            told = getattr(one, name)
            if told is not None:
                setattr(one, name, masker.id(told, counts) if name in SIGNAL_IDS else masker.text(told, counts))
        if one.metadata:
            one.metadata = masker.value(one.metadata, counts)
    return counts


def mask_rejections(rejections: list[Rejection], masker: Masker) -> list[Rejection]:
    """Reasons of refusals as they may be kept: they quote what was sent."""
    if not rejections or masker.policy.strictest is Mode.OFF:
        return rejections
    counts: Counter[str] = Counter()
    return [replace(one, message=masker.text(one.message, counts)) for one in rejections]
