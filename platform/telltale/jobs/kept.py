"""What was counted and then removed: a counter over rows that are swept stands on both."""

from __future__ import annotations

from django.db import connection

from telltale.jobs.models import Kept

_ADD = """
    INSERT INTO jobs_kept AS kept (name, n) VALUES (%s, %s)
    ON CONFLICT (name) DO UPDATE SET n = kept.n + excluded.n
"""


def keep(name: str, n: int) -> None:
    """Add `n` rows that the caller's transaction removes to what is kept of `name`."""
    if n:
        with connection.cursor() as cursor:
            cursor.execute(_ADD, [name, n])


def read_kept(prefix: str) -> dict[str, int]:
    """What is kept of names that begin with `prefix`, without it."""
    rows = Kept.objects.filter(name__startswith=prefix).values_list("name", "n")
    return {name.removeprefix(prefix): n for name, n in rows}
