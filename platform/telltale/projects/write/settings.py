"""New projects and their settings, each change with its line in the audit log."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.db import transaction
from django.http import HttpRequest

from telltale.accounts.models import Organisation
from telltale.audit.log import record_in
from telltale.projects.models import Project
from telltale.projects.write.naming import Refused, free_slug


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """What a project's settings page holds."""

    name: str
    time_zone: str
    retention_days: int
    feature_names: list[str]
    feature_rules: list[dict[str, str]]
    # None: as it is.
    text_days: int | None = None
    score_days: int | None = None


def create_project(
    organisation: Organisation, name: str, *, time_zone: str = "UTC", request: HttpRequest | None = None
) -> Project:
    """A new project; its address is made of the name and is unique in the installation.

    Refused where the organisation is being removed.
    """
    with transaction.atomic():
        # Whoever asks for its removal meanwhile waits, and finds this project.
        open_ = Organisation.objects.select_for_update(no_key=True).filter(pk=organisation.pk, deletion_asked_at=None)
        if not open_.exists():
            raise Refused("This organisation is being removed; keep it first.")
        project = Project.objects.create(
            organisation=organisation, name=name, slug=free_slug(Project, name), time_zone=time_zone
        )
        after = {"name": name, "time_zone": time_zone}
        record_in(project, "project.create", project.slug, request=request, after=after)
    return project


def change_project(project: Project, to: ProjectSettings, *, request: HttpRequest | None = None) -> bool:
    """Change the settings; False where nothing differs. Only what differs goes to the audit log."""
    after = {name: value for name, value in asdict(to).items() if value is not None}
    with transaction.atomic():
        row = Project.objects.select_for_update().get(pk=project.pk)
        before = {name: getattr(row, name) for name in after}
        changed = [name for name in after if before[name] != after[name]]
        if not changed:
            return False
        for name in changed:
            setattr(row, name, after[name])
        row.save(update_fields=changed)
        record_in(
            row,
            "project.settings",
            row.slug,
            request=request,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return True
