"""What lists of traces are filtered by of this room: scores by name, flags of judges, and how judging ended.

`score.<name>` is any score of that name on the trace or a span of it; `score.<judge>/<name>` that judge's alone,
`score.<judge>@3/<name>` that version's, and `score.people/<name>` and `score.api/<name>` those of people and programs.
`counted` is what an estimate stands on, and `judged.feature`, `judged.model` and `judged.prompt_version` what part of
the traffic it was counted as.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, LiteralString

from psycopg import sql

from traces.read.fields import Extra, Field, FilterError

PEOPLE, PROGRAMS = "people", "api"
STATES = ("pending", "running", "scored", "failed", "skipped")
NAME_CHARS_MAX = 160
NUMBER_MAX = 1e15
_BOOLEANS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
_SLUG = re.compile(r"[\w-]{1,60}\Z")
_COUNTED = re.compile(r"([\w-]{1,60})@(\d{1,9})/(.{1,100})\Z")
FLAG = "_flag"
_JUDGE = re.compile(r"[\w-]{1,60}(@\d{1,9})?\Z")
# Scores are booked under their target's start; a trace that grew backwards since, or came late, may differ a little.
_IN_WINDOW: dict[str, LiteralString] = {
    "start": " AND c.started_at >= %(start)s - interval '1 day'",
    "end": " AND c.started_at < %(end)s + interval '1 day'",
}
_OF_TRACE: LiteralString = "c.project_id = t.project_id AND c.trace_id = t.trace_id AND c.target_kind IN (1, 2)"
_JUDGEMENT: LiteralString = "g.project_id = t.project_id AND g.target_id = t.trace_id AND g.repeat = 0"
_OF_JUDGE: LiteralString = (
    " AND {} IN (SELECT j.id FROM evals_judge AS j WHERE j.project_id = %(project_id)s AND j.slug = ANY({}::text[]))"
)

_OF_VERSION: LiteralString = (
    " AND c.judge_version_id IN (SELECT v.id FROM evals_judgeversion AS v JOIN evals_judge AS j ON j.id = v.judge_id"
    " WHERE j.project_id = %(project_id)s AND v.number = {})"
)


def split_name(name: str) -> tuple[str, str]:
    """(who, name) of what stands behind `score.`; who is a judge's slug, people, api, or "" for anybody."""
    who, slash, rest = name.partition("/")
    return (who, rest) if slash else ("", name)


def _check_score(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    who, rest = split_name(name)
    if not rest or len(name) > NAME_CHARS_MAX or (who and not _JUDGE.match(who)):
        raise FilterError(key[:80], "names no score", "score.<name> or score.<judge>/<name>, at most 160 characters")
    if op in {"missing", "exists"}:
        return ("yes",)
    if op in {"min", "max"}:
        _number(key, values[-1])
        return values[-1:]
    return values


def _number(key: str, raw: str) -> float:
    try:
        value = float(raw.replace(",", ""))
        if not abs(value) <= NUMBER_MAX:
            raise ValueError
    except ValueError:
        raise FilterError(key, "is no number", "a number, at most 1e15", raw[:40]) from None
    return value


def _score(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    who, rest = split_name(name)
    params[f"{mark}n"] = rest
    parts = [sql.SQL(_OF_TRACE), sql.SQL(" AND c.name = "), sql.Placeholder(f"{mark}n")]
    parts += [sql.SQL(text) for key, text in _IN_WINDOW.items() if key in params]
    if who in {PEOPLE, PROGRAMS}:
        parts.append(sql.SQL(" AND c.source = 2" if who == PEOPLE else " AND c.source = 3"))
    elif who:
        slug, _, version = who.partition("@")
        params[f"{mark}j"] = [slug]
        parts.append(sql.SQL(_OF_JUDGE).format(sql.SQL("c.judge_id"), sql.Placeholder(f"{mark}j")))
        if version:
            params[f"{mark}v"] = int(version)
            parts.append(sql.SQL(_OF_VERSION).format(sql.Placeholder(f"{mark}v")))
    if op in {"min", "max"}:
        params[mark] = _number(name, values[0])
        parts += [sql.SQL(" AND c.number >= " if op == "min" else " AND c.number <= "), sql.Placeholder(mark)]
    elif op in {"is", "not"}:
        params[mark], params[f"{mark}x"] = list(values), _numbers(values)
        text: LiteralString = " AND (c.label = ANY({}::text[]) OR c.number = ANY({}::float8[]))"
        parts.append(sql.SQL(text).format(sql.Placeholder(mark), sql.Placeholder(f"{mark}x")))
    found = sql.SQL("EXISTS (SELECT FROM evals_score AS c WHERE {})").format(sql.Composed(parts))
    return sql.SQL("NOT {}").format(found) if op in {"not", "missing"} else found


def _numbers(values: tuple[str, ...]) -> list[float]:
    """The values that are numbers too: an address has text alone."""
    found = []
    for value in values:
        with suppress(FilterError):
            found.append(_BOOLEANS[value.lower()] if value.lower() in _BOOLEANS else _number("score", value))
    return found


def _check_flagged(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _SLUG.match(value):
            raise FilterError(key, "is not accepted", "yes, no, or the slug of a judge", value[:40])
    return values


def _flagged(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    """`yes`: some judge flagged it. `no`: judged, and by none flagged. Else the slugs of judges that flagged it."""
    any_flag = sql.SQL("EXISTS (SELECT FROM evals_judgement AS g WHERE " + _JUDGEMENT + " AND g.is_flagged{})")
    parts: list[sql.Composable] = []
    slugs = [value for value in values if value not in {"yes", "no"}]
    if "yes" in values:
        parts.append(any_flag.format(sql.SQL("")))
    if "no" in values:
        judged = sql.SQL("EXISTS (SELECT FROM evals_judgement AS g WHERE " + _JUDGEMENT + " AND g.state = 'scored')")
        parts.append(sql.SQL("({} AND NOT {})").format(judged, any_flag.format(sql.SQL(""))))
    if slugs:
        params[mark] = slugs
        of_judge = sql.SQL(_OF_JUDGE).format(sql.SQL("g.judge_id"), sql.Placeholder(mark))
        parts.append(any_flag.format(of_judge))
    found = sql.SQL("({})").format(sql.SQL(" OR ").join(parts))
    return sql.SQL("NOT {}").format(found) if op == "not" else found


def _check_judged(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        slug, _, state = value.partition(":")
        if (slug and not _SLUG.match(slug)) or (state and state not in STATES) or not (slug or state):
            limit = f"the slug of a judge, :state or slug:state, state being one of {', '.join(STATES)}"
            raise FilterError(key, "is not accepted", limit, value[:80])
    return values


def _judged(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    """`slug`: that judge scored it. `slug:failed`: its judging ended so. `:failed`: some judge's did."""
    parts: list[sql.Composable] = []
    for at, value in enumerate(values):
        slug, _, state = value.partition(":")
        params[f"{mark}s{at}"] = state or "scored"
        part: sql.Composable = sql.SQL("g.state = {}").format(sql.Placeholder(f"{mark}s{at}"))
        if slug:
            params[f"{mark}j{at}"] = [slug]
            of_judge = sql.SQL(_OF_JUDGE).format(sql.SQL("g.judge_id"), sql.Placeholder(f"{mark}j{at}"))
            part = sql.SQL("({}{})").format(part, of_judge)
        parts.append(part)
    text: LiteralString = "EXISTS (SELECT FROM evals_judgement AS g WHERE " + _JUDGEMENT + " AND ({}))"
    found = sql.SQL(text).format(sql.SQL(" OR ").join(parts))
    return sql.SQL("NOT {}").format(found) if op == "not" else found


def _check_counted(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not _COUNTED.match(value):
            limit = "<judge>@<version>/<criterion>, such as quality@3/correctness"
            raise FilterError(key, "is not accepted", limit, value[:80])
    return values


# The judgements that the sums by the hour were made of: drawn from traffic, and no repeats.
_DRAWN: LiteralString = (
    _JUDGEMENT + " AND g.target_kind IN (1, 2) AND g.pi IS NOT NULL AND g.purpose IN (1, 2) AND g.state = 'scored'"
)
_OF_COUNTED: LiteralString = (
    " AND g.judge_version_id IN (SELECT v.id FROM evals_judgeversion AS v JOIN evals_judge AS j ON j.id = v.judge_id"
    " WHERE j.project_id = %(project_id)s AND j.slug = {} AND v.number = {})"
)
_SCORED: LiteralString = (
    " AND EXISTS (SELECT FROM evals_score AS c WHERE c.project_id = g.project_id"
    " AND c.judgement_id = g.judgement_id AND c.name = {})"
)


def _counted(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
    """`quality@3/correctness`: drawn, and scored so by that version; `_flag` as criterion: flagged or not."""
    parts: list[sql.Composable] = []
    for at, value in enumerate(values):
        found = _COUNTED.match(value)
        if found is None:
            continue
        params |= {f"{mark}j{at}": found[1], f"{mark}v{at}": int(found[2]), f"{mark}n{at}": found[3]}
        version = sql.SQL(_OF_COUNTED).format(sql.Placeholder(f"{mark}j{at}"), sql.Placeholder(f"{mark}v{at}"))
        what: sql.Composable = sql.SQL(" AND g.is_flagged IS NOT NULL")
        if found[3] != FLAG:
            what = sql.SQL(_SCORED).format(sql.Placeholder(f"{mark}n{at}"))
        text: LiteralString = "EXISTS (SELECT FROM evals_judgement AS g WHERE " + _DRAWN + "{}{})"
        parts.append(sql.SQL(text).format(version, what))
    any_of = sql.SQL("({})").format(sql.SQL(" OR ").join(parts))
    return sql.SQL("NOT {}").format(any_of) if op == "not" else any_of


def _part(column: LiteralString) -> Extra:
    """Which part of the traffic a trace was counted as; `missing` is what its sender did not tell."""

    def check(name: str, op: str, key: str, values: tuple[str, ...]) -> tuple[str, ...]:
        return ("yes",) if op == "missing" else values

    def condition(name: str, op: str, values: tuple[str, ...], mark: str, params: dict[str, Any]) -> sql.Composable:
        params[mark] = [""] if op == "missing" else list(values)
        text: LiteralString = "EXISTS (SELECT FROM evals_judgement AS g WHERE " + _DRAWN + " AND {} = ANY({}::text[]))"
        found = sql.SQL(text).format(sql.SQL(column), sql.Placeholder(mark))
        return sql.SQL("NOT {}").format(found) if op == "not" else found

    return Extra(("is", "not", "missing"), check, condition)


FIELDS = (
    Field(
        "score",
        "Score",
        "extra",
        extra=Extra(("is", "not", "min", "max", "missing", "exists"), _check_score, _score, True, "name"),
    ),
    Field("flagged", "Flagged", "extra", extra=Extra(("is", "not"), _check_flagged, _flagged)),
    Field("judged", "Judged", "extra", extra=Extra(("is", "not"), _check_judged, _judged)),
    Field("counted", "In the estimate of", "extra", extra=Extra(("is", "not"), _check_counted, _counted)),
    Field("judged.feature", "Counted as feature", "extra", extra=_part("g.feature")),
    Field("judged.model", "Counted as model", "extra", extra=_part("g.model")),
    Field("judged.prompt_version", "Counted as prompt version", "extra", extra=_part("g.prompt_version")),
)
