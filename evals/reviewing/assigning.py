"""Whose an item is: assigned to somebody, or to nobody."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest

from evals.read.review import ItemView, QueueView, person_words
from evals.reviewing.agreeing import DISPUTED, OPEN
from evals.reviewing.config import RefusedReview
from evals.write import review as write
from telltale.accounts.models import OrganisationMember, User
from telltale.audit.log import record_in
from telltale.projects.access import is_at_least
from telltale.projects.models import Project, ProjectMember, Role


def reviewers(project: Project) -> list[tuple[int, str]]:
    """Who may review in the project: (id, name) by name."""
    members = ProjectMember.objects.filter(project=project, user__is_active=True).select_related("user")
    people = {each.user_id: person_words(each.user) for each in members if is_at_least(Role(each.role), Role.REVIEWER)}
    owners = OrganisationMember.objects.filter(
        organisation_id=project.organisation_id, is_owner=True, user__is_active=True
    )
    people |= {each.user_id: person_words(each.user) for each in owners.select_related("user")}
    return sorted(people.items(), key=lambda pair: (pair[1].lower(), pair[0]))


def able_reviewers(project_id: int) -> list[int]:
    """The ids of who may review in the project: what is assigned to anybody else waits for everybody."""
    return [user_id for user_id, _ in reviewers(Project.objects.get(pk=project_id))]


def assign(
    project: Project,
    queue: QueueView,
    item: ItemView,
    person: str,
    *,
    request: HttpRequest | None = None,
    actor: str = "",
) -> str:
    """Keep an item for somebody, named by id or e-mail; empty: for anybody. Their name; RefusedReview."""
    user_id, name = _person(project, person)
    with transaction.atomic():
        row = write.lock_item(project.pk, item.id)
        if row is None or row.state not in (OPEN, DISPUTED):
            raise RefusedReview("item", "waits for nobody any more")
        values: dict[str, object] = {"assigned_to_id": user_id}
        if user_id is not None and row.leased_by_id != user_id:
            # Whoever has it on the screen loses it: it is somebody else's now.
            values |= {"leased_by_id": None, "lease_key": "", "leased_until": None}
        if row.assigned_to_id != user_id:
            write.change_item(item.id, values)
            told = {"item": item.id, "assigned_to": name or None}
            record_in(project, "review.assign", queue.slug, request=request, actor=actor, after=told)
    return name


def _person(project: Project, person: str) -> tuple[int | None, str]:
    if not person:
        return None, ""
    known = dict(reviewers(project))
    if "@" in person:
        user = User.objects.filter(email__iexact=person[:254]).first()
        user_id = user.pk if user else None
    else:
        user_id = int(person) if person.isascii() and person.isdigit() and len(person) < 15 else None
    if user_id is None or user_id not in known:
        raise RefusedReview("person", "is nobody who may review here", "a member from reviewer on", person[:60])
    return user_id, known[user_id]
