"""What was found when judges were set against people: the newest calibration, its state now, and the badge of a number.

A calibration is of one judge version, one criterion and one scope. `badge` and `badges` give the word that stands
beside any number of that judge; whoever shows a score of a judge asks here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

BadgeState = Literal["proven", "not_proven", "failed", "stale", "none"]
EXPIRES_DAYS = 90


@dataclass(frozen=True, slots=True)
class Badge:
    """How far a judge's number may be trusted: a state, and the words a page shows. `labels` of people it stands on."""

    state: BadgeState
    words: str
    labels: int = 0
    computed_at: datetime | None = None


NO_BADGE = Badge("none", "not calibrated: no labels of people yet")


@dataclass(frozen=True, slots=True)
class Scope:
    """What part of the traffic a calibration is about; an empty field is any."""

    feature: str = ""
    model: str = ""
    prompt_version: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Scope:
        """The scope as it is kept in a row."""
        return cls(*(str(stored.get(name, "")) for name in ("feature", "model", "prompt_version")))

    def stored(self) -> dict[str, str]:
        """The scope as a row keeps it: what is any is left out."""
        named = {"feature": self.feature, "model": self.model, "prompt_version": self.prompt_version}
        return {name: value for name, value in named.items() if value}

    @property
    def words(self) -> str:
        """The scope as a page names it."""
        parts = (self.feature, self.model, self.prompt_version and f"prompt {self.prompt_version}")
        return ", ".join(part for part in parts if part) or "all traffic"


EVERYTHING = Scope()


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """One stored calibration; `state` is the verdict unless it is stale by now, and `stale` says why it is."""

    id: int
    judge_id: int
    judge_slug: str
    judge_name: str
    version_id: int
    version: int
    criterion: str
    scope: Scope
    verdict: str
    pairs: int
    reviewers: int
    labels_until: datetime | None
    computed_at: datetime
    expires_at: datetime | None
    stale: str
    need_more: int | None
    missed: tuple[str, ...]
    result: dict[str, Any] = field(hash=False)

    @property
    def state(self) -> BadgeState:
        """The verdict, or `stale`."""
        return "stale" if self.stale else self.verdict  # type: ignore[return-value]


def badge(project_id: int, judge_version_id: int, criterion: str) -> Badge:
    """The badge of one criterion of a judge version, over all traffic; for many use `badges`."""
    return badges(project_id, [judge_version_id]).get((judge_version_id, criterion), NO_BADGE)


def badges(project_id: int, judge_version_ids: Collection[int]) -> dict[tuple[int, str], Badge]:
    """The badges of judge versions by (version, criterion), over all traffic; what is missing has `NO_BADGE`.

    One query, however many versions.
    """
    if not judge_version_ids:
        return {}
    rows = _rows(project_id, versions=sorted(set(judge_version_ids)), only_all=True)
    return {(row.version_id, row.criterion): badge_of(row) for row in rows}


def badge_of(row: CalibrationRow) -> Badge:
    """The badge of a calibration at hand."""
    labels = f"{row.pairs:,} {'label' if row.pairs == 1 else 'labels'}"
    if row.stale:
        words = f"stale: {row.stale}"
    elif row.verdict == "proven":
        words = f"proven against people on {labels}"
    elif row.verdict == "failed":
        words = f"failed the gate on {labels}" + (f": {', '.join(row.missed)}" if row.missed else "")
    else:
        words = f"not proven on {labels}" + (f": about {row.need_more:,} more needed" if row.need_more else "")
    return Badge(row.state, words, row.pairs, row.computed_at)


def standing(project_id: int) -> tuple[CalibrationRow, ...]:
    """The newest calibration of each judge version and criterion over all traffic, without its figures. One query."""
    return tuple(_rows(project_id, only_all=True))


def newest(
    project_id: int, *, judge_id: int | None = None, version_id: int | None = None, criterion: str | None = None
) -> tuple[CalibrationRow, ...]:
    """The newest calibration of each judge version, criterion and scope, with its figures."""
    versions = None if version_id is None else [version_id]
    return tuple(_rows(project_id, versions=versions, judge_id=judge_id, criterion=criterion, full=True))


def kept(
    project_id: int,
    *,
    judge_id: int | None = None,
    version_id: int | None = None,
    criterion: str | None = None,
    scope: Scope | None = None,
    before: int | None = None,
    most: int = 100,
) -> tuple[CalibrationRow, ...]:
    """Calibrations as they were kept, newest first; of the figures only agreement and gate. `before` is an id."""
    asked = {
        "project_id": project_id,
        "calibration_id": None,
        "judge_id": judge_id,
        "version_id": version_id,
        "criterion": criterion,
        "scope": None if scope is None else Jsonb(scope.stored()),
        "before": before,
        "full": False,
        "most": most,
    }
    return tuple(_read("read_calibration_list", asked))


def find(project_id: int, calibration_id: int) -> CalibrationRow | None:
    """One calibration of the project with all its figures."""
    asked = dict.fromkeys(("judge_id", "version_id", "criterion", "scope", "before"))
    asked |= {"project_id": project_id, "calibration_id": calibration_id, "full": True, "most": 1}
    return next(iter(_read("read_calibration_list", asked)), None)


def count_labels(project_id: int, criterion: str) -> int:
    """How many labels people gave in a criterion."""
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM evals_score WHERE project_id = %s AND source = 2 AND name = %s",
            [project_id, criterion],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def ids_of(missed: Sequence[Mapping[str, Any]]) -> list[UUID]:
    """The traces of missed answers as a row keeps them."""
    return [UUID(hex=each["trace_id"]) for each in missed]


def questions(project_id: int, trace_ids: Collection[UUID]) -> dict[str, str]:
    """What users asked in these traces, by trace id in hex; what is not stored is left out."""
    if not trace_ids:
        return {}
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_questions"), {"project_id": project_id, "trace_ids": list(trace_ids)})
        return {trace_id.hex: question for trace_id, question in cursor if question}


def _rows(
    project_id: int,
    *,
    versions: list[int] | None = None,
    judge_id: int | None = None,
    criterion: str | None = None,
    only_all: bool = False,
    full: bool = False,
) -> list[CalibrationRow]:
    asked = {
        "project_id": project_id,
        "versions": versions,
        "judge_id": judge_id,
        "criterion": criterion,
        "only_all": only_all,
        "full": full,
    }
    return _read("read_calibrations", asked)


def _read(name: str, asked: Mapping[str, Any]) -> list[CalibrationRow]:
    with raw_cursor(dict_row) as cursor:
        cursor.execute(load("evals", name), asked)
        found = cursor.fetchall()
    now = clock.now()
    return [_row(row, now) for row in found]


def _row(row: dict[str, Any], now: datetime) -> CalibrationRow:
    return CalibrationRow(
        id=row["id"],
        judge_id=row["judge_id"],
        judge_slug=row["slug"],
        judge_name=row["name"],
        version_id=row["version_id"],
        version=row["number"],
        criterion=row["criterion"],
        scope=Scope.of(orjson.loads(row["scope"])),
        verdict=row["verdict"],
        pairs=row["pairs"],
        reviewers=row["reviewers"],
        labels_until=row["labels_until"],
        computed_at=row["computed_at"],
        expires_at=row["expires_at"],
        stale=_stale(row, now),
        need_more=row["need_more"],
        missed=tuple(orjson.loads(row["missed"]) or ()) if row["missed"] else (),
        result=orjson.loads(row["result"]) if row["result"] else {},
    )


def _stale(row: dict[str, Any], now: datetime) -> str:
    """Why a calibration holds no longer; empty while it does."""
    if row["stale_at"] is not None:
        return str(row["stale_reason"])
    replaced = row["live_number"] is not None and row["live_number"] > row["number"]
    if replaced and row["live_since"] is not None and row["computed_at"] < row["live_since"]:
        differs = f" with {row['live_differs']}" if row["live_differs"] else ""
        return f"v{row['live_number']} of the judge is live{differs}"
    if row["connection_then"] is not None and row["connection_then"] != row["connection_now"]:
        return "the judge's connection was changed"
    if row["expires_at"] is not None and row["expires_at"] <= now:
        return f"it is older than {EXPIRES_DAYS} days"
    return ""
