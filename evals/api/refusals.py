"""Refusals of setting up as problems of REST."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from evals.backfilling import BackfillRefused
from evals.setup import GateUnproven, NotThere, SetupRefused
from telltale.rest.problems import FieldError, Problem, bad_field, not_found

# Fields that stand beside a spec in a body, not in it.
BESIDE = frozenset({"name", "slug", "valid_from", "is_archived"})
# How readers call the spec as a whole.
WHOLE = ("rubric", "plan")


@contextmanager
def told(names: dict[str, str] | None = None, *, under: str = "") -> Iterator[None]:
    """Raise what setting up refuses as the problem a caller can mend.

    `names` are fields that REST spells otherwise; parts of a rubric, and of a plan, stand below `under` in the body.
    """
    spelled = names or {}
    try:
        yield
    except (SetupRefused, BackfillRefused) as refused:
        field = spelled.get(refused.field, refused.field)
        if under and field not in BESIDE:
            field = below(under, field)
        value = getattr(refused, "value", "") or None
        raise bad_field(field, refused.message, limit=refused.limit or None, value=value) from None
    except GateUnproven as unproven:
        detail = f"Not proven against people: {unproven} With a `reason` it goes to production all the same."
        raise Problem(409, detail, FieldError("reason", "is required while a criterion is not proven")) from None
    except NotThere:
        raise not_found() from None


def below(under: str, field: str) -> str:
    """Where in a body a part of the spec stands that its reader calls `field`."""
    first, _, rest = field.partition(".")
    inner = rest if first in WHOLE else field
    return f"{under}.{inner}" if inner else under
