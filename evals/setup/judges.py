"""Judges: versions that anybody used stay as they are; one version is in production at a time."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.judges.config import EXTERNAL, MODEL, PERSON, RULE, check_fit, config_json, parse_config
from evals.judges.fields import ConfigRefused
from evals.models import Judge
from evals.read import setup as read
from evals.read.calibration import NO_BADGE, Badge, badges
from evals.read.setup import JudgeVersionView, JudgeView
from evals.rubrics import Rubric
from evals.setup.refusals import GateUnproven, NotThere, SetupRefused, clean_name, clean_reason, storable
from evals.setup.rubrics import hash_of
from evals.write import setup as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces import changes

KINDS = (MODEL, RULE, PERSON, EXTERNAL)
JUDGES_MAX = 100
# Pages and REST tell all versions of a judge at once.
VERSIONS_MAX = 500
NAME_CHARS_MAX = 120
MODEL_CHARS_MAX = 200
# A million dollars a day: nobody means more.
BUDGET_PICO_MAX = 10**18


def save_judge(
    project: Project,
    *,
    rubric_version_id: int,
    config: Any = None,
    slug: str = "",
    name: str = "",
    kind: str = "",
    connection_id: int | None = None,
    model: str = "",
    is_new: bool = False,
    by_id: int | None = None,
    request: HttpRequest | None = None,
) -> JudgeVersionView:
    """The version of a judge that now is set so; `config` as evals.judges.config.parse_config reads it.

    A judge that is not there yet is made, by `slug` or by `name` alone; with `is_new` a slug that is taken is refused.
    A version that nobody used is changed in place; one that was used is followed by the next; one that says the same
    stays. SetupRefused.
    """
    with transaction.atomic():
        write.lock_project(project.pk)
        judge = read.get_judge(project.pk, slug) if slug else None
        if judge is not None and is_new:
            raise SetupRefused("slug", "is another judge's already", value=slug)
        if judge is not None and kind and kind != judge.kind:
            raise SetupRefused("kind", "of a judge stays as it is", judge.kind, kind[:40])
        values = checked_version(
            project, judge.kind if judge else kind, rubric_version_id, config or {}, connection_id, model
        )
        if judge is None:
            title = clean_name("name", name or slug, NAME_CHARS_MAX)
            _has_room(project)
            free = write.free_slug(Judge, project.pk, slug or title)
            judge_id = write.add_judge(
                project.pk, {"slug": free, "name": title, "kind": kind, "created_by_id": by_id}
            )  # fmt: skip
        else:
            judge_id = judge.id
            last = judge.newest
            if last.number >= VERSIONS_MAX and not last.is_draft and last.config_hash != values["config_hash"]:
                raise SetupRefused("version", "is one too many", f"{VERSIONS_MAX} versions of a judge")
        version_id, is_changed = write.save_judge_version(judge_id, values, by_id)
        saved = read.get_judge_version(project.pk, version_id)
        if saved is None:
            raise NotThere
        if is_changed:
            before = judge.newest if judge is not None and judge.versions else None
            is_same_row = before is not None and before.id == version_id
            record_in(
                project, "judge.save", f"{slug or name} v{saved.number}", request=request,
                before=told(before) if before is not None and is_same_row else None, after=told(saved),
            )  # fmt: skip
    return saved


def checked_version(
    project: Project, kind: str, rubric_version_id: int, config: Any, connection_id: int | None, model: str
) -> dict[str, Any]:
    """The columns of a judge version, clean; SetupRefused."""
    rubric_version = read.get_rubric_version(project.pk, rubric_version_id)
    if rubric_version is None:
        raise SetupRefused("rubric_version", "is none of this project", value=str(rubric_version_id))
    values = checked_settings(project, kind, rubric_version.rubric, config, connection_id, model)
    said = {"kind": kind, "rubric": rubric_version_id, **values}
    return values | {"rubric_version_id": rubric_version_id, "config_hash": hash_of(said)}


def checked_settings(
    project: Project, kind: str, rubric: Rubric, config: Any, connection_id: int | None, model: str
) -> dict[str, Any]:
    """Connection, model and settings of a judge by `rubric`, saved or not, clean; SetupRefused."""
    if kind not in KINDS:
        raise SetupRefused("kind", "is not known", f"one of {', '.join(KINDS)}", kind[:40])
    try:
        parsed = parse_config(kind, config)
        check_fit(rubric, parsed)
    except ConfigRefused as error:
        inner = error.field.removeprefix("config").removeprefix(".")
        raise SetupRefused(f"config.{inner}" if inner else "config", error.message, error.limit) from None
    clean = storable("config", config_json(parsed))
    name = " ".join(model.split())
    if kind != MODEL:
        connection_id, name = None, ""
    else:
        connection = None if connection_id is None else read.get_connection(project.pk, connection_id)
        if connection is None or connection.archived_at is not None:
            raise SetupRefused("connection", "is none of this project", "a connection of its settings")
        if not name or not name.isprintable():
            raise SetupRefused("model", "is empty" if not name else "holds characters that cannot be seen")
        if len(name) > MODEL_CHARS_MAX:
            raise SetupRefused("model", "is too long", f"{MODEL_CHARS_MAX} characters", f"{len(name)} characters")
    return {"connection_id": connection_id, "model": name, "config": clean}


def change_judge(
    project: Project, slug: str, *, name: str | None = None, request: HttpRequest | None = None, **budget: int | None
) -> JudgeView:
    """Rename a judge, or set `budget_pico_day` (pico-dollars a day, None for no limit of its own)."""
    with transaction.atomic():
        judge = _locked(project, slug)
        values: dict[str, Any] = {}
        if name is not None:
            values["name"] = clean_name("name", name, NAME_CHARS_MAX)
        if "budget_pico_day" in budget:
            pico = budget["budget_pico_day"]
            if pico is not None and not 0 <= pico <= BUDGET_PICO_MAX:
                raise SetupRefused("budget_usd_day", "is out of range", "0 to 1,000,000 USD a day")
            values["budget_pico_day"] = pico
        before = {field: getattr(judge, field) for field in values}
        if values and before != values:
            write.change_judge(judge.id, values)
            record_in(project, "judge.change", slug, request=request, before=before, after=values)
    return find_judge(project, slug)


def gate_of(project: Project, version: JudgeVersionView) -> dict[str, Badge]:
    """How far each criterion of a judge version is proven against people."""
    found = badges(project.pk, [version.id])
    keys = [criterion.key for criterion in version.rubric_version.rubric.criteria]
    return {key: found.get((version.id, key), NO_BADGE) for key in keys}


def make_live(
    project: Project, slug: str, number: int | None = None, *, reason: str = "", request: HttpRequest | None = None
) -> JudgeView:
    """Put a version of a judge (the newest by default) in production; from now on its plan is drawn for.

    A model judge with a criterion that is not proven against people needs a `reason`, which the audit log keeps; its
    numbers carry the badge all the same. GateUnproven, NotThere, SetupRefused.
    """
    why = clean_reason(reason)
    with transaction.atomic():
        judge = _locked(project, slug)
        version = judge.newest if number is None else judge.version(number)
        if version is None:
            raise NotThere
        if judge.archived_at is not None:
            raise SetupRefused("judge", "is archived", "a judge in use")
        unproven = {key: badge for key, badge in gate_of(project, version).items() if badge.state != "proven"}
        if judge.kind == MODEL:
            connection = (
                None if version.connection_id is None else read.get_connection(project.pk, version.connection_id)
            )
            if connection is None or connection.archived_at is not None:
                raise SetupRefused("connection", "of this version is archived", "a connection in use")
            if unproven and not why:
                raise GateUnproven(f"{key}: {badge.words}." for key, badge in unproven.items())
        write.freeze(version.id)
        if judge.live_version_id != version.id:
            write.change_judge(judge.id, {"live_version_id": version.id, "live_since": clock.now()})
            before = None if judge.live is None else {"version": judge.live.number}
            after: dict[str, Any] = {"version": version.number}
            if judge.kind == MODEL and unproven:
                after |= {"unproven": sorted(unproven), "reason": why}
            record_in(project, "judge.live", slug, request=request, before=before, after=after)
        changes.watch(project.pk)
    return find_judge(project, slug)


def take_down(project: Project, slug: str, *, request: HttpRequest | None = None) -> JudgeView:
    """Take a judge out of production: nothing more is drawn for it; what waits is still judged. NotThere."""
    with transaction.atomic():
        judge = _locked(project, slug)
        if judge.live is not None:
            write.change_judge(judge.id, {"live_version_id": None, "live_since": None})
            record_in(project, "judge.down", slug, request=request, before={"version": judge.live.number})
    return find_judge(project, slug)


def pause_judge(project: Project, slug: str, *, is_paused: bool, request: HttpRequest | None = None) -> JudgeView:
    """Have a judge call nobody for now, or go on; what is drawn meanwhile waits. NotThere."""
    with transaction.atomic():
        judge = _locked(project, slug)
        if (judge.paused_at is not None) != is_paused:
            write.change_judge(judge.id, {"paused_at": clock.now() if is_paused else None})
            record_in(project, "judge.pause" if is_paused else "judge.resume", slug, request=request)
    return find_judge(project, slug)


def archive_judge(
    project: Project, slug: str, *, is_archived: bool = True, request: HttpRequest | None = None
) -> JudgeView:
    """Put a judge away, out of production, or take it back. Its scores stay. NotThere."""
    with transaction.atomic():
        judge = _locked(project, slug)
        if (judge.archived_at is not None) != is_archived:
            if not is_archived:
                _has_room(project, "is_archived")
            now = clock.now() if is_archived else None
            values: dict[str, Any] = {"archived_at": now}
            if is_archived:
                values |= {"live_version_id": None, "live_since": None}
            write.change_judge(judge.id, values)
            record_in(project, "judge.archive" if is_archived else "judge.restore", slug, request=request)
    return find_judge(project, slug)


def discard_draft(project: Project, slug: str, *, request: HttpRequest | None = None) -> JudgeView:
    """Remove the newest version where nobody used it and it is not the only one. SetupRefused, NotThere."""
    with transaction.atomic():
        judge = _locked(project, slug)
        draft = judge.newest
        if len(judge.versions) < 2:
            raise SetupRefused("version", "is the only one", "a judge has at least one version")
        if not draft.is_draft or not write.remove_judge_version(draft.id):
            raise SetupRefused("version", "was used and stays", "a draft")
        record_in(project, "judge.discard", f"{slug} v{draft.number}", request=request, before=told(draft))
    return find_judge(project, slug)


def find_judge(project: Project, slug: str) -> JudgeView:
    """The judge; NotThere."""
    found = read.get_judge(project.pk, slug)
    if found is None:
        raise NotThere
    return found


def told(version: JudgeVersionView) -> dict[str, Any]:
    """What the audit log keeps of a version."""
    return {
        "version": version.number,
        "rubric": f"{version.rubric_version.slug} v{version.rubric_version.number}",
        "connection": version.connection_name,
        "model": version.model,
        "config": dict(version.config),
    }


def _has_room(project: Project, field: str = "name") -> None:
    """SetupRefused where the project has as many judges as it may use."""
    if Judge.objects.filter(project=project, archived_at=None).count() >= JUDGES_MAX:
        raise SetupRefused(field, "is one too many", f"{JUDGES_MAX} judges in a project")


def _locked(project: Project, slug: str) -> JudgeView:
    judge = find_judge(project, slug)
    if write.lock_judge(project.pk, judge.id) is None:
        raise NotThere
    return find_judge(project, slug)
