"""The questions of a project with the monitors that answer them; the shipped ones where it has written none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson
from django.db import connection

from alerts.models import Question, QuestionMonitor
from alerts.monitors.scopes import read_scope
from alerts.monitors.types import Scope
from alerts.questions.pillars import SHIPPED, USERS_SHIPPED, Pillar, pillar_of, yes_is_good
from alerts.read.shown import Shown

MOST = 50


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One question. `id` None: nobody wrote it, it stands for its pillar. `yes_is_good` None: not known of its words.

    `monitor_ids` in the order of the team, the first is drawn; of a shipped question those of its pillar.
    """

    id: int | None
    text: str
    pillar: Pillar
    decision: str
    yes_is_good: bool | None
    monitor_ids: tuple[int, ...]

    @property
    def is_shipped(self) -> bool:
        """Whether it stands there because the project has written none."""
        return self.id is None


def list_questions(project_id: int) -> list[QuestionRow]:
    """The questions that a project has written, in its order; none where it has written none. Two queries."""
    rows = list(Question.objects.filter(project_id=project_id, archived_at=None).order_by("position", "pk")[:MOST])
    of: dict[int, list[int]] = {row.pk: [] for row in rows}
    if rows:
        bound = QuestionMonitor.objects.filter(question_id__in=list(of), monitor__archived_at=None)
        for question_id, monitor_id in bound.order_by("position", "pk").values_list("question_id", "monitor_id"):
            of[question_id].append(monitor_id)
    return [
        QuestionRow(row.pk, row.text, Pillar(row.pillar), row.decision, yes_is_good(row.text), tuple(of[row.pk]))
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class About:
    """What a monitor is about: what it speaks for, its criterion ("" none), the part of the project it looks at."""

    pillar: Pillar | None
    criterion: str
    scope: Scope


def questions_of(project_id: int, about: Mapping[int, About]) -> list[QuestionRow]:
    """The project's questions, or the shipped ones answered by the monitors of their pillar. Two queries.

    What users do is asked only where something of it is watched.
    """
    return list_questions(project_id) or shipped(about)


def shipped(about: Mapping[int, About]) -> list[QuestionRow]:
    """The shipped questions with the monitors that speak for them."""
    found = []
    for each in (*SHIPPED, USERS_SHIPPED):
        ids = tuple(monitor_id for monitor_id, one in about.items() if one.pillar is each.pillar)
        if ids or each is not USERS_SHIPPED:
            found.append(QuestionRow(None, each.text, each.pillar, "", each.yes_is_good, ids))
    return found


_ABOUT = """
    SELECT id, definition -> 'params' ->> 'criterion', (definition -> 'scope')::text,
        ARRAY(SELECT (m ->> 'monitor')::bigint FROM jsonb_path_query(definition, '$.composite.members[*]') AS m)
    FROM alerts_monitor WHERE project_id = %(project)s AND id = ANY(%(ids)s)
"""


def read_about(project_id: int, monitors: Sequence[Shown]) -> dict[int, About]:
    """What some monitors are about, in the order given. One query.

    A composite speaks for what its members do, and for quality where they speak for several things: how good an answer
    is shows in all of them.
    """
    if not monitors:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_ABOUT, {"project": project_id, "ids": [each.id for each in monitors]})
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
    found, members = {}, {}
    for each in monitors:
        if each.id in rows:
            criterion, scope, members[each.id] = rows[each.id]
            pillar = pillar_of(each.metric, criterion or "")
            found[each.id] = About(pillar, criterion or "", read_scope(orjson.loads(scope or "{}")))
    for monitor_id, ids in members.items():
        if ids:
            of = {found[one].pillar for one in ids if one in found} - {None}
            pillar = of.pop() if len(of) == 1 else Pillar.QUALITY
            found[monitor_id] = About(pillar, "", found[monitor_id].scope)
    return found
