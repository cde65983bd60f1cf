"""Default-deny managers: while a request is answered, rows of a project are asked for by what binds them to one.

Models that belong to a project are `Owned`. A question to their manager that nothing ties to a project raises `Unbound`
instead of running: its own key of a project (or of none: what is everybody's), that of a row it goes by, the id of a
parent that is owned, or its own id, which came from a question that was bound itself. What finds out of which project
somebody is says so: `ApiKey.objects.unscoped("a key says of which project it is")`.

Workers and commands answer nobody and are not held to it, nor is what goes by the base manager: an instance that is
saved, deleted or refreshed, and a foreign key that is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self, TypeVar

from django.db.models import Field, Manager, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.sql.where import AND, OR, WhereNode

M = TypeVar("M", bound=Model, covariant=True)
# As Django names it; this layer knows no model of others.
PROJECT = "projects.project"
_TIES = frozenset({"exact", "in"})
_answers: ContextVar[bool] = ContextVar("answers", default=False)


class Unbound(RuntimeError):
    """A question about rows of projects that names none."""


@contextmanager
def answering() -> Iterator[None]:
    """From here on a request is answered: what is unbound is refused."""
    token = _answers.set(True)
    try:
        yield
    finally:
        _answers.reset(token)


class BoundQuerySet(QuerySet[M, M]):
    """Questions that are looked at before they run. Costs a walk of the conditions, and no question more."""

    _reason = ""

    def unscoped(self, reason: str) -> Self:
        """The same, of any project, because of `reason`; ValueError for none."""
        if not reason.strip():
            raise ValueError("say why it may be of any project")
        clone = self.all()
        clone._reason = reason
        return clone

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone._reason = self._reason
        return clone

    def _fetch_all(self) -> None:
        if self._result_cache is None:
            self._check()
        super()._fetch_all()

    def _iterator(self, *args: Any) -> Iterator[Any]:
        self._check()
        found: Iterator[Any] = super()._iterator(*args)  # type: ignore[misc]
        return found

    def count(self) -> int:
        if self._result_cache is None:
            self._check()
        return super().count()

    def exists(self) -> bool:
        if self._result_cache is None:
            self._check()
        return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        self._check()
        return super().aggregate(*args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        self._check()
        return super().update(**kwargs)

    def delete(self) -> tuple[int, dict[str, int]]:
        self._check()
        return super().delete()

    def _check(self) -> None:
        if not _answers.get() or self._reason or self.query.is_empty():
            return
        asked = self.query.combined_queries or (self.query,)
        if not all(is_tied(each.where) for each in asked):
            raise Unbound(f"{self.model._meta.label} is asked for without a project")


class Bound(Manager[M]):
    """The manager of models that belong to a project."""

    def get_queryset(self) -> BoundQuerySet[M]:
        """All rows; to be narrowed to a project before they are asked for."""
        return BoundQuerySet(self.model, using=self._db)

    def unscoped(self, reason: str) -> BoundQuerySet[M]:
        """Rows of any project, because of `reason`."""
        return self.get_queryset().unscoped(reason)


class Owned(Model):
    """A model whose rows belong to a project, by a key of its own or by that of a parent."""

    objects = Bound()

    class Meta:
        abstract = True


def is_tied(where: WhereNode) -> bool:
    """Whether these conditions hold for rows of named projects alone."""
    if where.negated or where.connector not in (AND, OR):
        return False
    held = (is_tied(each) if isinstance(each, WhereNode) else _ties(each) for each in where.children)
    return any(held) if where.connector == AND else bool(where.children) and all(held)


def _ties(lookup: Any) -> bool:
    lhs = getattr(lookup, "lhs", None)
    if not isinstance(lhs, Col):
        return False
    target: Field[Any, Any] = lhs.target
    leads_to = target.related_model if target.is_relation else target.model if target.primary_key else None
    if not isinstance(leads_to, type):
        return False
    if leads_to._meta.label_lower == PROJECT:
        return lookup.lookup_name in _TIES or (lookup.lookup_name == "isnull" and lookup.rhs is True)
    return issubclass(leads_to, Owned) and lookup.lookup_name in _TIES
