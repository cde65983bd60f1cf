"""Rubrics: versions that anybody used stay as they are; saving makes the next."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from django.db import transaction
from django.http import HttpRequest

from evals.models import Rubric
from evals.read import setup as read
from evals.read.setup import RubricVersionView, RubricView
from evals.rubrics import RubricRefused, parse_rubric, to_json
from evals.setup.refusals import NotThere, SetupRefused, clean_name, refused_rubric
from evals.write import setup as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project

RUBRICS_MAX = 200
VERSIONS_MAX = 500
NAME_CHARS_MAX = 120


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON value, however its keys are ordered."""
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()


def save_rubric(
    project: Project,
    spec: Any,
    *,
    slug: str = "",
    name: str = "",
    is_new: bool = False,
    by_id: int | None = None,
    request: HttpRequest | None = None,
) -> RubricVersionView:
    """The version that now says `spec` (JSON as evals.rubrics.parse_rubric reads it).

    A rubric that is not there yet is made, by `slug` or by `name` alone; with `is_new` a slug that is taken is refused.
    A version that nobody used is changed in place; one that was used is followed by the next; one that says the same
    stays. SetupRefused.
    """
    try:
        clean = to_json(parse_rubric(spec))
    except RubricRefused as error:
        raise refused_rubric(error) from None
    with transaction.atomic():
        write.lock_project(project.pk)
        rubric = read.get_rubric(project.pk, slug) if slug else None
        if rubric is not None and is_new:
            raise SetupRefused("slug", "is another rubric's already", value=slug)
        if rubric is None:
            title = clean_name("name", name or slug, NAME_CHARS_MAX)
            if Rubric.objects.filter(project=project).count() >= RUBRICS_MAX:
                raise SetupRefused("name", "is one too many", f"{RUBRICS_MAX} rubrics in a project")
            rubric_id = write.add_rubric(project.pk, write.free_slug(Rubric, project.pk, slug or title), title)
            before = None
        else:
            rubric_id, before = rubric.id, rubric.newest
            if before.number >= VERSIONS_MAX and not before.is_draft and before.spec_hash != hash_of(clean):
                raise SetupRefused("criteria", "would be one version too many", f"{VERSIONS_MAX} versions of a rubric")
            if name and (title := clean_name("name", name, NAME_CHARS_MAX)) != rubric.name:
                write.change_rubric(rubric_id, {"name": title})
                record_in(
                    project, "rubric.rename", rubric.slug, request=request,
                    before={"name": rubric.name}, after={"name": title},
                )  # fmt: skip
        version_id, is_changed = write.save_rubric_version(rubric_id, clean, hash_of(clean), by_id)
        saved = read.get_rubric_version(project.pk, version_id)
        if saved is None:
            raise NotThere
        if is_changed:
            old = before.spec if before is not None and before.id == version_id else None
            record_in(
                project, "rubric.save", f"{saved.slug} v{saved.number}", request=request,
                before=None if old is None else dict(old), after=clean,
            )  # fmt: skip
    return saved


def archive_rubric(
    project: Project, slug: str, *, is_archived: bool = True, request: HttpRequest | None = None
) -> RubricView:
    """Put a rubric away or take it back: it is offered no more, and what uses it goes on. NotThere."""
    with transaction.atomic():
        write.lock_project(project.pk)
        rubric = read.get_rubric(project.pk, slug)
        if rubric is None:
            raise NotThere
        if (rubric.archived_at is not None) != is_archived:
            write.change_rubric(rubric.id, {"archived_at": clock.now() if is_archived else None})
            record_in(project, "rubric.archive" if is_archived else "rubric.restore", slug, request=request)
        found = read.get_rubric(project.pk, slug)
        if found is None:
            raise NotThere
    return found
