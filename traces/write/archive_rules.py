"""What lines of an archive must pass before they are stored: what was erased here stays away, the rest is masked.

The rules are those of the project that reads, in force now. A line in which the combined pattern catches nothing goes
through as it is, byte for byte.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from traces.canonical.types import EVALUATION, SpanFlag
from traces.masking import Masker, Mode
from traces.masking.spans import score_of, strip_body, strip_resource
from traces.write import erased
from traces.write.masking import stored_features

# A masked text may be longer than it was, and up to this every column holds.
SHORT = 60
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Columns:
    """What of a table is text of outside origin: texts, ids that join, and values of JSON or lists of texts.

    `strip` leaves of a row what is kept without content; None where that keeps everything, False from it: no row.
    """

    texts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    strip: Callable[[Row], bool] | None = None
    user: str = "user_id"
    is_flagged: bool = False  # whether a row says of itself that it was masked


def _without(*names: str) -> Callable[[Row], bool]:
    def strip(row: Row) -> bool:
        row.update(dict.fromkeys(name for name in names if name in row))
        for name in ("metadata", "attributes"):
            if isinstance(row.get(name), dict):
                row[name] = numbers_of(row[name])
        return True

    return strip


def numbers_of(values: Mapping[str, Any]) -> Row | None:
    """Of a map its numbers and truths, also those that are kept digit by digit; None where it has none."""
    numbers = bool | int | float | orjson.Fragment
    return {name: told for name, told in values.items() if isinstance(told, numbers)} or None


def _strip_trace(row: Row) -> bool:
    row["tags"] = []
    return _without("preview_in", "preview_out")(row)


def _strip_span(row: Row) -> bool:
    row["flags"] = int(row.get("flags") or 0) | int(SpanFlag.NO_CONTENT)
    return _without("status_message", "tags")(row)


def _strip_bodies(row: Row) -> bool:
    row["bodies"] = {name: strip_body(body) for name, body in row["bodies"].items()}
    return True


def _strip_log(row: Row) -> bool:
    if row.get("event_name") != EVALUATION:
        return False
    row["body"] = {part: score_of(row["body"].get(part)) for part in ("body", "attributes")}
    return True


def _strip_origin(row: Row) -> bool:
    row["resource"] = strip_resource(row.get("resource") or {})
    row["scope_attributes"] = {}
    return True


_WHO = ("name", "service", "environment", "release", "feature", "prompt_name", "prompt_version", "finish_reason",
        "error_type")  # fmt: skip
COLUMNS: dict[str, Columns] = {
    "traces_origin": Columns(("scope_name", "scope_version"), (), ("resource", "scope_attributes"), _strip_origin),
    "traces_trace": Columns(
        (*_WHO, "preview_in", "preview_out"), ("user_id", "session_id", "foreign_trace_id"), ("models", "tags"),
        _strip_trace,
    ),
    "traces_span": Columns(
        (*_WHO, "status_message", "provider", "model_requested", "model_answered", "model_priced", "operation",
         "service_tier", "agent_name", "workflow_name", "tool_name"),
        ("user_id", "session_id", "response_id"), ("tags", "metadata", "attributes"), _strip_span,
        is_flagged=True,
    ),
    "traces_payload": Columns((), (), ("bodies",), _strip_bodies),
    "traces_span_log": Columns(("event_name",), (), ("body",), _strip_log),
    "traces_comment": Columns(("body",)),
    "traces_label": Columns(("label",)),
    "traces_signal": Columns(
        ("name", "value_label", "value_text", "comment", "feature"),
        ("client_id", "session_id", "request_id", "author"), ("metadata",), _without("value_text", "comment"), "author",
    ),
    "traces_metric_series": Columns(("name", "unit"), (), ("attributes",)),
    "traces_sighting": Columns(("environment", "service", "feature", "provider", "name", "value")),
    "traces_change": Columns(
        ("name", "version", "previous", "service", "feature", "environment", "author", "note", "url"), ("client_id",),
        ("details",),
    ),
}  # fmt: skip
# Tables whose mode is that of the project: no trace's feature is known of them.
_OF_PROJECT = frozenset({"traces_origin"})
_TRACES = ("trace_id", "origin_trace_id", "target_id")


@dataclass(slots=True)
class Passed:
    """Lines that may be stored, how many were left out as erased with their cost, and as having no content."""

    lines: list[bytes]
    erased: int = 0
    erased_pico: int = 0
    dropped: int = 0
    changed: int = 0


@dataclass
class Door:
    """What one import holds lines against. `columns` of tables of higher rooms come with them.

    `look` at every line of traces and spans first where `has_erased`: a trace one span of which names somebody is
    theirs as a whole.
    """

    project_id: int
    masker: Masker
    columns: Mapping[str, Columns]
    has_erased: bool
    counts: Counter[str] = field(default_factory=Counter)
    gone: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, project_id: int, masker: Masker, more: Mapping[str, Columns]) -> Door:
        """The door of a project."""
        has, _ = erased.has_erased(project_id)
        return cls(project_id, masker, COLUMNS | dict(more), has)

    def look(self, lines: Sequence[bytes]) -> None:
        """Note the traces that were erased here, by any of their spans."""
        self._is_gone([orjson.loads(line) for line in lines], "user_id")

    def take(self, table: str, lines: Sequence[bytes]) -> Passed:
        """What of these lines may be stored, and as what. Where nothing is to be done they are given back as they are.

        Raises ValueError, KeyError, TypeError or AttributeError where a line is no row of the table.
        """
        columns = self.columns.get(table, Columns())
        passed = Passed(list(lines))
        if self.has_erased:
            self._leave_erased(columns, passed)
        if self.masker.policy.strictest is not Mode.OFF and columns != Columns():
            self._mask(table, columns, passed)
        return passed

    def _leave_erased(self, columns: Columns, passed: Passed) -> None:
        rows = [orjson.loads(line) for line in passed.lines]
        is_gone = self._is_gone(rows, columns.user)
        passed.lines = [line for line, gone in zip(passed.lines, is_gone, strict=True) if not gone]
        away = [row for row, gone in zip(rows, is_gone, strict=True) if gone]
        passed.erased = len(away)
        passed.erased_pico = sum(int(row.get("cost_pico") or 0) for row in away)

    def _is_gone(self, rows: Sequence[Row], user: str) -> list[bool]:
        """Which rows are of what was erased here, under the ids they have and those they get."""
        named = [{name: row[name] for name in _TRACES if row.get(name)} for row in rows]
        known = erased.known(
            self.project_id,
            traces={UUID(told) for each in named for told in each.values()},
            sessions={each for row in rows for each in self._spelled(row.get("session_id"))},
            users={each for row in rows for each in self._spelled(row.get(user))},
        )
        found = []
        for row, ids in zip(rows, named, strict=True):
            told = {str(UUID(each)) for each in ids.values()}
            gone = (
                not told.isdisjoint(self.gone)
                or any(UUID(each).hex in known.traces for each in told)
                or any(each in known.sessions for each in self._spelled(row.get("session_id")))
                or any(each in known.users for each in self._spelled(row.get(user)))
            )
            if gone and "trace_id" in ids:
                self.gone.add(str(UUID(ids["trace_id"])))
            found.append(gone)
        return found

    def _spelled(self, told: Any) -> Iterable[str]:
        if not isinstance(told, str) or not told:
            return ()
        return {told, self.masker.id(told, Counter())}

    def _mask(self, table: str, columns: Columns, passed: Passed) -> None:
        policy = self.masker.policy
        strips = columns.strip is not None and policy.strictest is Mode.NO_CONTENT
        features = self._features(table, passed.lines) if policy.features and table not in _OF_PROJECT else {}
        kept: list[bytes] = []
        for line in passed.lines:
            if not strips and not self._suspects(columns, line):
                kept.append(line)
                continue
            row = json.loads(line, parse_float=_exact, parse_int=_whole)
            feature = features.get(str(row.get("trace_id"))) or row.get("feature")
            mode = policy.mode_of(feature if isinstance(feature, str) and table not in _OF_PROJECT else None)
            new = self._as_kept(columns, row, mode)
            passed.dropped += new is None
            passed.changed += new is not None and new is not row
            if new is not None:
                kept.append(line if new is row else orjson.dumps(new))
        passed.lines = kept

    def _suspects(self, columns: Columns, line: bytes) -> bool:
        """Whether anything in these columns of a line may have to be masked: numbers of the others are none of it."""
        row = orjson.loads(line)
        told = [row.get(name) for names in (columns.texts, columns.ids, columns.values) for name in names]
        return self.masker.suspects_value(orjson.dumps(told))

    def _features(self, table: str, lines: Sequence[bytes]) -> dict[str, str]:
        """The features of the traces that lines hang on, as they are stored by now: traces are read in first."""
        if table == "traces_trace":
            return {}
        ids = {str(row["trace_id"]) for row in map(orjson.loads, lines) if row.get("trace_id")}
        return {str(key): name for key, name in stored_features(self.project_id, map(UUID, ids)).items()}

    def _as_kept(self, columns: Columns, row: Row, mode: Mode) -> Row | None:
        """The row as it may be kept, itself where nothing changes; None where nothing is left of it."""
        if mode is Mode.OFF:
            return row
        new = dict(row)
        if mode is Mode.NO_CONTENT and columns.strip is not None:
            if not columns.strip(new):
                self.counts["no content"] += 1
                return None
            self.counts["no content"] += new != row
        before = self.counts.total()
        for names, mask in ((columns.texts, self.masker.text), (columns.ids, self.masker.id)):
            for name in names:
                told = new.get(name)
                if isinstance(told, str) and (masked := mask(told, self.counts)) is not told:
                    new[name] = masked[: max(len(told), SHORT)]
        for name in columns.values:
            if new.get(name):
                new[name] = self._value(new[name])
        if columns.is_flagged and self.counts.total() > before:
            new["flags"] = int(new.get("flags") or 0) | int(SpanFlag.MASKED)
        if "raw_bytes" in new and new["bodies"] != row["bodies"]:
            new["raw_bytes"] = len(orjson.dumps(new["bodies"]))
        return row if new == row else new

    def _value(self, value: Any) -> Any:
        masked = self.masker.value(value, self.counts)
        if masked is value or not isinstance(masked, dict):
            return masked
        for name, body in masked.items():
            # Times of bodies are numbers that may look like a card's; a mask in their place could not be read back.
            before = value.get(name)
            if isinstance(body, dict) and isinstance(before, dict):
                body |= {time: before[time] for time in ("start_ns", "end_ns") if time in before}
        return masked


def _exact(digits: str) -> orjson.Fragment:
    return orjson.Fragment(digits.encode())


def _whole(digits: str) -> Any:
    """A whole number; as it is written where it is larger than any that is computed with."""
    return int(digits) if len(digits) <= 18 or -(2**63) <= int(digits) < 2**64 else orjson.Fragment(digits.encode())
