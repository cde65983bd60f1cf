"""Who reviews: a person signed in, or somebody whom a holder of a key names."""

from __future__ import annotations

from dataclasses import dataclass

from evals.read.review import person_words
from evals.reviewing.assigning import reviewers
from telltale.accounts.models import User
from telltale.projects.access import may
from telltale.projects.models import Project


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who reviews. `user_id` None: somebody known by name alone. `may_settle`: decides where others disagree."""

    user_id: int | None
    name: str
    may_settle: bool = False
    key_id: int | None = None
    shown: str = ""


def reviewer_of(project: Project, person: User) -> Reviewer:
    """The reviewer that somebody signed in is."""
    return Reviewer(person.pk, person.email, may(project, "review"), shown=person_words(person))


def named_reviewer(project: Project, name: str, key_id: int | None) -> Reviewer:
    """Somebody whom the holder of a key names; a member's e-mail is that member."""
    user = User.objects.filter(email__iexact=name, is_active=True).first() if "@" in name else None
    if user is not None and user.pk in dict(reviewers(project)):
        return Reviewer(user.pk, user.email, True, key_id, person_words(user))
    return Reviewer(None, name, True, key_id, name)
