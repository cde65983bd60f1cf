"""What a trace says for drift: its texts, which are not kept, and the row of its sample, which is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerts.drift.fields import Side
from alerts.encoders import short_text
from alerts.write.drift import Due
from evals.judges.language import detect
from evals.read.material import material_of
from traces.canonical.content import PRESENT
from traces.canonical.types import Kind
from traces.read import SpanDetail
from traces.read.contents import Told

TOOLS_MOST = 20
VALUE_CHARS_MAX = 100
PASSAGES_MOST = 32_767


@dataclass(frozen=True)
class Looked:
    """One sampled trace as it was read: `row` is its sample, `texts` its sides that have one, cut."""

    due: Due
    row: dict[str, Any] = field(repr=False)
    texts: dict[Side, str] = field(repr=False)
    spans: tuple[SpanDetail, ...] = field(repr=False)

    @property
    def started_at(self) -> datetime:
        at: datetime = self.row["started_at"]
        return at

    @property
    def feature(self) -> str | None:
        name: str | None = self.row["feature"]
        return name


def look_at(project_id: int, due: Due, told: Told, fields: Sequence[str], now: datetime) -> Looked:
    """The sample and the texts of a trace."""
    trace, material = told.trace, material_of(told)
    texts: dict[Side, str] = {}
    if question := short_text(material.question):
        texts["input"] = question
    if answer := short_text(material.answer):
        texts["output"] = answer
    calls = [each.span for each in told.spans if each.span.kind is Kind.GENERATION]
    tools = sorted({tool.name[:VALUE_CHARS_MAX] for tool in material.tools if tool.name})[:TOOLS_MOST]
    row = {
        "project_id": project_id,
        "trace_id": trace.trace_id,
        "started_at": trace.started_at,
        "pi": due.pi,
        "draw": due.draw,
        "feature": trace.feature,
        "service": trace.service,
        "environment": trace.environment,
        "release": trace.release,
        "prompt_name": trace.prompt_name,
        "prompt_version": trace.prompt_version,
        "provider": next((span.provider for span in reversed(calls) if span.provider), None),
        "model": material.model or None,
        "finish_reason": trace.finish_reason,
        "is_error": trace.error_count > 0,
        "input_chars": len(material.question) if "input" in texts else None,
        "output_chars": len(material.answer) if "output" in texts else None,
        "input_tokens": trace.tokens_in,
        "output_tokens": trace.tokens_out,
        "input_language": detect(material.question) if "input" in texts else None,
        "output_language": detect(material.answer) if "output" in texts else None,
        "tools": tools,
        "passages": _passages(told, len(material.documents)),
        "fields": _own(material.metadata, fields),
        "taken_at": now,
    }
    return Looked(due, row, texts, told.spans)


def _passages(told: Told, found: int) -> int | None:
    """How many documents retrieval found for a trace; None: none told of. 0 only where it was seen to answer."""
    if found:
        return min(found, PASSAGES_MOST)
    steps = [each for each in told.spans if each.span.kind in (Kind.RETRIEVER, Kind.RERANKER)]
    return 0 if steps and all(each.content.state == PRESENT for each in steps) else None


def _own(metadata: Any, fields: Sequence[str]) -> dict[str, str]:
    """The values of the metadata keys that the project compares: names, yes and no, whole numbers."""
    found = {}
    for key in fields:
        value = metadata.get(key)
        if isinstance(value, bool):
            found[key] = "yes" if value else "no"
        elif isinstance(value, str | int) and str(value).strip():
            found[key] = str(value).strip()[:VALUE_CHARS_MAX]
    return found
