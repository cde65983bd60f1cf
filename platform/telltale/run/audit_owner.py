"""Who owns the audit log: a role that nobody signs in as, so that the application may add to it and read it, no more.

A table's owner can grant itself anything, so a promise by grant needs another owner. `telltale prepare` settles this
for the embedded PostgreSQL, where it knows the superuser; for one of your own docs/audit.md has the statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql

OWNER = "telltale_audit"
TABLE = "audit_auditentry"
_FUNCTIONS = ("audit_refuse_change()", "audit_prune(integer, text)")
Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the audit log is held. `by`: "grant" (the role may add and read alone), "trigger" (the role owns the table,
    so nothing but the triggers stands in its way), "nothing" (a role that may do everything, or a trigger is gone)."""

    by: Literal["grant", "trigger", "nothing"]
    words: str


def settle(admin: Connection, role: str) -> None:
    """Give the log to `telltale_audit`; `role`, the application's, keeps INSERT and SELECT. Safe to repeat."""
    who, owner = sql.Identifier(role), sql.Identifier(OWNER)
    with admin.transaction():
        if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            admin.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(owner))
        _run(
            admin,
            # As a schema is by default: a grant to the role itself would keep a dump from being restored without it.
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
            "ALTER TABLE public.audit_auditentry OWNER TO {owner}",
            *(f"ALTER FUNCTION public.{name} OWNER TO {{owner}}" for name in _FUNCTIONS),
            "GRANT ALL ON TABLE public.audit_auditentry TO {owner}",
            "REVOKE ALL ON TABLE public.audit_auditentry FROM {role}, PUBLIC",
            "GRANT SELECT, INSERT ON TABLE public.audit_auditentry TO {role}",
            "GRANT USAGE, SELECT ON SEQUENCE public.audit_auditentry_id_seq TO {role}",
            "REVOKE ALL ON FUNCTION public.audit_prune(integer, text) FROM PUBLIC",
            "GRANT EXECUTE ON FUNCTION public.audit_prune(integer, text) TO {role}",
            role=who,
            owner=owner,
        )


def hand_back(admin: Connection, role: str) -> None:
    """Give the log to the application's role for as long as a migration of it runs; `settle` afterwards."""
    with admin.transaction():
        functions = [name for name in _FUNCTIONS if _has_function(admin, name)]
        _run(
            admin,
            "ALTER TABLE public.audit_auditentry OWNER TO {role}",
            *(f"ALTER FUNCTION public.{name} OWNER TO {{role}}" for name in functions),
            role=sql.Identifier(role),
        )


def is_settled(admin: Connection) -> bool:
    """Whether the log belongs to its own role."""
    row = admin.execute(
        "SELECT pg_get_userbyid(relowner) = %s FROM pg_class WHERE oid = to_regclass('public.audit_auditentry')",
        [OWNER],
    ).fetchone()
    return bool(row and row[0])


_STANDING = """
    SELECT
        (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
        current_user,
        pg_get_userbyid(c.relowner),
        pg_has_role(current_user, c.relowner, 'MEMBER'),
        has_table_privilege(c.oid, 'UPDATE') OR has_table_privilege(c.oid, 'DELETE')
            OR has_table_privilege(c.oid, 'TRUNCATE'),
        (SELECT count(*) FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgenabled IN ('O', 'A')
            AND t.tgname IN ('audit_append_only', 'audit_keep_a_year'))
    FROM pg_class AS c WHERE c.oid = to_regclass('audit_auditentry')
"""


def read_standing(cursor: Any) -> Standing | None:
    """How the log is held against the role that `cursor` works as; None before there is a log."""
    cursor.execute(_STANDING)
    row: Sequence[Any] | None = cursor.fetchone()
    if row is None:
        return None
    is_superuser, role, owner, is_owner, may_change, triggers = row
    if triggers < 2:
        return Standing("nothing", "a trigger of the audit log is missing or switched off: entries can be changed")
    if is_superuser:
        return Standing(
            "trigger",
            f"the role {role} is a superuser, which no grant binds: triggers alone refuse changes of the audit log",
        )
    if is_owner:
        return Standing(
            "trigger",
            f"the role {role} owns the audit log: triggers alone refuse changes; docs/audit.md has the statements for "
            "an owner of its own",
        )
    if may_change:
        return Standing("nothing", f"the role {role} holds UPDATE, DELETE or TRUNCATE on the audit log of {owner}")
    return Standing("grant", f"the role {role} may add to the audit log and read it, by grant; {owner} owns it")


def _has_function(admin: Connection, signature: str) -> bool:
    row = admin.execute("SELECT to_regprocedure(%s)", [f"public.{signature}"]).fetchone()
    return bool(row and row[0])


def _run(admin: Connection, *statements: str, **names: sql.Identifier) -> None:
    for statement in statements:
        admin.execute(sql.SQL(statement).format(**names))
