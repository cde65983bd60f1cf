"""Channels, routes, silences and deliveries as answers have them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alerts.notices.messages import from_json
from alerts.read.notices import AttemptRow, ChannelRow, DeliveryRow, RouteRow, SettingsRow, SilenceRow
from telltale.rest.form import moment


def channel(row: ChannelRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "kind": row.kind.value,
        "to": row.config.get("to"),
        "host": row.config.get("host"),
        "url": row.config.get("url"),
        "secret_hint": row.hint or None,
        "is_on": row.is_on,
        "state": row.state,
        "waiting": row.waiting,
        "tested_at": moment(row.tested_at),
        "delivered_at": moment(row.delivered_at),
        "failing_since": moment(row.failing_since),
        "error": row.error or None,
        "paused_until": moment(row.paused_until),
        "created_by": row.created_by or None,
        "created_at": moment(row.created_at),
        "archived_at": moment(row.archived_at),
        "routes": [route(each) for each in row.routes],
    }


def route(row: RouteRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "channel": str(row.channel_id),
        "severities": list(row.severities),
        "features": list(row.features),
        "kinds": list(row.kinds),
        "hours": dict(row.hours) or None,
        "after_minutes": row.after_minutes,
        "is_on": row.is_on,
        "created_at": moment(row.created_at),
    }


def silence(row: SilenceRow, now: datetime) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "start_at": moment(row.start_at),
        "end_at": moment(row.end_at),
        "state": row.state(now),
        "monitors": [str(each) for each in row.matches.get("monitors", ())],
        "features": list(row.matches.get("features", ())),
        "severities": list(row.matches.get("severities", ())),
        "reason": row.reason,
        "created_by": row.created_by or None,
        "created_at": moment(row.created_at),
        "ended_at": moment(row.ended_at),
    }


def settings(row: SettingsRow) -> dict[str, Any]:
    return {
        "group_seconds": row.group_seconds,
        "repeat_minutes": row.repeat_minutes,
        "alive_url_set": bool(row.alive_hint),
        "alive_seconds": row.alive_seconds,
        "alive_at": moment(row.alive_at),
        "alive_error": row.alive_error or None,
    }


def delivery(row: DeliveryRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "message_id": str(row.transition_id),
        "kind": row.kind,
        "at": moment(row.at),
        "severity": row.severity,
        "incident": None if row.incident_number is None else f"INC-{row.incident_number}",
        "channel": None if row.channel_id is None else str(row.channel_id),
        "to": row.to or None,
        "state": row.state,
        "headline": row.headline or None,
        "attempts": row.attempts,
        "next_at": moment(row.next_at),
        "status": row.status,
        "error": row.error or None,
        "receiver_ref": row.ref or None,
        "created_at": moment(row.created_at),
        "ended_at": moment(row.ended_at),
    }


def one_delivery(row: DeliveryRow, log: list[AttemptRow]) -> dict[str, Any]:
    return {
        **delivery(row),
        "text": from_json(row.message).text if row.message else None,
        "log": [
            {
                "number": each.number,
                "at": moment(each.at),
                "seconds": each.seconds,
                "status": each.status,
                "error": each.error or None,
            }
            for each in log
        ],
    }
