"""Asking for the removal of an organisation, and taking that back: its projects with it, all at one moment."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest

from telltale.accounts.models import Organisation
from telltale.audit.log import record
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.web.erasing.asking import UNDO, Conflict, ask_project, begin, undo_project
from telltale.web.erasing.subject import subject_key
from telltale.web.models import Erasure

KIND = "organisation"


def ask(organisation: Organisation, *, by: str = "", request: HttpRequest | None = None) -> Erasure:
    """Stop the keys of all its projects now, and remove it with them in seven days. Conflict where it was asked.

    A project that was to go before goes on its own day.
    """
    now = clock.now()
    due_at = now + UNDO
    with transaction.atomic():
        asked = Organisation.objects.filter(pk=organisation.pk, deletion_asked_at=None).update(
            deletion_asked_at=now, deletion_due_at=due_at, deletion_asked_by=by[:254]
        )
        if not asked:
            raise Conflict("The organisation is being removed already, or is gone.")
        erasure = Erasure.objects.create(
            project_id=0,
            organisation_id=organisation.pk,
            project_slug=organisation.slug,
            kind=KIND,
            subject_key=subject_key(organisation.pk, KIND, ""),
            hint=organisation.slug,
            asked_by=by,
            asked_at=now,
        )
        told = {"erasure": erasure.pk, "due_at": due_at.isoformat()}
        record(
            "organisation.remove", request=request, actor=by, organisation_id=organisation.pk,
            target=organisation.slug, after=told, outcome="asked",
        )  # fmt: skip
        for project in _staying(organisation.pk):
            ask_project(project, by=by, request=request, at=now, due_at=due_at)
    return erasure


def undo(organisation: Organisation, *, by: str = "", request: HttpRequest | None = None) -> None:
    """Keep the organisation, and the projects that go with it. Conflict where nothing was asked, or it is due."""
    now = clock.now()
    with transaction.atomic():
        row = Organisation.objects.select_for_update().filter(pk=organisation.pk).first()
        asked_at = None if row is None else row.deletion_asked_at
        if row is None or asked_at is None or row.deletion_due_at is None or row.deletion_due_at <= now:
            raise Conflict("The organisation is not being removed, or its removal has begun.")
        Organisation.objects.filter(pk=row.pk).update(
            deletion_asked_at=None, deletion_due_at=None, deletion_asked_by=""
        )
        held = Erasure.objects.filter(organisation_id=row.pk, kind=KIND, state="waiting")
        erasure_id = held.values_list("pk", flat=True).first()
        held.update(state="undone", finished_at=now)
        record(
            "organisation.keep", request=request, actor=by, organisation_id=row.pk, target=row.slug,
            after={"erasure": erasure_id},
        )  # fmt: skip
        for project in Project.objects.filter(organisation_id=row.pk, deletion_asked_at=asked_at):
            undo_project(project, by=by, request=request)


def start_due() -> int:
    """Begin to remove organisations whose days are over and whose projects are gone; how many."""
    now, started = clock.now(), 0
    for organisation_id in list(Organisation.objects.filter(deletion_due_at__lte=now).values_list("pk", flat=True)):
        with transaction.atomic():
            row = Organisation.objects.select_for_update().filter(pk=organisation_id, deletion_due_at__lte=now).first()
            if row is None:
                continue
            # Made since by somebody who did not ask whether it goes.
            for project in _staying(row.pk):
                ask_project(project, by=row.deletion_asked_by, at=now, due_at=now)
            held = Erasure.objects.filter(organisation_id=row.pk, kind=KIND, state="waiting", job_id=None).first()
            if held is not None and not Project.objects.filter(organisation_id=row.pk).exists():
                begin(held)
                started += 1
    return started


def _staying(organisation_id: int) -> list[Project]:
    """The projects that nobody asked to remove."""
    return list(Project.objects.filter(organisation_id=organisation_id, deletion_asked_at=None).order_by("pk"))
