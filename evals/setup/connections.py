"""Connections: the model endpoints that judges and experiments may call. Keys are sealed, hinted at, never shown."""

from __future__ import annotations

import re
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.calling.kinds import KINDS
from evals.models import Connection
from evals.read import setup as read
from evals.read.setup import KEY_PURPOSE, ConnectionView
from evals.setup.refusals import NotThere, SetupRefused, clean_name, whole
from evals.write import setup as write
from telltale.audit.log import record_in
from telltale.lib import clock, egress, vault
from telltale.projects.models import Project

CONNECTIONS_MAX = 20
NAME_CHARS_MAX = 80
KEY_CHARS_MAX = 1000
TIMEOUT_MIN, TIMEOUT_MAX = 1.0, 300.0
CALLS_A_MINUTE_MAX = 100_000
AT_A_TIME_MAX = 64
# Ten dollars a token: whoever types more has typed dollars per million tokens a million times over.
PICO_MAX = 10 * 10**12
_KEY = re.compile(r"[\x21-\x7e]+\Z")
CHANGEABLE = (
    "name", "kind", "base_url", "key", "timeout_seconds", "calls_a_minute", "at_a_time", "input_pico", "output_pico",
    "is_stand_in",
)  # fmt: skip


def add_connection(
    project: Project,
    *,
    name: str,
    kind: str,
    base_url: str,
    key: str = "",
    timeout_seconds: float = 60.0,
    calls_a_minute: int | None = None,
    at_a_time: int = 4,
    input_pico: int | None = None,
    output_pico: int | None = None,
    is_stand_in: bool = False,
    by_id: int | None = None,
    request: HttpRequest | None = None,
) -> ConnectionView:
    """Set up a connection. Prices are pico-dollars a token, None where the price book is asked. SetupRefused."""
    values = _checked(
        {
            "name": name, "kind": kind, "base_url": base_url, "timeout_seconds": timeout_seconds,
            "calls_a_minute": calls_a_minute, "at_a_time": at_a_time, "input_pico": input_pico,
            "output_pico": output_pico, "is_stand_in": is_stand_in,
        }
    )  # fmt: skip
    values |= _sealed(key)
    with transaction.atomic():
        write.lock_project(project.pk)
        _has_room(project)
        try:
            connection_id = write.add_connection(project.pk, values | {"created_by_id": by_id})
        except write.NameTaken:
            raise _taken(values["name"]) from None
        made = _found(project, connection_id)
        record_in(project, "connection.add", made.name, request=request, after=_told(made))
    return made


def change_connection(
    project: Project, connection_id: int, *, request: HttpRequest | None = None, **changes: Any
) -> ConnectionView:
    """Change the named fields of a connection (CHANGEABLE); `key` "" forgets it, absent keeps it.

    A key goes only to the host it was entered for: another host without a new key has none. SetupRefused, NotThere.
    """
    key = changes.pop("key", None)
    with transaction.atomic():
        row = write.lock_connection(project.pk, connection_id)
        if row is None:
            raise NotThere
        before = _found(project, connection_id)
        fields = [field for field in CHANGEABLE if field != "key"]
        values = _checked({field: changes.get(field, getattr(row, field)) for field in fields})
        is_elsewhere = egress.parse_url(row.base_url).origin != egress.parse_url(values["base_url"]).origin
        if key is not None or is_elsewhere:
            values |= _sealed(key or "")
        # What was wrong may be right now: try at once.
        values |= {"paused_until": None, "paused_reason": "", "failures": 0}
        try:
            write.change_connection(connection_id, values)
        except write.NameTaken:
            raise _taken(values["name"]) from None
        after = _found(project, connection_id)
        told = _told(after) | ({"key_entered": True} if key else {})
        if told != _told(before):
            record_in(project, "connection.change", after.name, request=request, before=_told(before), after=told)
    return after


def archive_connection(
    project: Project, connection_id: int, *, is_archived: bool = True, request: HttpRequest | None = None
) -> ConnectionView:
    """Put a connection away, which forgets its key, or take it back; refused while a live judge uses it. NotThere."""
    with transaction.atomic():
        row = write.lock_connection(project.pk, connection_id)
        if row is None:
            raise NotThere
        if (row.archived_at is not None) == is_archived:
            return _found(project, connection_id)
        if is_archived:
            users = [
                judge.name
                for judge in read.list_judges(project.pk)
                if judge.live is not None and judge.live.connection_id == connection_id
            ]
            if users:
                raise SetupRefused("connection", f"is used by {', '.join(users[:5])}, in production", "no live judge")
            write.change_connection(connection_id, {"archived_at": clock.now(), **_sealed("")})
        else:
            write.lock_project(project.pk)
            _has_room(project, "is_archived")
            write.change_connection(connection_id, {"archived_at": None})
        action = "connection.archive" if is_archived else "connection.restore"
        record_in(project, action, row.name, request=request)
    return _found(project, connection_id)


def _has_room(project: Project, field: str = "name") -> None:
    """SetupRefused where the project has as many connections as it may use."""
    if Connection.objects.filter(project=project, archived_at=None).count() >= CONNECTIONS_MAX:
        raise SetupRefused(field, "is one too many", f"{CONNECTIONS_MAX} connections in a project")


def _found(project: Project, connection_id: int) -> ConnectionView:
    found = read.get_connection(project.pk, connection_id)
    if found is None:
        raise NotThere
    return found


def _taken(name: str) -> SetupRefused:
    return SetupRefused("name", "is another connection’s name already", value=name)


def _sealed(key: str) -> dict[str, Any]:
    """The columns of a key; those of none where it is empty."""
    text = key.strip()
    if not text:
        return {"sealed_key": "", "key_hint": ""}
    if len(text) > KEY_CHARS_MAX:
        raise SetupRefused("key", "is too long", f"{KEY_CHARS_MAX} characters", f"{len(text)} characters")
    if not _KEY.match(text):
        raise SetupRefused("key", "holds characters that no key has", "visible ASCII without spaces")
    return {"sealed_key": vault.seal(KEY_PURPOSE, text), "key_hint": vault.hint(text)}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """The columns of a connection but its key, clean; SetupRefused."""
    name = clean_name("name", values["name"], NAME_CHARS_MAX)
    if values["kind"] not in KINDS:
        raise SetupRefused("kind", "is not known", f"one of {', '.join(KINDS)}", str(values["kind"])[:60])
    seconds = values["timeout_seconds"]
    if not TIMEOUT_MIN <= seconds <= TIMEOUT_MAX:
        limit = f"{TIMEOUT_MIN:g} to {TIMEOUT_MAX:g} seconds"
        raise SetupRefused("timeout_seconds", "is out of range", limit, f"{seconds:g}")
    whole("calls_a_minute", values["calls_a_minute"], 1, CALLS_A_MINUTE_MAX)
    whole("at_a_time", values["at_a_time"], 1, AT_A_TIME_MAX)
    for field in ("input_pico", "output_pico"):
        pico = values[field]
        if pico is not None and not 0 <= pico <= PICO_MAX:
            raise SetupRefused(field, "is out of range", "0 to 10 USD a token")
    if (values["input_pico"] is None) != (values["output_pico"] is None):
        field = "input_pico" if values["input_pico"] is None else "output_pico"
        raise SetupRefused(field, "is missing: a price has both parts, or neither to ask the price book")
    return values | {"name": name, "base_url": _address(values["base_url"])}


def _address(url: str) -> str:
    """The base address as it is kept; SetupRefused where requests could not go there."""
    text = url.strip().rstrip("/")
    try:
        place = egress.parse_url(text)
        egress.check(text)
    except egress.Refused as refused:
        raise SetupRefused("base_url", str(refused), refused.rule, text[:200]) from None
    if "?" in place.path:
        raise SetupRefused("base_url", "must have no query", "an address such as https://api.example.com/v1")
    return text


def _told(view: ConnectionView) -> dict[str, Any]:
    """What the audit log keeps of a connection."""
    return {
        "name": view.name,
        "kind": view.kind,
        "base_url": view.base_url,
        "key": view.key_hint,
        "timeout_seconds": view.timeout_seconds,
        "calls_a_minute": view.calls_a_minute,
        "at_a_time": view.at_a_time,
        "input_pico": view.input_pico,
        "output_pico": view.output_pico,
        "is_stand_in": view.is_stand_in,
    }
