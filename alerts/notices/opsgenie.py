"""Opsgenie, Alert API v2, and what speaks as it does: one alert for each incident, by its alias.

POST /v2/alerts creates it, …/{alias}/acknowledge, /close and /notes with ?identifierType=alias go on with it; 202 is
success. Limits: 130 characters of a message, 512 of an alias, 15,000 of a description, 8,000 of the details, 100 of a
source. An alias that is open counts one more and pages nobody anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from alerts.notices.messages import Message, Stage, one_line
from alerts.notices.requests import Outgoing, json_request

MESSAGE_MAX, ALIAS_MAX, DESCRIPTION_MAX, DETAIL_MAX, NOTE_MAX = 130, 512, 15_000, 500, 25_000
PRIORITIES = {0: "P1", 1: "P2", 2: "P3", 3: "P4"}
ACTIONS = {Stage.SEEN: "acknowledge", Stage.OVER: "close", Stage.NOTE: "notes"}


def request(message: Message, config: Mapping[str, Any], secret: Mapping[str, Any], at: datetime) -> Outgoing | None:
    """The request."""
    alias, base = message.thread[:ALIAS_MAX], f"{config['url'].rstrip('/')}/v2/alerts"
    key = f"GenieKey {secret['key']}"
    if message.stage is Stage.OPEN:
        return json_request(base, _alert(message, alias), ref=alias, Authorization=key)
    note = f"{message.headline}. {message.summary} {message.url}"[:NOTE_MAX]
    url = f"{base}/{quote(alias, safe='')}/{ACTIONS[message.stage]}?identifierType=alias"
    return json_request(url, {"source": "Telltale", "note": note}, ref=alias, Authorization=key)


def _alert(message: Message, alias: str) -> dict[str, Any]:
    lines = [message.summary, *(f"{line.label}: {line.value}" for line in message.lines), message.url]
    details = {line.label: line.value[:DETAIL_MAX] for line in message.lines[:8]}
    body: dict[str, Any] = {
        "message": one_line(message.headline, MESSAGE_MAX),
        "alias": alias,
        "description": "\n".join(line for line in lines if line)[:DESCRIPTION_MAX],
        "details": {**details, "url": message.url, "message": str(message.id)},
        "entity": one_line(message.feature or message.project_name, 100),
        "source": "Telltale",
        "tags": [tag for tag in (message.ref, message.metric[:50]) if tag],
    }
    if message.severity is not None:
        body["priority"] = PRIORITIES[message.severity]
    return body
