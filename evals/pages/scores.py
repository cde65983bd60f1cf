"""Scores on the pages of traces: a card on the trace, lines in the panel of a span, notes on turns, columns.

Registered by `evals.apps`; the room of traces knows none of it. What judges and programs wrote is text of strangers:
escaped, made visible, never an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe

from evals.pages.words import value_words
from evals.read import score_terms
from evals.read.judgements import Why, why
from evals.read.scores import (
    API,
    BOOLEAN,
    JUDGE,
    LABEL,
    OF_ONE_MAX,
    PERSON,
    SPAN,
    TEXT,
    Brief,
    Score,
    score_names,
    scores_of_session,
    scores_of_trace,
    scores_of_traces,
)
from telltale.lib import format as fmt
from telltale.projects.models import Project
from traces.extras import ColumnFamily, ExtraColumn, Note, Part, SessionPart
from traces.read.rows import TraceRow

ICONS = {JUDGE: "judge", PERSON: "people", API: "link"}
FLAG_WORDS = {
    "injection_attempt": "the text addresses the judge",
    "evidence_not_found": "quotes that are not in the text",
    "cut": "the judge saw a shortened text",
}
IN_CELL, ON_TURN = 3, 4
# Names offered as columns; any other can be asked for by its address.
COLUMNS_OFFERED = 12


@dataclass(frozen=True, slots=True)
class ScoreView:
    """One score as a page writes it."""

    anchor: str
    title: str
    name: str
    value: str
    text: str  # a text score's own words, which stand in the place of a value
    is_bad: bool
    icon: str
    who: str
    who_href: str
    by: str  # version, model, rubric
    reason: str
    evidence: tuple[str, ...]
    remarks: tuple[str, ...]
    made_at: datetime
    span_hex: str
    call_href: str
    calibration_href: str
    pi: str
    is_uncorrected: bool


@dataclass(frozen=True, slots=True)
class WhyView:
    """Why one judge did or did not judge the trace."""

    name: str
    href: str
    words: str
    call_href: str


@dataclass(frozen=True, slots=True)
class ScoresView:
    """The scores of one target, those of judges first, whether there are more than are shown, and why judged or not."""

    scores: tuple[ScoreView, ...]
    is_cut: bool
    flagged_by: tuple[str, ...]
    why: tuple[WhyView, ...] = ()
    most: int = OF_ONE_MAX


def trace_part(request: HttpRequest, project: Project, row: TraceRow) -> Part | None:
    """The card of scores on the page of a trace; None where there is nothing to tell."""
    scores, reasons = scores_of_trace(project.pk, row.trace_id), why(project.pk, row.trace_id)
    if not scores and not reasons:
        return None
    base = f"/p/{project.slug}/"
    view = replace(view_scores(project, scores), why=tuple(_why(reason, base) for reason in reasons))
    return Part("evals/_scores_trace.html", view)


def span_part(project: Project, trace_id: UUID, span_id: int) -> Part | None:
    """The scores of one span in its panel."""
    scores = scores_of_trace(project.pk, trace_id, span_id)
    return Part("evals/_scores_span.html", view_scores(project, scores)) if scores else None


def session_part(project: Project, session_id: str, trace_ids: Sequence[UUID]) -> SessionPart:
    """The scores of a session as a whole, and in short those of its turns."""
    scores = scores_of_session(project.pk, session_id)
    part = Part("evals/_scores_session.html", view_scores(project, scores)) if scores else None
    turns = scores_of_traces(project.pk, trace_ids)
    return SessionPart(part, {trace_id: _notes(briefs) for trace_id, briefs in turns.items()})


def _why(reason: Why, base: str) -> WhyView:
    call = f"{base}traces/{reason.call_trace_id.hex}/" if reason.call_trace_id is not None else ""
    return WhyView(reason.judge_name, f"{base}judges/{reason.judge_slug}/", reason.words, call)


def view_scores(project: Project, scores: Sequence[Score]) -> ScoresView:
    """Scores as a page writes them."""
    base = f"/p/{project.slug}/"
    ordered = sorted(scores, key=lambda s: (s.source, s.judge_name, -(s.version or 0), s.author, s.target_kind == SPAN))
    flagged = {score.judge_name or score.judge_slug for score in scores if score.is_flagged}
    shown = tuple(_view(score, base) for score in ordered)
    return ScoresView(shown, len(scores) >= OF_ONE_MAX, tuple(sorted(flagged)))


def _view(score: Score, base: str) -> ScoreView:
    is_judge = score.source == JUDGE and bool(score.judge_slug)
    version = f"v{score.version}" if score.version is not None else ""
    rubric = f"rubric {score.rubric_name} v{score.rubric_version}" if score.rubric_name else ""
    who = {JUDGE: score.judge_name or "a judge that is gone", PERSON: score.author or "a person"}.get(
        score.source, score.author or "a program"
    )
    judge = f"{base}judges/{score.judge_slug}/"
    drawn = f"drawn with probability {score.pi:.3g}" if score.pi is not None else "picked, not drawn: in no estimate"
    return ScoreView(
        anchor=f"score-{score.id}",
        title=score.title,
        name=score.name,
        value="" if score.data_type == TEXT else value_words(score.data_type, score.number, score.label, _high(score)),
        text=score.comment if score.data_type == TEXT else "",
        is_bad=_is_bad(score),
        icon=ICONS.get(score.source, "judge"),
        who=who,
        who_href=f"{judge}?v={score.version}" if is_judge and score.version is not None else "",
        by=", ".join(part for part in (version, score.model, rubric) if part),
        reason="" if score.data_type == TEXT else score.comment,
        evidence=score.evidence,
        remarks=tuple(FLAG_WORDS.get(flag, flag.replace("_", " ")) for flag in score.flags),
        made_at=score.made_at,
        span_hex=score.span_hex,
        call_href=f"{base}traces/{score.call_trace_id.hex}/" if score.call_trace_id is not None else "",
        calibration_href=f"{judge}calibration/?v={score.version}&criterion={score.name}" if is_judge else "",
        pi=drawn if score.source == JUDGE else "",
        is_uncorrected=score.source == JUDGE,
    )


def _high(score: Score) -> int | None:
    scale = score.criterion.scale if score.criterion is not None else None
    return scale.high if scale is not None and scale.kind == "points" else None


def _is_bad(score: Score) -> bool:
    limit = score.criterion.flag_at_most if score.criterion is not None else None
    return limit is not None and score.number is not None and score.number <= limit


def _brief_words(brief: Brief) -> str:
    return value_words(brief.data_type, brief.number, brief.label, brief.high)


def _notes(briefs: Sequence[Brief]) -> tuple[Note, ...]:
    notes: list[Note] = []
    flagged = sorted({brief.judge_slug for brief in briefs if brief.is_flagged and brief.judge_slug})
    notes += [("bad", "judge", f"Flagged by {slug}") for slug in flagged]
    shown = [brief for brief in briefs if brief.data_type != TEXT]
    for brief in shown[:ON_TURN]:
        css = "watch" if brief.is_bad else ""
        notes.append((css, ICONS.get(brief.source, "judge"), f"{brief.name} {_brief_words(brief)}"))
    if len(shown) > ON_TURN:
        notes.append(("", "judge", f"and {len(shown) - ON_TURN} more scores"))
    return tuple(notes)


def _scores_cells(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, SafeString]:
    cells = {}
    for trace_id, briefs in scores_of_traces(project.pk, trace_ids).items():
        shown = [brief for brief in briefs if brief.data_type != TEXT]
        lines = [f'<span class="cut">{_value_html(brief)} {_text(brief.name)}</span>' for brief in shown[:IN_CELL]]
        if len(briefs) > IN_CELL or not shown:
            more = len(briefs) - min(len(shown), IN_CELL)
            lines.append(f'<span class="mut">{"and " if shown else ""}{more} more</span>')
        flag = '<span class="badge bad">flagged</span> ' if any(brief.is_flagged for brief in briefs) else ""
        cells[trace_id] = mark_safe(flag + "".join(lines))  # noqa: S308 - by `_text`
    return cells


def _flag_cells(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, SafeString]:
    cells = {}
    for trace_id, briefs in scores_of_traces(project.pk, trace_ids).items():
        flagged = sorted({brief.judge_slug for brief in briefs if brief.is_flagged})
        judged = any(brief.source == JUDGE for brief in briefs)
        if flagged:
            names = _text(", ".join(flagged))
            cells[trace_id] = f'<span class="badge bad">flagged</span><br><span class="mut cut">{names}</span>'
        elif judged:
            cells[trace_id] = '<span class="mut">judged, not flagged</span>'
    return {trace_id: mark_safe(cell) for trace_id, cell in cells.items()}  # noqa: S308 - by `_text`


def _score_values(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    found = scores_of_traces(project.pk, trace_ids)
    return {
        trace_id: "; ".join(f"{brief.name} {_brief_words(brief)}" for brief in briefs if brief.data_type != TEXT)
        for trace_id, briefs in found.items()
    }


def _flag_values(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """The slugs of the judges that flagged a trace; "" where it was judged and by none flagged."""
    found = scores_of_traces(project.pk, trace_ids)
    return {
        trace_id: ", ".join(sorted({brief.judge_slug for brief in briefs if brief.is_flagged}))
        for trace_id, briefs in found.items()
        if any(brief.source == JUDGE for brief in briefs)
    }


def score_column(name: str) -> ExtraColumn | None:
    """The column of one name of scores, or of one judge's (`<judge>/<name>`)."""
    who, rest = score_terms.split_name(name)
    if not rest or len(name) > score_terms.NAME_CHARS_MAX:
        return None

    def newest(project: Project, trace_ids: Sequence[UUID]) -> dict[UUID, tuple[Brief, int]]:
        """The newest such score of each trace, and of how many."""
        sources = {score_terms.PEOPLE: PERSON, score_terms.PROGRAMS: API}
        slug = "" if who in sources else who.partition("@")[0]
        found = {}
        for trace_id, briefs in scores_of_traces(project.pk, trace_ids, rest, slug).items():
            wanted = [brief for brief in briefs if who not in sources or brief.source == sources[who]]
            if wanted:
                found[trace_id] = (max(wanted, key=lambda brief: brief.made_at), len(wanted))
        return found

    def cells(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, SafeString]:
        found = {}
        for trace_id, (brief, n) in newest(project, trace_ids).items():
            more = f'<br><span class="mut">of {n}</span>' if n > 1 else ""
            found[trace_id] = mark_safe(_value_html(brief) + more)  # noqa: S308 - by `_text`
        return found

    def values(project: Project, trace_ids: Sequence[UUID]) -> Mapping[UUID, Any]:
        return {trace_id: _plain(brief) for trace_id, (brief, _) in newest(project, trace_ids).items()}

    return ExtraColumn(f"score.{name}", f"Score: {rest}", cells, "w-text", is_number=True, values=values)


def _plain(brief: Brief) -> Any:
    """What was said as a file has it: a number, true or false, a label; text of its own is no value of a list."""
    if brief.number is None or brief.data_type == LABEL:
        return brief.label
    return bool(brief.number) if brief.data_type == BOOLEAN else brief.number


def _value_html(brief: Brief) -> str:
    words = _text(_brief_words(brief))
    return f'<b class="up">{words}</b>' if brief.is_bad else f"<b>{words}</b>"


def _text(text: str) -> str:
    return escape(fmt.visible(text))


def _names(project: Project) -> Sequence[str]:
    return score_names(project.pk, COLUMNS_OFFERED)


COLUMNS = (
    ExtraColumn("scores", "Scores", _scores_cells, values=_score_values),
    ExtraColumn("flagged", "Flagged", _flag_cells, values=_flag_values),
)
FAMILY = ColumnFamily("score", _names, score_column)
