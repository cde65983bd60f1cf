"""Writing the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from telltale.audit.models import AuditEntry

if TYPE_CHECKING:
    from telltale.projects.models import Project


def record(
    action: str,
    *,
    request: HttpRequest | None = None,
    actor: str = "",
    organisation_id: int | None = None,
    project_id: int | None = None,
    target: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    outcome: str = "done",
) -> None:
    """Append one entry, in the caller's transaction. `before` and `after` must never hold a secret.

    Whoever asks by a key is that key, whatever `actor` calls them: its id finds all that it did.
    """
    user: Any = getattr(request, "user", None)
    person: Any = user if user is not None and user.is_authenticated else None
    is_key = person is not None and person.pk is None
    AuditEntry.objects.create(
        action=action,
        actor=person.email if is_key or (person and not actor) else actor or "system",
        actor_user_id=person.pk if person else None,
        organisation_id=organisation_id,
        project_id=project_id,
        target=target[:254],
        before=before,
        after=after,
        address=request.META.get("REMOTE_ADDR") or None if request else None,
        outcome=outcome,
    )


def record_in(
    project: Project,
    action: str,
    target: str,
    *,
    request: HttpRequest | None = None,
    actor: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    outcome: str = "done",
) -> None:
    """Append one entry about something of `project`."""
    record(
        action,
        request=request,
        actor=actor,
        organisation_id=project.organisation_id,
        project_id=project.pk,
        target=target,
        before=before,
        after=after,
        outcome=outcome,
    )


def record_refused(project: Project, request: HttpRequest, needs: str, has: str) -> None:
    """Append that a change was tried which role or scopes do not allow."""
    record_in(
        project,
        "access",
        f"{request.method} {request.path}",
        request=request,
        after={"has": has, "needs": needs},
        outcome="refused",
    )
