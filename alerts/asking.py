"""Questions as people write them: made, changed, ordered, put away; bound to the monitors that answer them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts.models import Question
from alerts.questions.pillars import Pillar
from alerts.questions.presets import APPLICATIONS, BY_SLUG
from alerts.questions.settings import SEVERITIES, WORTH_MOST
from alerts.read.questions import QuestionRow, list_questions
from alerts.read.worth import get_worths
from alerts.write import questions as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.masks import mask_text

TEXT_MAX, DECISION_MAX = 200, 400
# A team answers a handful of questions; these are limits of the machine, not advice.
QUESTIONS_MAX, MONITORS_MAX = 20, 10
FIELDS = ("text", "pillar", "decision", "monitors")


class NotThere(Exception):
    """There is no such question in this project, or it was put away."""


def create(
    project: Project, told: Mapping[str, Any], *, by_id: int | None = None, request: HttpRequest | None = None,
    actor: str = "",
) -> int:  # fmt: skip
    """The id of a new question, after the others; ItemRefused."""
    with transaction.atomic():
        _queue(project)
        fields, monitors = _checked(project, told, None)
        if len(list_questions(project.pk)) >= QUESTIONS_MAX:
            raise ItemRefused(Fault("questions", "are too many", f"{QUESTIONS_MAX} in a project"))
        row = write.insert(project.pk, by_id=by_id, **fields)
        write.bind(row.pk, monitors)
        _record(project, "question.create", row, request, actor, None, {**fields, "monitors": monitors})
    return row.pk


def change(
    project: Project, question_id: int, told: Mapping[str, Any], *, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Change what is told of a question; False where that is what it was. NotThere, ItemRefused."""
    with transaction.atomic():
        _queue(project)
        row, held = _held(project, question_id)
        fields, monitors = _checked(project, told, held)
        before = {"text": row.text, "pillar": row.pillar, "decision": row.decision, "monitors": list(held.monitor_ids)}
        after = {**fields, "monitors": monitors}
        if before == after:
            return False
        write.put(row, **fields)
        write.bind(row.pk, monitors)
        _record(project, "question.change", row, request, actor, before, after)
    return True


def archive(project: Project, question_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Put a question away; its monitors stay. NotThere."""
    with transaction.atomic():
        row, _ = _held(project, question_id)
        write.put(row, archived_at=clock.now())
        _record(project, "question.archive", row, request, actor, {"text": row.text}, None)


def move(
    project: Project, question_id: int, *, up: bool, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Move a question one place; False at the end of the list. NotThere."""
    with transaction.atomic():
        _queue(project)
        row, _ = _held(project, question_id)
        ids = [each.id for each in list_questions(project.pk) if each.id is not None]
        at = ids.index(question_id)
        to = at - 1 if up else at + 1
        if not 0 <= to < len(ids):
            return False
        ids[at], ids[to] = ids[to], ids[at]
        for position, each in enumerate(ids):
            other = write.lock(project.pk, each)
            if other is not None:
                write.put(other, position=position)
        _record(project, "question.move", row, request, actor, {"position": at}, {"position": to})
    return True


def begin_with(
    project: Project, slug: str, *, by_id: int | None = None, request: HttpRequest | None = None, actor: str = ""
) -> list[int]:
    """Write the questions of a kind of application, those already written left out; the ids of what is new.

    Each is bound to the monitors that watch one of its metrics, the best first. ItemRefused for no such kind.
    """
    application = BY_SLUG.get(slug) if isinstance(slug, str) else None
    if application is None:
        names = ", ".join(each.slug for each in APPLICATIONS)
        raise ItemRefused(Fault("application", "is none that is shipped", f"one of {names}", str(slug)[:60]))
    made = []
    with transaction.atomic():
        _queue(project)
        known = {each.text.casefold() for each in list_questions(project.pk)}
        watched = write.watched(project.pk)
        for asked in application.questions:
            if asked.text.casefold() in known:
                continue
            order = {metric: at for at, metric in enumerate(asked.metrics)}
            fitting = sorted((order[metric], key) for key, metric in watched.items() if metric in order)
            told = {
                "text": asked.text, "pillar": asked.pillar.value, "decision": asked.decision,
                "monitors": [key for _, key in fitting][:MONITORS_MAX],
            }  # fmt: skip
            made.append(create(project, told, by_id=by_id, request=request, actor=actor))
        held = get_worths(project.pk)
        if held.application != slug:
            write.put_settings(project.pk, by_id=by_id, application=slug)
    return made


def set_worths(
    project: Project, told: Mapping[str, Any], *, by_id: int | None = None, request: HttpRequest | None = None,
    actor: str = "",
) -> None:  # fmt: skip
    """Say what finding a real incident of each severity is worth, and what a false page costs, in US dollars.

    What is not told stays. ItemRefused.
    """
    faults: list[Fault] = []
    limit = f"a number from 0 to {WORTH_MOST:,.0f}"
    worth = told.get("worth", {})
    if not isinstance(worth, Mapping):
        faults.append(Fault("worth", "is no object", 'an object such as {"0": 5000}', str(worth)[:60]))
        worth = {}
    for key, value in worth.items():
        if key not in {str(each) for each in SEVERITIES}:
            faults.append(Fault(f"worth.{str(key)[:20]}", "is no severity", "0, 1, 2, 3"))
        elif not _is_money(value):
            faults.append(Fault(f"worth.{key}", "is out of range", limit, str(value)[:40]))
    cost = told.get("page_cost")
    if cost is not None and not _is_money(cost):
        faults.append(Fault("page_cost", "is out of range", limit, str(cost)[:40]))
    if faults:
        raise ItemRefused(*faults)
    with transaction.atomic():
        _queue(project)
        held = get_worths(project.pk)
        merged = {str(key): value for key, value in held.worth.items()} | {key: float(v) for key, v in worth.items()}
        after = {"worth": merged, "page_cost": held.page_cost if cost is None else float(cost)}
        before = {"worth": {str(key): value for key, value in held.worth.items()}, "page_cost": held.page_cost}
        write.put_settings(project.pk, by_id=by_id, **after)
        record_in(
            project, "question.settings", "worths of incidents", request=request, actor=actor, before=before,
            after=after,
        )  # fmt: skip


def ask_report(project: Project) -> None:
    """Ask for the report about monitors anew; it is made within a minute."""
    write.ask_report(project.pk, clock.now())


def seen(project: Project, monitor_id: int) -> None:
    """Count that somebody looked at a monitor's chart today (UTC). Who it was is not kept."""
    write.add_view(project.pk, monitor_id, clock.now().date())


def _checked(
    project: Project, told: Mapping[str, Any], held: QuestionRow | None
) -> tuple[dict[str, Any], list[int]]:
    """The columns and monitors of a question; ItemRefused with every fault."""
    faults = [
        Fault(str(name)[:60], "is not known", f"one of {', '.join(FIELDS)}") for name in told if name not in FIELDS
    ]
    text = _text(told, "text", held.text if held else None, TEXT_MAX, faults)
    decision = _text(told, "decision", held.decision if held else "", DECISION_MAX, faults)
    if not text.strip() and not any(fault.field == "text" for fault in faults):
        faults.append(Fault("text", "is required", f"1 to {TEXT_MAX} characters"))
    pillar = told.get("pillar", held.pillar.value if held else None)
    if not isinstance(pillar, str) or pillar not in {each.value for each in Pillar}:
        faults.append(Fault("pillar", "is not accepted", f"one of {', '.join(Pillar)}", str(pillar)[:60]))
    monitors = _monitors(project, told.get("monitors", list(held.monitor_ids) if held else []), faults)
    twins = [each for each in list_questions(project.pk) if each.text.casefold() == text.strip().casefold()]
    if any(held is None or each.id != held.id for each in twins):
        faults.append(Fault("text", "is asked already", "a question of its own", text[:60]))
    if faults:
        raise ItemRefused(*faults)
    text, decision = mask_text(project.pk, text.strip()), mask_text(project.pk, decision.strip())
    return {"text": text[:TEXT_MAX], "pillar": pillar, "decision": decision[:DECISION_MAX]}, monitors


def _text(told: Mapping[str, Any], name: str, before: str | None, most: int, faults: list[Fault]) -> str:
    value = told.get(name, before)
    limit = f"{'1' if name == 'text' else '0'} to {most} characters"
    if value is None and name == "text":
        faults.append(Fault(name, "is required", limit))
        return ""
    if not isinstance(value, str):
        faults.append(Fault(name, "is no text", limit, str(value)[:60]))
        return ""
    if len(value) > most:
        faults.append(Fault(name, "is too long", limit, f"{len(value)} characters"))
    if "\x00" in value:
        faults.append(Fault(name, "holds characters that no stored text has", limit))
    return value


def _monitors(project: Project, value: Any, faults: list[Fault]) -> list[int]:
    limit = f"up to {MONITORS_MAX} ids of monitors"
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if not is_list or any(not isinstance(each, int) or isinstance(each, bool) for each in value):
        faults.append(Fault("monitors", "is no list of ids", limit, str(value)[:60]))
        return []
    ids = list(dict.fromkeys(value))
    if len(ids) > MONITORS_MAX:
        faults.append(Fault("monitors", "are too many", limit, str(len(ids))))
    known = write.watched(project.pk)
    missing = [each for each in ids if each not in known]
    if missing:
        shown = ", ".join(str(each) for each in missing[:5])
        faults.append(Fault("monitors", "names monitors that the project does not have", limit, shown[:60]))
    return ids


def _is_money(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= WORTH_MOST
    )


def _held(project: Project, question_id: int) -> tuple[Question, QuestionRow]:
    row = write.lock(project.pk, question_id) if 0 < question_id < 2**63 else None
    held = next((each for each in list_questions(project.pk) if each.id == question_id), None)
    if row is None or held is None:
        raise NotThere
    return row, held


def _queue(project: Project) -> None:
    """One at a time changes what a project asks."""
    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)


def _record(
    project: Project, action: str, row: Question, request: HttpRequest | None, actor: str,
    before: dict[str, Any] | None, after: dict[str, Any] | None,
) -> None:  # fmt: skip
    record_in(
        project, action, f"question {row.text}"[:200], request=request, actor=actor, before=before, after=after
    )
