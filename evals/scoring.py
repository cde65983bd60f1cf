"""Scores from people's own programs: what may be said, about what, and who said it.

Every item of a request is judged alone: a bad one is told with its field and limit, and the others are kept.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from evals import drawing
from evals.read.scores import (
    BOOLEAN,
    DATA_TYPES,
    LABEL,
    NUMERIC,
    SESSION,
    SPAN,
    TEXT,
    TRACE,
    starts_of_sessions,
    starts_of_traces,
)
from evals.sampling.signals import is_thumb_down
from evals.telling import OF_SCORE, Word, forget_feedback, tell_feedback
from evals.write import given
from evals.write.scores import API, NewScore, Put
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from traces import erasure
from traces.canonical.text import clean_text, clean_value
from traces.canonical.types import EVALUATION
from traces.masks import mask_id
from traces.read import TraceRow
from traces.read.evaluations import Evaluation, read_evaluations
from traces.wire.ids import BadId, find_trace_ids, hex_span_id, span_id_from

ITEMS_MAX = 1000
ID_CHARS_MAX = 200
NAME_CHARS_MAX = 100
LABEL_CHARS_MAX = 200
TEXT_CHARS_MAX = 10_000
EVIDENCE_MAX, EVIDENCE_CHARS_MAX = 20, 2000
METADATA_BYTES_MAX = 16_384
AUTHOR_CHARS_MAX = 200
SESSION_CHARS_MAX = 512
NUMBER_MAX = 1e15
DATE_AT_ONCE = 5000
AHEAD = timedelta(days=1)
NAME_RULE = "letters, digits, spaces and _ . : - only, beginning with a letter or digit"
_NAME = re.compile(r"\w[\w .:-]*\Z")
_NOT_IN_NAMES = re.compile(r"\A\W+|[^\w .:-]")
FIELDS = (
    "id",
    "name",
    "value",
    "data_type",
    "trace_id",
    "span_id",
    "session_id",
    "comment",
    "evidence",
    "author",
    "metadata",
    "made_at",
)
GONE = Fault("target", erasure.MESSAGE)
_TYPES = {word: data_type for data_type, word in DATA_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Author:
    """Who sends scores: a person, or a key of the project."""

    name: str
    user_id: int | None = None
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item: created, updated, superseded (a later item of the request has its id), or rejected."""

    status: str
    score_id: int | None
    external_id: str | None
    faults: tuple[Fault, ...] = ()


def put_scores(project_id: int, items: Sequence[Any], author: Author) -> list[Result]:
    """Keep what can be kept of `items`, each an object of a request; a result for each, in their order."""
    now = clock.now()
    results: list[Result | None] = [None] * len(items)
    read: dict[int, NewScore] = {}
    for at, item in enumerate(items):
        try:
            given_ = read_item(item, author, now)
            # Sessions are stored by their masked ids: a score of one must name it so.
            session_id = given_.session_id and mask_id(project_id, given_.session_id)
            read[at] = replace(given_, session_id=session_id)
        except ItemRefused as refused:
            results[at] = Result("rejected", None, _external(item), refused.faults)
    gone = _erased(project_id, read)
    for at in gone:
        results[at] = Result("rejected", None, read.pop(at).external_id, (GONE,))
    last = {score.external_id: at for at, score in read.items() if score.external_id is not None}
    kept = [at for at, score in read.items() if score.external_id is None or last[score.external_id] == at]
    down = {
        score.trace_id
        for score in read.values()
        if score.trace_id is not None and is_thumb_down(score.name, score.number, score.label)
    }
    dated = _dated(project_id, [read[at] for at in kept])
    with transaction.atomic():
        erasure.count_refused(project_id, "scores", len(gone), "its target", author.key_id)
        puts = given.put_given(project_id, dated)
        drawing.look_again(project_id, down)
        words = [
            Word(f"{OF_SCORE}{put.score_id}", score, score.made_at if _tells(items[at], "made_at") else None,
                 score.author if _tells(items[at], "author") else None)
            for at, score, put in zip(kept, dated, puts, strict=True)
            if put is not None
        ]  # fmt: skip
        tell_feedback(project_id, words, author.key_id)
    for at, put in zip(kept, puts, strict=True):
        results[at] = _result(read[at], put)
    for at, score in read.items():
        if results[at] is None:
            winner = results[last[score.external_id or ""]]
            score_id = None if winner is None else winner.score_id
            results[at] = Result("superseded", score_id, score.external_id)
    return [result for result in results if result is not None]


def _erased(project_id: int, read: Mapping[int, NewScore]) -> list[int]:
    """Which of the scores are about what was erased, or given by whom."""
    authors = {at: score.author if score.author_id is None else None for at, score in read.items()}
    gone = erasure.find_gone(
        project_id,
        traces={score.trace_id for score in read.values() if score.trace_id is not None},
        sessions={score.session_id for score in read.values()},
        users=set(authors.values()),
    )
    return [at for at, score in read.items() if gone.why(score.trace_id, score.session_id, authors[at])]


def _tells(item: Any, field: str) -> bool:
    return bool(item.get(field))


def delete_score(project_id: int, score_id: int) -> bool:
    """Remove a score that a program gave, and the signal it was told as; False where there is none."""
    with transaction.atomic():
        is_gone = given.delete_score(project_id, score_id)
        if is_gone:
            forget_feedback(project_id, score_id)
    return is_gone


def date_scores() -> int:
    """Give scores that came before their targets the start of these, where they have come since."""
    return given.date_scores(DATE_AT_ONCE)


def take_evaluations(project_id: int, rows: Sequence[TraceRow]) -> None:
    """Keep what events of these traces say of their answers as scores on their spans, and an end user's word as a
    signal too. Safe to repeat. What is erased meanwhile is left out, and counted.
    """
    now = clock.now()
    gone = erasure.find_gone(
        project_id,
        traces={row.trace_id for row in rows},
        sessions={row.session_id for row in rows},
        users={row.user_id for row in rows},
    )
    left = {row.trace_id for row in rows if gone.why(row.trace_id, row.session_id, row.user_id)}
    services = {row.trace_id: row.service or "" for row in rows}
    scores: dict[str, NewScore] = {}
    refused = 0
    for told in read_evaluations(project_id, rows):
        if told.trace_id in left:
            refused += 1
            continue
        try:
            score = _told_score(told, services[told.trace_id], now)
        except ItemRefused:
            continue  # says nothing that could be a score; the span's page shows the event
        scores[score.external_id or ""] = score
    erasure.count_refused(project_id, "scores", refused, "its target")
    given.put_given(project_id, _dated(project_id, list(scores.values())))
    tell_feedback(project_id, [Word(key, score, score.made_at) for key, score in scores.items()])


def _told_score(told: Evaluation, service: str, now: datetime) -> NewScore:
    """An event as a score; ItemRefused where it names nothing, or says neither number nor label."""
    read = {key: told.attributes.get(f"gen_ai.evaluation.{key}") for key in ("name", "score.value", "score.label")}
    number, label = read["score.value"], read["score.label"]
    why = told.attributes.get("gen_ai.evaluation.explanation")
    if isinstance(number, str):
        with suppress(ValueError):
            number = float(number)
    has_number = number is not None and not isinstance(number, str)
    words = clean_text(label).strip()[:LABEL_CHARS_MAX] if isinstance(label, str) else ""
    name = _NOT_IN_NAMES.sub("_", read["name"].strip())[:NAME_CHARS_MAX] if isinstance(read["name"], str) else None
    value = number if has_number else words
    digest = sha256(orjson.dumps([told.trace_id, told.span_id, name, told.at, str(number), words])).hexdigest()
    item = {
        "id": f"otel:{digest[:40]}",
        "name": name,
        "value": value,
        "trace_id": told.trace_id.hex,
        "span_id": hex_span_id(told.span_id),
        "comment": why[:TEXT_CHARS_MAX] if isinstance(why, str) else None,
        "author": service[:AUTHOR_CHARS_MAX],
    }
    score = read_item(item, Author("OpenTelemetry"), now)
    # A number's own label can be asked for, too.
    return replace(score, label=words or None, made_at=min(told.at, now), metadata={"event": EVALUATION})


def read_item(item: Any, author: Author, now: datetime) -> NewScore:
    """One object of a request as a score; ItemRefused naming every field that is wrong."""
    if not isinstance(item, dict):
        raise ItemRefused(Fault("item", "is no object", "an object with name, value and a target"))
    faults: list[Fault] = [
        Fault(str(key)[:80] or '""', "unknown field", f"one of {', '.join(FIELDS)}")
        for key in item
        if key not in FIELDS
    ][:10]
    read: dict[str, Any] = {}
    for field, reader in _READERS.items():
        try:
            read[field] = reader(item)
        except ItemRefused as refused:
            faults += refused.faults
    if faults:
        raise ItemRefused(*faults)
    kind, trace_id, span_id, session_id = read["target"]
    data_type, number, label, text = read["value"]
    made_at = read["made_at"] or now
    if made_at > now + AHEAD:
        raise ItemRefused(Fault("made_at", "lies in the future", f"at most {(now + AHEAD).isoformat()}"))
    return NewScore(
        source=API,
        target_kind=kind,
        trace_id=trace_id,
        span_id=span_id,
        session_id=session_id,
        started_at=made_at,
        name=read["name"],
        data_type=data_type,
        number=number,
        label=label,
        comment=text if data_type == TEXT else read["comment"],
        evidence=read["evidence"],
        author=read["author"] or author.name,
        author_id=author.user_id,
        key_id=author.key_id,
        external_id=read["id"],
        metadata=read["metadata"],
        made_at=made_at,
    )


def clean_name(raw: Any) -> str:
    """The name of a score; ItemRefused where it is none."""
    name = _text("name", raw, NAME_CHARS_MAX)
    if not name:
        raise ItemRefused(Fault("name", "is required"))
    if not _NAME.match(name):
        raise ItemRefused(Fault("name", "has characters that no name has", NAME_RULE, name))
    return name


def _text(field: str, raw: Any, limit: int, *, must_fit: bool = True) -> str:
    if raw is None:
        return ""
    if not isinstance(raw, str):
        raise ItemRefused(Fault(field, "is no text", "a string", raw if isinstance(raw, int | float) else None))
    text = clean_text(raw).strip()
    if must_fit and len(text) > limit:
        raise ItemRefused(Fault(field, "is too long", f"{limit} characters", f"{len(text)} characters"))
    return text


def _external(item: Any) -> str | None:
    found = item.get("id") if isinstance(item, dict) else None
    return clean_text(found)[:ID_CHARS_MAX] if isinstance(found, str) else None


def _read_id(item: dict[str, Any]) -> str | None:
    return _text("id", item.get("id"), ID_CHARS_MAX) or None


def _read_target(item: dict[str, Any]) -> tuple[int, UUID | None, int, str | None]:
    trace = _text("trace_id", item.get("trace_id"), SESSION_CHARS_MAX)
    span = _text("span_id", item.get("span_id"), SESSION_CHARS_MAX)
    session = _text("session_id", item.get("session_id"), SESSION_CHARS_MAX)
    if bool(trace) == bool(session):
        message = "and session_id exclude each other" if trace else "or session_id is required"
        raise ItemRefused(Fault("trace_id", message, "one of the two"))
    if session:
        if span:
            raise ItemRefused(Fault("span_id", "needs the trace it is in", "trace_id with span_id"))
        return SESSION, None, 0, session
    ids = find_trace_ids(trace)
    if len(ids) != 1:
        raise ItemRefused(Fault("trace_id", "is no trace's id", "32 hex digits or a UUID, not all zero", trace))
    if not span:
        return TRACE, ids[0], 0, None
    try:
        if not re.fullmatch(r"[0-9a-fA-F]{16}", span):
            raise BadId
        return SPAN, ids[0], span_id_from(span, "otlp")[0], None
    except BadId:
        raise ItemRefused(Fault("span_id", "is no span's id", "16 hex digits, not all zero", span)) from None


def _read_value(item: dict[str, Any]) -> tuple[int, float | None, str | None, str | None]:
    """(data type, number, label, text) of the value; its own type decides where none is named."""
    if item.get("value") is None:
        raise ItemRefused(Fault("value", "is required", "a number, true or false, or text"))
    value = item["value"]
    natural = BOOLEAN if isinstance(value, bool) else LABEL if isinstance(value, str) else NUMERIC
    word = item.get("data_type")
    if word is not None and (not isinstance(word, str) or word not in _TYPES):
        raise ItemRefused(Fault("data_type", "is not accepted", f"one of {', '.join(_TYPES)}", word))
    data_type = _TYPES[word] if word else natural
    if data_type == BOOLEAN:
        if isinstance(value, bool) or (isinstance(value, int | float) and value in {0, 1}):
            return BOOLEAN, float(value), None, None
        raise ItemRefused(Fault("value", "is neither true nor false", "true, false, 1 or 0", _shown(value)))
    if data_type == NUMERIC:
        return NUMERIC, _number(value), None, None
    if not isinstance(value, str):
        raise ItemRefused(Fault("value", "is no text", f"a string, for the data type {DATA_TYPES[data_type]}"))
    limit = LABEL_CHARS_MAX if data_type == LABEL else TEXT_CHARS_MAX
    text = clean_text(value).strip()
    if not text:
        raise ItemRefused(Fault("value", "is empty", f"1 to {limit} characters"))
    if len(text) > limit:
        hint = ", or data_type text" if data_type == LABEL and word is None else ""
        raise ItemRefused(Fault("value", "is too long", f"{limit} characters{hint}", f"{len(text)} characters"))
    return (LABEL, None, text, None) if data_type == LABEL else (TEXT, None, None, text)


def _number(value: Any) -> float:
    limit = f"a finite number from -{NUMBER_MAX:g} to {NUMBER_MAX:g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ItemRefused(Fault("value", "is no number", limit, _shown(value)))
    if not math.isfinite(value) or abs(value) > NUMBER_MAX:
        raise ItemRefused(Fault("value", "is out of range", limit, _shown(value)))
    return float(value)


def _shown(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | float) else None


def _read_comment(item: dict[str, Any]) -> str | None:
    return _text("comment", item.get("comment"), TEXT_CHARS_MAX) or None


def _read_evidence(item: dict[str, Any]) -> tuple[str, ...]:
    raw = item.get("evidence")
    if raw is None:
        return ()
    if not isinstance(raw, list):
        raise ItemRefused(Fault("evidence", "is no array", f"at most {EVIDENCE_MAX} strings"))
    if len(raw) > EVIDENCE_MAX:
        raise ItemRefused(Fault("evidence", "has too many items", f"{EVIDENCE_MAX} strings", f"{len(raw)} items"))
    texts = (_text(f"evidence[{at}]", one, EVIDENCE_CHARS_MAX) for at, one in enumerate(raw))
    return tuple(text for text in texts if text)


def _read_author(item: dict[str, Any]) -> str:
    return _text("author", item.get("author"), AUTHOR_CHARS_MAX)


def _read_metadata(item: dict[str, Any]) -> dict[str, Any] | None:
    raw = item.get("metadata")
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise ItemRefused(Fault("metadata", "is no object", "an object"))
    cleaned: dict[str, Any] = clean_value(raw)
    size = len(orjson.dumps(cleaned))
    if size > METADATA_BYTES_MAX:
        raise ItemRefused(Fault("metadata", "is too large", f"{METADATA_BYTES_MAX} bytes", f"{size} bytes"))
    return cleaned or None


def _read_made_at(item: dict[str, Any]) -> datetime | None:
    raw = item.get("made_at")
    if raw is None:
        return None
    limit = "ISO 8601, years 1970 to 2200, such as 2026-11-19T10:41:07Z"
    try:
        at = datetime.fromisoformat(raw)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if not 1970 <= at.year <= 2200:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ItemRefused(Fault("made_at", "is no time", limit, _shown(raw))) from None
    return at


_READERS: dict[str, Any] = {
    "id": _read_id,
    "name": lambda item: clean_name(item.get("name")),
    "target": _read_target,
    "value": _read_value,
    "comment": _read_comment,
    "evidence": _read_evidence,
    "author": _read_author,
    "metadata": _read_metadata,
    "made_at": _read_made_at,
}


def _dated(project_id: int, scores: list[NewScore]) -> list[NewScore]:
    """The scores with the starts of their targets, where these are there."""
    traces = starts_of_traces(project_id, {score.trace_id for score in scores if score.trace_id is not None})
    sessions = starts_of_sessions(project_id, {score.session_id for score in scores if score.session_id is not None})
    dated = []
    for score in scores:
        at = traces.get(score.trace_id) if score.trace_id is not None else sessions.get(score.session_id or "")
        dated.append(score if at is None else replace(score, started_at=at))
    return dated


def _result(score: NewScore, put: Put | None) -> Result:
    if put is None:
        limit = "an id that no judge's or person's score has"
        return Result("rejected", None, score.external_id, (Fault("id", "is taken", limit, score.external_id),))
    return Result("created" if put.is_new else "updated", put.score_id, score.external_id)
