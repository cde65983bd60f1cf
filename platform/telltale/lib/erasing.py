"""Taking names and ids out of text and JSON, wherever a table keeps some; pure but for the cursor it is given.

An id that nobody writes by accident (it holds a digit or a mark, or is long) is taken out of any text. A plain word
that somebody uses as an id would take that word out of everybody's notes: it goes only where it stands as an id, alone
in a value or behind the word `user` or `session`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

import orjson
from psycopg import Cursor, errors, sql

from telltale.lib.rows import Column, Table

ERASED = "(erased)"
# Ids of traces as they are written into text: 32 hex digits, or a UUID with dashes; in either case.
ID = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})(?![0-9A-Za-z])"
)
_ID_SQL = "[0-9a-fA-F]{32}|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-"
PLAIN_CHARS = 16
TOKEN_CHARS = 4
# Text columns that hold somebody's whole id or nothing of it.
_ID_COLUMN = re.compile(r"(^|_)(user|session)_id$|^subject$|^author$")
_LEADS = (
    "(?:" + "|".join(f"(?<={name}{mark})" for name in ("user", "User", "session", "Session") for mark in " =:") + ")"
)
Known = Callable[[Collection[UUID]], set[UUID]]


@dataclass(frozen=True)
class Names:
    """What to take out: ids of people and sessions, and of traces those that `known` says are to go."""

    words: tuple[str, ...]
    known: Known
    few: tuple[UUID, ...] | None = None  # all of the traces, where they are few enough to be looked for by name
    forms: tuple[str, ...] = field(init=False)
    _pattern: re.Pattern[str] | None = field(init=False)
    _strict: re.Pattern[str] | None = field(init=False)

    def __post_init__(self) -> None:
        told: list[str] = []
        parts: list[str] = []
        strict: list[str] = []
        for word in sorted(self.words, key=len, reverse=True):
            for form in dict.fromkeys([word, quote(word, safe=""), quote_plus(word), quote(word)]):
                told.append(form)
                escaped = re.escape(form)
                if is_telling(word):
                    parts.append(f"(?<![0-9A-Za-z]){escaped}(?![0-9A-Za-z])")
                    strict.append(rf"(?<![0-9A-Za-z])(?<![0-9A-Za-z][-_.@]){escaped}(?![0-9A-Za-z]|[-_.@][0-9A-Za-z])")
                else:
                    parts.append(f"{_LEADS}{escaped}(?![0-9A-Za-z])")
        object.__setattr__(self, "forms", tuple(told))
        object.__setattr__(self, "_pattern", re.compile("|".join(parts)) if parts else None)
        object.__setattr__(self, "_strict", re.compile("|".join(strict)) if strict else None)

    def text(self, value: str) -> str:
        """`value` without what is to go."""
        if value in self.words:
            return ERASED
        if self._pattern is not None:
            value = self._pattern.sub(ERASED, value)
        found = {UUID(each) for each in ID.findall(value)}
        gone = self.known(found) if found else set()
        if not gone:
            return value
        return ID.sub(lambda told: ERASED if UUID(told.group()) in gone else told.group(), value)

    def id_text(self, value: str) -> str:
        """A column of ids without what is to go; another's id that only begins alike stays whole."""
        if value in self.words:
            return ERASED
        return value if self._strict is None else self._strict.sub(ERASED, value)

    def is_gone(self, value: Any) -> bool:
        """Whether a value of JSON is nothing but an id that is to go."""
        if not isinstance(value, str):
            return False
        if value in self.words:
            return True
        return bool(ID.fullmatch(value)) and bool(self.known({UUID(value)}))

    def json(self, value: Any, *, is_place: bool = False) -> Any:
        """A JSON value without what is to go.

        What stands in a list is left out of it: an id itself, and an object that names the id of a trace, with what is
        quoted of it. `is_place`: where a job is; an id there becomes the first of all, so that the job goes on.
        """
        if isinstance(value, str):
            if is_place and self.is_gone(value):
                return "0" * 32 if "-" not in value else str(UUID(int=0))
            return self.text(value)
        if isinstance(value, list):
            kept = [each for each in value if not self.is_gone(each) and not self._is_of(each)]
            return [self.json(each, is_place=is_place) for each in kept]
        if isinstance(value, dict):
            return {self.text(key): self.json(each, is_place=is_place) for key, each in value.items()}
        return value

    def _is_of(self, value: Any) -> bool:
        """Whether a value of JSON is an object about a trace that is to go."""
        if isinstance(value, list):  # a pair such as [id, figure]
            return any(self.is_gone(each) for each in value)
        return isinstance(value, dict) and any(self.is_gone(each) for each in value.values())


def is_telling(word: str) -> bool:
    """Whether nobody writes this word without meaning whom it names."""
    if len(word) < TOKEN_CHARS:
        return False
    return len(word) >= PLAIN_CHARS or not word.isalpha()


def scrub(cursor: Cursor[Any], table: Table, scope: sql.Composable, names: Names) -> tuple[int, int]:
    """Take the names out of every text and JSON value of the rows of a table: (values replaced, rows removed).

    A row that would be another's twin without the name is removed. In the caller's transaction.
    """
    columns = table.of_kinds("text", "texts", "json")
    if not columns or not (names.forms or names.few is None or names.few):
        return 0, 0
    where = sql.SQL(" OR ").join(_may_hold(column, names) for column in columns)
    query = sql.SQL("SELECT ctid::text, {} FROM {} WHERE {} AND ({}) ORDER BY ctid FOR UPDATE").format(
        sql.SQL(", ").join(_read(column) for column in columns), sql.Identifier(table.name), scope, where
    )
    cursor.execute(query, prepare=False)
    rows = cursor.fetchall()
    replaced = removed = 0
    for place, *values in rows:
        changes: list[tuple[Column, Any]] = []
        for column, value in zip(columns, values, strict=True):
            new = _without(column, value, names)
            if new != value:
                changes.append((column, new))
        if changes:
            done = _write(cursor, table, place, changes)
            replaced, removed = replaced + done * len(changes), removed + (not done)
    return replaced, removed


def count_left(cursor: Cursor[Any], table: Table, scope: sql.Composable, names: Names) -> int:
    """How many rows of a table still hold one of the names."""
    columns = table.of_kinds("text", "texts", "json")
    if not columns or not (names.forms or names.few is None or names.few):
        return 0
    where = sql.SQL(" OR ").join(_may_hold(column, names) for column in columns)
    query = sql.SQL("SELECT {} FROM {} WHERE {} AND ({})").format(
        sql.SQL(", ").join(_read(column) for column in columns), sql.Identifier(table.name), scope, where
    )
    cursor.execute(query, prepare=False)
    left = 0
    for values in cursor.fetchall():
        left += any(_without(column, value, names) != value for column, value in zip(columns, values, strict=True))
    return left


def _read(column: Column) -> sql.Composable:
    """JSON comes as text: numbers keep every digit that way."""
    told = sql.SQL("{}::text") if column.kind == "json" else sql.SQL("{}")
    return told.format(sql.Identifier(column.name))


def _may_hold(column: Column, names: Names) -> sql.Composable:
    """A cheap condition that every value with a name in it meets."""
    name = sql.Identifier(column.name)
    value = sql.SQL("array_to_string({}, ' ')" if column.kind == "texts" else "{}::text").format(name)
    parts: list[sql.Composable] = []
    forms: Iterable[str] = names.forms
    if column.kind == "json":
        forms = [orjson.dumps(each).decode()[1:-1] for each in forms]
    elif column.kind == "text" and _ID_COLUMN.search(column.name):
        parts.append(sql.SQL("{} = ANY({})").format(name, sql.Literal(list(names.words))))
        forms = [form for form in forms if is_telling(form)]
    parts += [sql.SQL("strpos({}, {}) > 0").format(value, sql.Literal(each)) for each in forms]
    if names.few is None:
        parts.append(sql.SQL("{} ~ {}").format(value, sql.Literal(_ID_SQL)))
    else:
        told = [form for each in names.few for form in (each.hex, str(each))]
        parts += [sql.SQL("strpos(lower({}), {}) > 0").format(value, sql.Literal(each)) for each in told]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts)) if parts else sql.SQL("false")


def _without(column: Column, value: Any, names: Names) -> Any:
    if value is None:
        return None
    if column.kind == "texts":
        return [names.text(each) for each in value if not names.is_gone(each)]
    if column.kind == "json":
        held = orjson.loads(value)
        new = names.json(held, is_place=column.name == "cursor")
        return value if new == held else orjson.dumps(new).decode()
    if _ID_COLUMN.search(column.name):
        return names.id_text(value)[: column.most]
    new = names.text(value)
    return new if column.most is None else new[: column.most]


def _write(cursor: Cursor[Any], table: Table, place: str, changes: Sequence[tuple[Column, Any]]) -> bool:
    """Change a row; False where it had to be removed instead."""
    pairs = sql.SQL(", ").join(
        sql.SQL("{} = {}" if column.kind != "json" else "{} = {}::jsonb").format(
            sql.Identifier(column.name), sql.Placeholder()
        )
        for column, _ in changes
    )
    update = sql.SQL("UPDATE {} SET {} WHERE ctid = {}::tid").format(
        sql.Identifier(table.name), pairs, sql.Literal(place)
    )
    cursor.execute("SAVEPOINT erasing")
    try:
        cursor.execute(update, [value for _, value in changes], prepare=False)
    except (errors.UniqueViolation, errors.CheckViolation):
        cursor.execute("ROLLBACK TO SAVEPOINT erasing")
        cursor.execute(
            sql.SQL("DELETE FROM {} WHERE ctid = {}::tid").format(sql.Identifier(table.name), sql.Literal(place))
        )
        return False
    cursor.execute("RELEASE SAVEPOINT erasing")
    return True


__all__ = ["ERASED", "Names", "count_left", "is_telling", "scrub"]
