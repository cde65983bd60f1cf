"""What every change of organisations and projects shares: what is refused, and an address of its own."""

from __future__ import annotations

from django.utils.text import slugify

from telltale.accounts.models import Organisation
from telltale.projects.models import Project

_SLUG_MAX = 60
# Words that would read oddly as a project's address.
_RESERVED = {"new", "all", "none"}


class Refused(Exception):
    """A change that would break a rule; the text says which, for people."""


def free_slug(model: type[Organisation] | type[Project], name: str) -> str:
    """An address nobody has yet."""
    stem = slugify(name)[: _SLUG_MAX - 5].strip("-_") or model.__name__.lower()
    taken = set(model._default_manager.filter(slug__startswith=stem).values_list("slug", flat=True)) | _RESERVED
    if stem not in taken:
        return stem
    return next(f"{stem}-{number}" for number in range(2, len(taken) + 3) if f"{stem}-{number}" not in taken)
