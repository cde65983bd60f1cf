"""Labels as they come from elsewhere, read to rows, each judged alone. Pure.

One row is what one reviewer or one judge said of one item: `scores` by criterion, or a value `score.<criterion>` for
each (with `reason.<criterion>`), or `name` and `value` with a row for each score.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from evals.reviewing.config import NOTE_MAX, VERDICTS, RefusedReview, clean_text

ROWS_MAX = 20_000
ID_MAX, NAME_MAX, REASON_MAX = 200, 200, 4_000
EVIDENCE_MAX, EVIDENCE_CHARS_MAX = 20, 2_000
VERSION_MAX = 1_000_000
_CRITERION = re.compile(r"[a-z][a-z0-9_]{0,49}\Z")
_HEX = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}\Z")
_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")
FIELDS = (
    "id", "trace_id", "span_id", "reviewer", "judge", "judge_version", "model", "rubric", "rubric_version", "scores",
    "verdict", "category", "note", "is_adjudication", "was_blind", "is_flagged", "pi_judge", "pi_review", "at", "name",
    "value", "reason", "queue",
)  # fmt: skip
NESTED = ("score.", "reason.")


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that was not taken: which (from 0), which field, what is wrong, the limit, what came."""

    index: int
    field: str
    message: str
    limit: str = ""
    value: str = ""
    external_id: str = ""
    line: int = 0  # of a file, from 1


@dataclass(frozen=True, slots=True)
class Given:
    """One score as it came, with the reason and the quotes beside it."""

    value: object
    reason: str = ""
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What one reviewer (or judge: the other is empty) said of one item. `is_part`: one score of several rows."""

    index: int
    external_id: str
    trace_id: str
    span_id: int
    reviewer: str
    judge: str
    judge_version: int
    model: str
    rubric: str
    scores: Mapping[str, Given]
    verdict: str = ""
    category: str = ""
    note: str = ""
    is_adjudication: bool = False
    was_blind: bool = True
    is_flagged: bool | None = None
    pi_judge: float | None = None
    pi_review: float | None = None
    at: datetime | None = None
    is_part: bool = False
    rubric_version: int | None = None
    line: int = 0

    @property
    def key(self) -> str:
        """What makes it the same label when it is sent again: the caller's id, else who said it of what."""
        if self.external_id and self.reviewer:
            return self.external_id
        reviewer = self.reviewer.casefold() if "@" in self.reviewer else self.reviewer
        who = f"p {reviewer}" if reviewer else f"j {self.judge} {self.judge_version}"
        # One trace has one name, however its digits are written.
        name = UUID(self.trace_id).hex if _HEX.match(self.trace_id) else self.trace_id
        about = "\0".join((who, name, str(self.span_id), str(self.is_adjudication)))
        return "import:" + hashlib.sha256(about.encode()).hexdigest()[:40]


@dataclass(slots=True)
class Read:
    """The rows of a body: those that can be read, what is wrong with the others, and how many there are in all."""

    rows: list[Row] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    total: int = 0


def read_items(items: Iterable[tuple[object, int, tuple[str, str] | None]]) -> Read:
    """Rows of items that come as (value, line, why it cannot be read), each judged alone. RefusedReview: too many."""
    found = Read()
    merged: dict[str, int] = {}
    for index, (item, line, unreadable) in enumerate(items):
        found.total = index + 1
        if index >= ROWS_MAX:
            raise RefusedReview("body", "has too many rows", f"{ROWS_MAX:,} rows in a request; send it in parts")
        try:
            if unreadable is not None:
                raise RefusedReview(*unreadable)
            row = _row(index, line, item)
        except RefusedReview as refused:
            external = item.get("id") if isinstance(item, dict) else None
            shown = external[:ID_MAX] if isinstance(external, str) else ""
            found.faults.append(Fault(index, refused.field, refused.message, refused.limit, refused.value, shown, line))
            continue
        place = merged.get(row.key)
        if place is None:
            merged[row.key] = len(found.rows)
            found.rows.append(row)
        elif row.is_part and found.rows[place].is_part:
            before = found.rows[place]
            found.rows[place] = replace(row, scores={**before.scores, **row.scores}, note=row.note or before.note)
        else:
            # Of several with one id in a request the last counts.
            found.rows[place] = row
    return found


def _row(index: int, line: int, item: object) -> Row:
    if not isinstance(item, dict):
        raise RefusedReview("row", "is no object")
    flat = {str(name): value for name, value in item.items() if value is not None}
    scores: dict[str, Given] = {}
    for name in [name for name in flat if name.startswith("score.")]:
        scores[_key(name.removeprefix("score."), name)] = _given(flat.pop(name), name)
    for name in [name for name in flat if name.startswith("reason.")]:
        key, reason = _key(name.removeprefix("reason."), name), clean_text(name[:70], flat.pop(name), REASON_MAX)
        if key in scores:
            scores[key] = replace(scores[key], reason=reason)
    unknown = sorted(name for name in flat if name not in FIELDS)
    if unknown:
        limit = f"{', '.join(FIELDS)}, score.<criterion>, reason.<criterion>"
        raise RefusedReview(unknown[0][:60], "is not known here", limit)
    nested = flat.get("scores", {})
    if not isinstance(nested, dict):
        raise RefusedReview("scores", "is no object", "criterion -> value")
    for name, value in nested.items():
        if value is not None:
            scores[_key(str(name), f"scores.{str(name)[:60]}")] = _given(value, f"scores.{name}")
    is_part = "name" in flat or "value" in flat
    if is_part:
        name = _key(_text(flat, "name", 60, is_needed=True), "name")
        if "value" not in flat:
            raise RefusedReview("value", "is missing")
        scores[name] = Given(flat["value"], _text(flat, "reason", REASON_MAX))
    return _checked(index, line, flat, scores, is_part)


def _checked(index: int, line: int, flat: dict[str, Any], scores: dict[str, Given], is_part: bool) -> Row:
    reviewer, judge = _text(flat, "reviewer", NAME_MAX), _text(flat, "judge", 60)
    if bool(reviewer) == bool(judge):
        raise RefusedReview(
            "reviewer", "is missing" if not judge else "stands beside a judge", "one of reviewer, judge"
        )
    if judge and not _SLUG.match(judge):
        raise RefusedReview("judge", "is no name in addresses", "small letters, digits, - and _", judge[:60])
    verdict = _text(flat, "verdict", 20)
    if verdict and verdict not in VERDICTS:
        raise RefusedReview("verdict", "is none", ", ".join(VERDICTS), verdict)
    if verdict and judge:
        raise RefusedReview("verdict", "is a person's", "leave it out of a judge's scores")
    if not scores and not verdict:
        raise RefusedReview("scores", "are missing", "at least one score, or a verdict")
    return Row(
        index=index,
        external_id=_text(flat, "id", ID_MAX),
        trace_id=_text(flat, "trace_id", 512, is_needed=True),
        span_id=_span(_text(flat, "span_id", 16)),
        reviewer=reviewer,
        judge=judge,
        judge_version=_version("judge_version", flat.get("judge_version", 1)),
        model=_text(flat, "model", 200),
        rubric=_text(flat, "rubric", 60),
        scores=scores,
        verdict=verdict,
        category=_text(flat, "category", 100),
        note=_text(flat, "note", NOTE_MAX),
        is_adjudication=_flag(flat, "is_adjudication", default=False),
        was_blind=_flag(flat, "was_blind", default=True),
        is_flagged=_flag(flat, "is_flagged", default=False) if "is_flagged" in flat else None,
        pi_judge=_chance(flat, "pi_judge"),
        pi_review=_chance(flat, "pi_review"),
        at=_moment(flat),
        is_part=is_part,
        rubric_version=_version("rubric_version", flat["rubric_version"]) if "rubric_version" in flat else None,
        line=line,
    )


def _key(name: str, where: str) -> str:
    if not _CRITERION.match(name):
        raise RefusedReview(where[:70], "names no criterion", "small letters, digits and _, 50 characters")
    return name


def _given(value: object, where: str) -> Given:
    if not isinstance(value, dict):
        return Given(value)
    unknown = sorted(str(name) for name in value if name not in ("value", "reason", "evidence"))
    if unknown or "value" not in value:
        raise RefusedReview(
            f"{where}.{(unknown or ['value'])[0][:60]}", "is not known here" if unknown else "is missing"
        )
    quotes = value.get("evidence") or []
    if not isinstance(quotes, list) or len(quotes) > EVIDENCE_MAX:
        raise RefusedReview(f"{where}.evidence", "is no array of quotes", f"at most {EVIDENCE_MAX}")
    evidence = tuple(clean_text(f"{where}.evidence", quote, EVIDENCE_CHARS_MAX) for quote in quotes)
    return Given(value["value"], clean_text(f"{where}.reason", value.get("reason") or "", REASON_MAX), evidence)


def _text(flat: Mapping[str, Any], name: str, limit: int, *, is_needed: bool = False) -> str:
    value = flat.get(name, "")
    if isinstance(value, int) and not isinstance(value, bool) and name in ("id", "trace_id", "reviewer"):
        value = str(value)[:limit]
    if is_needed and value == "":
        raise RefusedReview(name, "is missing")
    return clean_text(name, value, limit, is_needed=is_needed)


def _span(raw: str) -> int:
    if not raw:
        return 0
    if not re.fullmatch(r"[0-9a-fA-F]{16}", raw):
        raise RefusedReview("span_id", "is no span's id", "16 hex digits", raw)
    number = int(raw, 16)
    return number - 2**64 if number >= 2**63 else number


def _version(name: str, raw: object) -> int:
    text = str(raw).strip()[:20].removesuffix(".0")
    if isinstance(raw, bool) or not (text.isascii() and text.isdigit() and 1 <= int(text) <= VERSION_MAX):
        raise RefusedReview(name, "is no version", f"a whole number from 1 to {VERSION_MAX:,}", text)
    return int(text)


def _flag(flat: Mapping[str, Any], name: str, *, default: bool) -> bool:
    raw = flat.get(name, default)
    word = str(raw).strip().casefold() if isinstance(raw, bool | int | str) else ""
    if word not in ("true", "false", "1", "0", "yes", "no"):
        raise RefusedReview(name, "is neither true nor false", "true or false", str(raw)[:40])
    return word in ("true", "1", "yes")


def _chance(flat: Mapping[str, Any], name: str) -> float | None:
    raw = flat.get(name)
    if raw is None:
        return None
    try:
        number = float(raw) if isinstance(raw, int | float | str) and not isinstance(raw, bool) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or not 0 < number <= 1:
        raise RefusedReview(name, "is no probability", "above 0, up to 1", str(raw)[:40])
    return number


def _moment(flat: Mapping[str, Any]) -> datetime | None:
    raw = _text(flat, "at", 40)
    if not raw:
        return None
    try:
        at = datetime.fromisoformat(raw)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise RefusedReview("at", "is no time", "ISO 8601", raw) from None
    if not 1970 <= at.year <= 2200:
        raise RefusedReview("at", "is out of range", "years 1970 to 2200", raw)
    return at
