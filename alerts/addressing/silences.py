"""Silences as people set them up: nobody is told of what matches for a while; incidents open all the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts.addressing import NotThere, checks
from alerts.models import Delivery, Monitor, Silence
from alerts.notices.settings import MONITORS_MAX, REASON_MAX, SILENCE_MOST_DAYS, SILENCES_MAX
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.masks import mask_text

FIELDS = ("start_at", "end_at", "monitors", "features", "severities", "reason")


def add(
    project: Project,
    told: Mapping[str, Any],
    *,
    by_id: int | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> int:
    """The id of a new silence: from `start_at` (now) until `end_at`; nothing named is everything. ItemRefused."""
    now, faults = clock.now(), list[Fault]()
    checks.unknown(told, FIELDS, faults)
    reason = checks.name(told.get("reason"), REASON_MAX, faults, "reason")
    start = checks.moment("start_at", told["start_at"], faults) if told.get("start_at") is not None else now
    end = checks.moment("end_at", told.get("end_at"), faults)
    most = timedelta(days=SILENCE_MOST_DAYS)
    if start is not None and end is not None:
        if end <= max(start, now):
            faults.append(Fault("end_at", "is past, or not after the start", "a time to come", end.isoformat()))
        elif end - max(start, now) > most or start > now + most:
            limit = f"within {SILENCE_MOST_DAYS} days"
            faults.append(Fault("end_at", "is too far off", limit, end.isoformat()))
    matches: dict[str, Any] = {}
    if told.get("severities"):
        matches["severities"] = checks.severities(told["severities"], faults)
    if told.get("features"):
        matches["features"] = checks.features(told["features"], faults)
    if told.get("monitors"):
        matches["monitors"] = _monitors(project, told["monitors"], faults)
    if faults or start is None or end is None:
        raise ItemRefused(*faults)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        if Silence.objects.filter(project=project, end_at__gt=now, ended_at=None).count() >= SILENCES_MAX:
            raise ItemRefused(Fault("reason", "is one silence too many: end another one", f"{SILENCES_MAX}"))
        row = Silence.objects.create(
            project=project, start_at=start, end_at=end, matches=matches,
            reason=mask_text(project.pk, reason)[:REASON_MAX], created_by_id=by_id,
        )
        _record(project, "silence.add", row, request, actor)
    return row.pk


def end(project: Project, silence_id: int, *, request: HttpRequest | None = None, actor: str = "") -> bool:
    """End a silence now; False where it is over. What it held back and still goes on is told. NotThere."""
    now = clock.now()
    with transaction.atomic():
        row = Silence.objects.select_for_update(no_key=True).filter(project=project, pk=silence_id).first()
        if row is None:
            raise NotThere
        if row.ended_at is not None or row.end_at <= now:
            return False
        row.ended_at = now
        row.save(update_fields=["ended_at"])
        Delivery.objects.filter(project=project, state="silenced", ended_at=None).update(next_at=now)
        _record(project, "silence.end", row, request, actor)
    return True


def _monitors(project: Project, told: Any, faults: list[Fault]) -> list[int]:
    limit = f"ids of at most {MONITORS_MAX} monitors of this project"
    is_list = isinstance(told, list) and all(type(each) is int and 0 < each < 2**63 for each in told)
    if not is_list or len(told) > MONITORS_MAX:
        faults.append(Fault("monitors", "is not accepted", limit, checks.shown(told)))
        return []
    there = set(Monitor.objects.filter(project=project, pk__in=told).values_list("pk", flat=True))
    gone = [each for each in told if each not in there]
    if gone:
        faults.append(Fault("monitors", "names what is no monitor here", limit, gone[0]))
    return sorted(there)


def _record(project: Project, action: str, row: Silence, request: HttpRequest | None, actor: str) -> None:
    after = {"start_at": row.start_at.isoformat(), "end_at": row.end_at.isoformat(), "reason": row.reason}
    record_in(
        project, action, f"silence {row.pk}", request=request, actor=actor, after={**after, "matches": row.matches}
    )  # fmt: skip
