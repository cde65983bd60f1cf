"""Rows of what people set up. Each function runs in the caller's transaction; `evals.setup` checks and audits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Max
from django.utils.text import slugify

from evals.models import Connection, Judge, JudgeVersion, Rubric, RubricVersion, SamplingPlan, Settings
from telltale.lib import clock
from telltale.projects.models import Project

SLUG_CHARS_MAX = 60


class NameTaken(Exception):
    """Another row of the project has the name."""


def lock_project(project_id: int) -> None:
    """Let nobody else number versions of this project until the transaction ends."""
    Project.objects.select_for_update(no_key=True).get(pk=project_id)


def save_settings(project_id: int, values: Mapping[str, Any]) -> None:
    """Set what holds for the whole project."""
    Settings.objects.update_or_create(project_id=project_id, defaults=dict(values))


def add_connection(project_id: int, values: Mapping[str, Any]) -> int:
    """A new connection; NameTaken."""
    row = Connection(project_id=project_id, **values)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise NameTaken from None
    return int(row.pk)


def change_connection(connection_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of a connection; NameTaken."""
    try:
        with transaction.atomic():
            Connection.objects.filter(pk=connection_id).update(**values)
    except IntegrityError:
        raise NameTaken from None


def lock_connection(project_id: int, connection_id: int) -> Connection | None:
    """The connection, held until the transaction ends."""
    return Connection.objects.select_for_update(no_key=True).filter(project_id=project_id, pk=connection_id).first()


def free_slug(model: type[Rubric] | type[Judge], project_id: int, name: str) -> str:
    """A name for addresses that the project has not given yet, after `name`."""
    wanted = slugify(name)[: SLUG_CHARS_MAX - 5].strip("-") or model.__name__.lower()
    # Beside these addresses are pages, and addresses of REST.
    taken = {"new", "try", "check", "presets"}
    taken.update(model.objects.filter(project_id=project_id).values_list("slug", flat=True))
    numbered = (wanted if n == 1 else f"{wanted}-{n}" for n in range(1, len(taken) + 2))
    return next(slug for slug in numbered if slug not in taken)


def add_rubric(project_id: int, slug: str, name: str) -> int:
    """A rubric without versions."""
    return int(Rubric.objects.create(project_id=project_id, slug=slug, name=name).pk)


def save_rubric_version(rubric_id: int, spec: Mapping[str, Any], spec_hash: str, by_id: int | None) -> tuple[int, bool]:
    """The id of the version that holds `spec`, and whether anything changed.

    The newest version itself where it says the same; changed where nobody used it yet; else the next one.
    """
    newest = RubricVersion.objects.select_for_update().filter(rubric_id=rubric_id).order_by("-number").first()
    if newest is not None and newest.spec_hash == spec_hash:
        return int(newest.pk), False
    if newest is not None and newest.frozen_at is None:
        newest.spec, newest.spec_hash = dict(spec), spec_hash
        newest.save(update_fields=["spec", "spec_hash"])
        return int(newest.pk), True
    made = RubricVersion.objects.create(
        rubric_id=rubric_id,
        number=newest.number + 1 if newest else 1,
        spec=dict(spec),
        spec_hash=spec_hash,
        created_by_id=by_id,
    )
    return int(made.pk), True


def change_rubric(rubric_id: int, values: Mapping[str, Any]) -> None:
    """Change the name of a rubric, or archive it."""
    Rubric.objects.filter(pk=rubric_id).update(**values)


def add_judge(project_id: int, values: Mapping[str, Any]) -> int:
    """A judge without versions."""
    return int(Judge.objects.create(project_id=project_id, **values).pk)


def lock_judge(project_id: int, judge_id: int) -> Judge | None:
    """The judge, held until the transaction ends."""
    return Judge.objects.select_for_update(no_key=True).filter(project_id=project_id, pk=judge_id).first()


def change_judge(judge_id: int, values: Mapping[str, Any]) -> None:
    """Change columns of a judge."""
    Judge.objects.filter(pk=judge_id).update(**values)


def save_judge_version(judge_id: int, values: Mapping[str, Any], by_id: int | None) -> tuple[int, bool]:
    """The id of the version that holds `values`, and whether anything changed; as save_rubric_version."""
    newest = JudgeVersion.objects.select_for_update().filter(judge_id=judge_id).order_by("-number").first()
    if newest is not None and newest.config_hash == values["config_hash"]:
        return int(newest.pk), False
    if newest is not None and newest.frozen_at is None:
        JudgeVersion.objects.filter(pk=newest.pk).update(**values)
        return int(newest.pk), True
    made = JudgeVersion.objects.create(
        judge_id=judge_id, number=newest.number + 1 if newest else 1, created_by_id=by_id, **values
    )
    return int(made.pk), True


def remove_judge_version(version_id: int) -> bool:
    """Remove a version that nobody used; False where it was used."""
    return bool(JudgeVersion.objects.filter(pk=version_id, frozen_at=None).delete()[0])


def freeze(judge_version_id: int) -> None:
    """Have the version and its rubric's stay as they are from now on: called by whoever uses it first. Safe again."""
    now = clock.now()
    JudgeVersion.objects.filter(pk=judge_version_id, frozen_at=None).update(frozen_at=now)
    RubricVersion.objects.filter(
        pk__in=JudgeVersion.objects.filter(pk=judge_version_id).values("rubric_version_id"), frozen_at=None
    ).update(frozen_at=now)


def freeze_rubric(rubric_version_id: int) -> None:
    """Have the rubric's version stay as it is from now on. Safe to call again."""
    RubricVersion.objects.filter(pk=rubric_version_id, frozen_at=None).update(frozen_at=clock.now())


def add_plan(
    project_id: int, judge_id: int, spec: Mapping[str, Any], new_salt: str, valid_from: datetime, by_id: int | None
) -> int:
    """The next version of a judge's plan, in force from `valid_from`; the one before ends there.

    One that had not begun by then never does. The salt is that of the first version.
    """
    plans = SamplingPlan.objects.filter(project_id=project_id, judge_id=judge_id)
    first = plans.order_by("number").first()
    last = plans.aggregate(last=Max("number"))["last"] or 0
    for row in plans.filter(valid_from__gte=valid_from):
        row.valid_to = row.valid_from
        row.save(update_fields=["valid_to"])
    held = plans.filter(valid_from__lt=valid_from).exclude(valid_to=F("valid_from"))
    before = held.order_by("-number").first()
    if before is not None:
        SamplingPlan.objects.filter(pk=before.pk).update(valid_to=valid_from)
    made = SamplingPlan.objects.create(
        project_id=project_id,
        judge_id=judge_id,
        number=last + 1,
        spec=dict(spec),
        salt=first.salt if first else new_salt,
        valid_from=valid_from,
        created_by_id=by_id,
    )
    return int(made.pk)


def end_plan(project_id: int, judge_id: int, at: datetime) -> bool:
    """Have no plan of the judge hold from `at` on; False where none did."""
    plans = SamplingPlan.objects.filter(project_id=project_id, judge_id=judge_id)
    ended = plans.filter(valid_to=None, valid_from__lte=at).update(valid_to=at)
    for row in plans.filter(valid_from__gt=at):
        row.valid_to = row.valid_from
        row.save(update_fields=["valid_to"])
    # Whatever a plan of the future would have replaced ends now as well.
    return bool(ended + plans.filter(valid_to__gt=at, valid_from__lte=at).update(valid_to=at))


def has_live_judges(project_id: int) -> bool:
    """Whether a judge of the project is in production."""
    return Judge.objects.filter(project_id=project_id, archived_at=None).exclude(live_version=None).exists()
