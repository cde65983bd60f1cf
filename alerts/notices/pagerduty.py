"""PagerDuty, Events API v2: one alert for each incident, by its dedup_key; acknowledged and resolved with it.

Limits: 1,024 characters of a summary, 255 of a dedup_key, 512 KB of a body. 202 is success. A trigger for an open alert
adds to its log and pages nobody anew; what has no action there (a step overdue, a series back within limits) is not
sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from alerts.notices.messages import Message, Stage
from alerts.notices.requests import Outgoing, json_request
from telltale.lib.format import iso

SUMMARY_MAX, KEY_MAX = 1_024, 255
SEVERITIES = {0: "critical", 1: "error", 2: "warning", 3: "info"}
ACTIONS = {Stage.OPEN: "trigger", Stage.SEEN: "acknowledge", Stage.OVER: "resolve"}


def request(message: Message, config: Mapping[str, Any], secret: Mapping[str, Any], at: datetime) -> Outgoing | None:
    """The request; None where PagerDuty has no action for what happened."""
    action = ACTIONS.get(message.stage)
    if action is None:
        return None
    body: dict[str, Any] = {
        "routing_key": secret["key"],
        "event_action": action,
        "dedup_key": message.thread[:KEY_MAX],
    }
    if message.stage is Stage.OPEN:
        body |= _trigger(message)
    return json_request(config["url"], body, ref=body["dedup_key"])


def _trigger(message: Message) -> dict[str, Any]:
    details = {line.label: line.value for line in message.lines}
    details |= {"What": message.summary, "Project": message.project_name, "Message": str(message.id)}
    payload: dict[str, Any] = {
        "summary": f"{message.headline}. {message.summary}".strip(" .")[:SUMMARY_MAX],
        "source": urlsplit(message.url).netloc or "telltale",
        "severity": SEVERITIES[1 if message.severity is None else message.severity],
        "timestamp": iso(message.at),
        "group": message.project,
        "custom_details": {name: value for name, value in details.items() if value},
    }
    if message.feature:
        payload["component"] = message.feature
    if message.metric:
        payload["class"] = message.metric
    return {
        "payload": payload,
        "links": [{"href": message.url, "text": message.link}],
        "client": "Telltale",
        "client_url": message.url,
    }
