"""What an archive holds: every table that leads to the project, but for those named here with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from django.db import transaction
from psycopg import sql

from telltale.lib.db import raw_cursor
from telltale.lib.rows import Table, list_tables

FORMAT = 1

# Made from what the archive holds, and made again where it is read in.
_DERIVED = (
    "traces_feed", "traces_ledger", "traces_rollup_state", "traces_rollup_aside", "traces_behaviour_due",
    "traces_behaviour_state", "traces_sighting_state", "traces_search_block", "traces_search_doc",
    "traces_search_segment", "traces_search_state", "evals_day_built", "evals_day_stale", "alerts_vector",
)  # fmt: skip
# Work under way: it is this installation's.
_WORK = (
    "traces_forward_queue", "traces_watch", "traces_meter", "evals_candidate", "evals_flagged", "evals_feedback",
    "evals_told_signal", "evals_call_pace", "alerts_drift_due", "jobs_job", "web_archive", "web_archivechunk",
    "web_archivetrace", "web_importedid", "projects_retentionday", "projects_storedsize",
)  # fmt: skip
# Credentials, and what only means something beside a key that never leaves.
_SECRET = (
    "projects_apikey", "projects_invitation", "traces_maskkey", "traces_erased", "web_erasure", "web_erasurename",
    "web_erasuretrace",
)  # fmt: skip
LEFT_OUT: dict[str, str] = (
    dict.fromkeys(_DERIVED, "made from the rest")
    | dict.fromkeys(_WORK, "work under way")
    | dict.fromkeys(_SECRET, "credentials and keyed hashes")
)
SECRET_COLUMNS = frozenset(
    {
        ("alerts_channel", "secret"), ("alerts_channel", "hint"), ("alerts_noticesettings", "alive_url"),
        ("evals_connection", "sealed_key"), ("evals_connection", "key_hint"), ("evals_samplingplan", "salt"),
        ("evals_backfill", "salt"), ("traces_forwardtarget", "sealed_headers"),
        ("traces_forwardtarget", "header_hints"),
    }
)  # fmt: skip
# Read together, slice by slice of traces in one snapshot, so that a trace and its spans always agree.
TRACE_TABLES = ("traces_trace", "traces_span", "traces_payload", "traces_span_log", "traces_comment", "traces_label")
# Compressed columns that are written as what they hold: column, the name it gets, whether it holds JSON.
PACKED: dict[str, tuple[str, str, bool]] = {
    "traces_payload": ("data", "bodies", True),
    "traces_span_log": ("data", "body", True),
    "evals_judgement": ("answer", "answer_text", False),
}
# By these columns a row is of a user, or of one of that user's traces.
_USER_COLUMNS = ("user_id", "author")
_TRACE_COLUMNS = ("trace_id", "origin_trace_id", "target_id")

_KEYS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_index AS i
    JOIN pg_class AS c ON c.oid = i.indrelid
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (att, place)
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.att
    WHERE i.indisprimary AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND c.relnamespace = current_schema()::regnamespace
    ORDER BY c.relname, k.place
"""


@dataclass(frozen=True, slots=True)
class Source:
    """One table of an archive: its columns, and its key without the project, as (column, type)."""

    table: Table
    columns: tuple[str, ...]
    key: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """The table's name."""
        return self.table.name

    def of_user(self, project_id: int, archive_id: int, user: str) -> sql.Composable | None:
        """The condition that a row is the user's; None where no column tells."""
        told: list[sql.Composable] = []
        texts = {column.name for column in self.table.of_kinds("text")}
        told += [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(user))
            for name in _USER_COLUMNS
            if name in texts
        ]
        uuids = {column.name for column in self.table.of_kinds("uuid")}
        told += [
            sql.SQL("{} IN (SELECT trace_id FROM web_archivetrace WHERE archive_id = {})").format(
                sql.Identifier(name), sql.Literal(archive_id)
            )
            for name in _TRACE_COLUMNS
            if name in uuids
        ]
        if "session_id" in texts:
            told.append(
                sql.SQL(
                    "session_id IN (SELECT session_id FROM traces_session WHERE project_id = {} AND user_id = {})"
                ).format(sql.Literal(project_id), sql.Literal(user))
            )
        own = self.table.of_project(project_id)
        if not told or own is None:
            return None
        return sql.SQL("{} AND ({})").format(own, sql.SQL(" OR ").join(told))


@lru_cache(maxsize=1)
def list_sources() -> tuple[Source, ...]:
    """Every table of an archive, those of traces first, then by name."""
    with transaction.atomic(), raw_cursor() as cursor:
        tables = list_tables(cursor)
        cursor.execute(_KEYS)
        keys: dict[str, list[tuple[str, str]]] = {}
        for table, column, kind in cursor.fetchall():
            keys.setdefault(table, []).append((column, kind))
    found = [
        Source(
            table,
            tuple(column.name for column in table.columns if (table.name, column.name) not in SECRET_COLUMNS),
            tuple(pair for pair in keys[table.name] if pair[0] != "project_id" or len(keys[table.name]) == 1),
        )
        for table in tables
        if table.own is not None and table.name not in LEFT_OUT and table.name in keys
    ]
    order = {name: place for place, name in enumerate(TRACE_TABLES)}
    return tuple(sorted(found, key=lambda source: (order.get(source.name, len(order)), source.name)))
