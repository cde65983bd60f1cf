"""What lists are filtered by of end users: signals about a trace or a session, and what a session's users did.

Each condition is an EXISTS over rows that an index gives for one trace or session, so it costs the same at any size.
Numbers of somebody's own evaluator (OUTSIDE) are no signals of users, and meet none of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, LiteralString

from psycopg import sql

from traces.behaviour.types import Fact, Stratum
from traces.read.fields import Extra, Field, FilterError
from traces.signals.kinds import Kind

Choices = tuple[tuple[str, str, LiteralString], ...]
Check = Callable[[str, str, str, tuple[str, ...]], tuple[str, ...]]
Condition = Callable[[str, str, tuple[str, ...], str, dict[str, Any]], sql.Composable]
UP, DOWN, ANY, NONE = "thumb.up", "thumb.down", "any", "none"
# What pages call each kind of signal.
KIND_WORDS: dict[Kind, str] = {
    Kind.THUMB: "thumb",
    Kind.RATING: "rating",
    Kind.CORRECTION: "correction",
    Kind.FOLLOW_UP: "follow-up",
    Kind.RETRY: "asked again",
    Kind.COPIED: "copied",
    Kind.EDITED: "edited",
    Kind.ABANDONED: "left",
    Kind.ESCALATED: "escalated",
    Kind.COMPLETED: "task completed",
    Kind.CONVERSION: "conversion",
    Kind.TEXT: "said",
    Kind.OTHER: "other",
    Kind.OUTSIDE: "outside score",
}
STRATUM_WORDS: dict[Stratum, str] = {
    Stratum.ABANDONED: "left after an answer",
    Stratum.RETRIED: "asked again",
    Stratum.CORRECTED: "corrected",
    Stratum.ESCALATED: "escalated",
    Stratum.COMPLETED: "completed",
    Stratum.CARRIED_ON: "carried on",
    Stratum.OPEN: "not over yet",
    Stratum.UNKNOWN: "cannot be told",
}
FACT_WORDS: dict[Fact, str] = {
    Fact.ABANDONED: "left after an answer",
    Fact.RETRIED: "asked again quickly",
    Fact.REPHRASED: "said it in other words",
    Fact.CORRECTED: "corrected the answer",
    Fact.FOLLOWED_UP: "asked further",
    Fact.ESCALATED: "wanted a person",
    Fact.COMPLETED: "reached the goal",
    Fact.CONVERTED: "converted",
    Fact.COPIED: "copied an answer",
    Fact.EDITED: "edited an answer",
    Fact.CLOSING_WORDS: "said thanks or goodbye",
    Fact.ERROR: "a turn failed",
    Fact.SINGLE_SHOT: "one answer by design",
    Fact.WORDLESS: "no words recorded",
    Fact.UNANSWERED: "no answer",
}
# Kinds that are what a user did, in the order pages list them.
USER_KINDS = tuple(kind for kind in KIND_WORDS if kind not in {Kind.THUMB, Kind.OUTSIDE})


def word_of(kind: Kind, vote: int | None) -> str:
    """A signal as `signal` and `kind` of an address spell it; a thumb that was taken back is `thumb`."""
    return {1: UP, -1: DOWN}.get(vote or 0, kind.name.lower())


def words_of(signals: Iterable[tuple[Kind, int | None]]) -> set[str]:
    """What users did among some signals (kind, vote), in the words that `signal` takes."""
    return {word_of(kind, vote) for kind, vote in signals if kind is not Kind.OUTSIDE and vote != 0}


# Signals `g` about the trace, or about the session, that a list's row `t` is.
OF_TRACE: LiteralString = "g.project_id = t.project_id AND g.trace_id = t.trace_id"
OF_SESSION: LiteralString = "g.project_id = t.project_id AND g.unit_key = t.session_key"
# A thumb that was taken back says nothing any more.
IS_USERS: LiteralString = f"(g.kind <> {int(Kind.OUTSIDE)} AND g.vote IS DISTINCT FROM 0)"
IS_UP: LiteralString = "(g.vote = 1)"
IS_DOWN: LiteralString = "(g.vote = -1)"
_KIND_RATING: LiteralString = f"g.kind = {int(Kind.RATING)}"
_RATING: LiteralString = (
    "(SELECT g.value_number * 1000000 FROM traces_signal AS g WHERE " + OF_TRACE + " AND " + _KIND_RATING +  # noqa: S608
    " AND g.value_number IS NOT NULL ORDER BY g.happened_at DESC, g.signal_id DESC LIMIT 1)"
)  # fmt: skip
_DID: LiteralString = (
    "EXISTS (SELECT FROM traces_behaviour AS b WHERE b.project_id = t.project_id AND b.unit_key = t.session_key AND "
)
_SESSION_RATING: LiteralString = (
    "(SELECT b.rating * 1000000 FROM traces_behaviour AS b"
    " WHERE b.project_id = t.project_id AND b.unit_key = t.session_key)"
)

SIGNAL_CHOICES: Choices = (
    (UP, "thumb up", ""),
    (DOWN, "thumb down", ""),
    *((kind.name.lower(), KIND_WORDS[kind], "") for kind in USER_KINDS),
    (ANY, "any", ""),
    (NONE, "none", ""),
)
_BIT = {value: 1 << at for at, (value, _, _) in enumerate(SIGNAL_CHOICES)}
_BITS: LiteralString = (
    f"CASE WHEN {IS_UP} THEN {_BIT[UP]} WHEN {IS_DOWN} THEN {_BIT[DOWN]} "
    + " ".join(f"WHEN g.kind = {int(kind)} THEN {_BIT[kind.name.lower()]}" for kind in USER_KINDS)
    + " END"
)


def signal_bits(about: LiteralString) -> LiteralString:
    """SQL: which of the choices are among the signals about a row, a bit each: five times as fast as their words."""
    bits: LiteralString = "SELECT bit_or(" + _BITS + ") FROM traces_signal AS g WHERE " + about  # noqa: S608 - constants
    return "coalesce((" + bits + " AND " + IS_USERS + f"), {_BIT[NONE]})"


BEHAVIOUR_CHOICES: Choices = tuple((s.name.lower(), word, "") for s, word in STRATUM_WORDS.items())
SEEN_CHOICES: Choices = tuple((str(fact.name).lower(), word, "") for fact, word in FACT_WORDS.items())
VOTE_CHOICES: Choices = (("up", "up", ""), ("down", "down", ""), ("none", "no vote", ""))
_VOTES = {"up": 1, "down": -1}


def _check(choices: Choices) -> Check:
    words = [value for value, _, _ in choices]

    def check(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if value not in words:
                raise FilterError(key, "is not accepted", f"one of {', '.join(words)}", value[:80])
        return values

    return check


# The planner makes a hash of all signals of a kind where it is to find more rows than a page has, or rows without any.
# One look by index for each row it comes by is what costs the same at any size: OFFSET 0 says so.
_BY_ROW: LiteralString = " OFFSET 0"
WALKS = "walks"


def walking(params: dict[str, Any]) -> dict[str, Any]:
    """Parameters that let conditions on signals look row by row, for who bounds the rows himself."""
    return params | {WALKS: True}


def _negated(found: sql.Composable, op: str) -> sql.Composable:
    return sql.SQL("NOT ({})").format(found) if op == "not" else found


def _signals(about: LiteralString) -> Condition:
    exists: LiteralString = "EXISTS (SELECT FROM traces_signal AS g WHERE " + about + " AND {}{})"

    def condition(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
        by_row = sql.SQL(_BY_ROW if WALKS in params or op == "not" or len(values) > 1 else "")
        parts = [sql.SQL(text) for word, text in ((UP, IS_UP), (DOWN, IS_DOWN), (ANY, IS_USERS)) if word in values]
        kinds = [int(Kind[value.upper()]) for value in values if value.upper() in Kind.__members__]
        if kinds:
            params[mark] = kinds
            parts.append(sql.SQL("g.kind = ANY({}::smallint[])").format(sql.Placeholder(mark)))  # type: ignore[arg-type]
        found: list[sql.Composable] = []
        if parts:
            found.append(sql.SQL(exists).format(sql.SQL("({})").format(sql.SQL(" OR ").join(parts)), by_row))
        if NONE in values:
            found.append(sql.SQL("NOT {}").format(sql.SQL(exists).format(sql.SQL(IS_USERS), sql.SQL(_BY_ROW))))
        return _negated(found[0] if len(found) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(found)), op)

    return condition


def _did(test: LiteralString, parameter: Callable[[tuple[str, ...]], Any], *, is_rough: bool = False) -> Condition:
    """A condition on the row of behaviour; `test` compares it with what the values are as a parameter.

    `is_rough`: the planner cannot tell how many rows pass it.
    """

    def condition(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
        params[mark] = parameter(values)
        by_row = sql.SQL(_BY_ROW if is_rough or WALKS in params or op == "not" else "")
        return _negated(sql.SQL(_DID + test + "{})").format(sql.Placeholder(mark), by_row), op)

    return condition


def _vote(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    """Nobody is known to have voted where no row of behaviour says so."""
    params[mark] = [_VOTES[value] for value in values if value in _VOTES]
    found: list[sql.Composable] = []
    if params[mark]:
        by_row = sql.SQL(_BY_ROW if WALKS in params or op == "not" or len(values) > 1 else "")
        found.append(sql.SQL(_DID + "b.vote = ANY({}::smallint[]){})").format(sql.Placeholder(mark), by_row))
    if "none" in values:
        found.append(sql.SQL("NOT " + _DID + "b.vote <> 0" + _BY_ROW + ")"))
    return _negated(found[0] if len(found) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(found)), op)


def _choice(key: str, label: str, choices: Choices, condition: Condition, facet: LiteralString = "") -> Field:
    extra = Extra(("is", "not"), _check(choices), condition)
    return Field(key, label, "extra", choices=choices, extra=extra, facet=facet)


TRACE_FIELDS = (
    _choice("signal", "User signal", SIGNAL_CHOICES, _signals(OF_TRACE), signal_bits(OF_TRACE)),
    Field("rating", "User rating", "number", _RATING, 10**6),
)
SESSION_FIELDS = (
    _choice(
        "behaviour", "What they did", BEHAVIOUR_CHOICES,
        _did("b.stratum = ANY({}::smallint[])", lambda values: [int(Stratum[value.upper()]) for value in values]),
    ),
    _choice(
        "seen", "Seen in it", SEEN_CHOICES,
        _did(
            "(b.facts & {}) <> 0", lambda values: sum({int(Fact[value.upper()]) for value in values}), is_rough=True
        ),
    ),
    _choice("vote", "Vote", VOTE_CHOICES, _vote),
    _choice("signal", "User signal", SIGNAL_CHOICES, _signals(OF_SESSION)),
    Field("rating", "User rating", "number", _SESSION_RATING, 10**6),
)  # fmt: skip
