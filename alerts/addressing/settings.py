"""How a project tells: how long it groups, how often it repeats, and the address that it pings while it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts.addressing import checks
from alerts.delivering import PURPOSE
from alerts.models import NoticeSettings
from alerts.notices.settings import (
    ALIVE_LEAST,
    ALIVE_MOST,
    GROUP_MOST,
    REPEAT_LEAST,
    REPEAT_MOST,
)
from telltale.audit.log import record_in
from telltale.lib import clock, vault
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project

FIELDS = ("group_seconds", "repeat_minutes", "alive_url", "alive_seconds")


def put(
    project: Project,
    told: Mapping[str, Any],
    *,
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> bool:
    """Set what is given; whether anything changed. An empty `alive_url` is pinged no more. ItemRefused."""
    faults: list[Fault] = []
    checks.unknown(told, FIELDS, faults)
    fields: dict[str, Any] = {}
    if "group_seconds" in told:
        fields["group_seconds"] = checks.number("group_seconds", told["group_seconds"], 0, GROUP_MOST, faults)
    if "repeat_minutes" in told:
        every = told["repeat_minutes"]
        fields["repeat_minutes"] = (
            None if every is None else checks.number("repeat_minutes", every, REPEAT_LEAST, REPEAT_MOST, faults)
        )
    if "alive_seconds" in told:
        fields["alive_seconds"] = checks.number("alive_seconds", told["alive_seconds"], ALIVE_LEAST, ALIVE_MOST, faults)
    if "alive_url" in told:
        url = told["alive_url"]
        is_none = isinstance(url, str) and not url.strip()
        sealed = "" if is_none else vault.seal(PURPOSE, checks.address("alive_url", url, faults, is_secret=True))
        fields |= {"alive_url": sealed, "alive_at": None, "alive_error": "", "alive_due_at": clock.now()}
    if faults:
        raise ItemRefused(*faults)
    with transaction.atomic():
        NoticeSettings.objects.get_or_create(project=project)
        row = NoticeSettings.objects.select_for_update(no_key=True).get(project=project)
        before = _said(row)
        for name, value in fields.items():
            setattr(row, name, value)
        after = _said(row) | ({"alive_url": "entered"} if fields.get("alive_url") else {})
        if before == after:
            return False
        row.changed_by_id = by_id
        row.save()
        record_in(project, "notices.settings", "notices", request=request, actor=actor, before=before, after=after)
    return True


def _said(row: NoticeSettings) -> dict[str, Any]:
    """The settings as the audit log keeps them: no address, which is a secret."""
    return {
        "group_seconds": row.group_seconds,
        "repeat_minutes": row.repeat_minutes,
        "alive_seconds": row.alive_seconds,
        "alive_url": "set" if row.alive_url else "none",
    }
