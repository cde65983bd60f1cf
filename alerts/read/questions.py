"""The questions of a project with the monitors that answer them; the shipped ones where it has written none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

from alerts.models import Question, QuestionMonitor
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


def questions_of(project_id: int, monitors: Sequence[Shown]) -> list[QuestionRow]:
    """The project's questions, or the shipped ones answered by `monitors` of their pillar. Two queries, three at most.

    What users do is asked only where something of it is watched.
    """
    written = list_questions(project_id)
    return written or shipped(read_pillars(project_id, monitors))


def shipped(pillars: dict[int, Pillar | None]) -> list[QuestionRow]:
    """The shipped questions with the monitors (pillar by id) that speak for them."""
    found = []
    for each in (*SHIPPED, USERS_SHIPPED):
        ids = tuple(monitor_id for monitor_id, pillar in pillars.items() if pillar is each.pillar)
        if ids or each is not USERS_SHIPPED:
            found.append(QuestionRow(None, each.text, each.pillar, "", each.yes_is_good, ids))
    return found


_ABOUT = """
    SELECT id, definition -> 'params' ->> 'criterion',
        ARRAY(SELECT (m ->> 'monitor')::bigint FROM jsonb_path_query(definition, '$.composite.members[*]') AS m)
    FROM alerts_monitor WHERE project_id = %(project)s AND id = ANY(%(ids)s)
"""


def read_pillars(project_id: int, monitors: Sequence[Shown]) -> dict[int, Pillar | None]:
    """What each of some monitors speaks for. One query.

    A composite speaks for what its members do, and for quality where they speak for several things: how good an answer
    is shows in all of them.
    """
    if not monitors:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_ABOUT, {"project": project_id, "ids": [each.id for each in monitors]})
        about = {row[0]: (row[1] or "", row[2]) for row in cursor.fetchall()}
    found = {each.id: pillar_of(each.metric, about[each.id][0]) for each in monitors if each.id in about}
    for monitor_id, (_, members) in about.items():
        if members:
            of = {found[member] for member in members if found.get(member) is not None}
            found[monitor_id] = of.pop() if len(of) == 1 else Pillar.QUALITY
    return found
