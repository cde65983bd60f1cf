"""Microsoft Teams: a workflow ("When a Teams webhook request is received") takes a message with one adaptive card.

A message may have 28 KB; the workflow answers 202. Texts of a card know some Markdown: what came with data is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.notices.messages import Message
from alerts.notices.requests import Outgoing, json_request

_COLOURS = {0: "Attention", 1: "Attention", 2: "Warning", 3: "Default"}
_MARKDOWN = re.compile(r"([\\`*_\[\]])")


def escape(text: str) -> str:
    """Text that says in Markdown what it says."""
    return _MARKDOWN.sub(r"\\\1", text)


def request(message: Message, config: Mapping[str, Any], secret: Mapping[str, Any], at: datetime) -> Outgoing | None:
    """The request."""
    return json_request(secret["url"], payload(message), ref=str(message.id))


def payload(message: Message) -> dict[str, Any]:
    """The message as an adaptive card, with its one button."""
    colour = (
        "Good"
        if message.stage.value == "over"
        else _COLOURS.get(3 if message.severity is None else message.severity, "Default")
    )
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock", "text": escape(message.headline), "weight": "Bolder", "size": "Medium", "wrap": True,
            "style": "heading", "color": colour,
        }
    ]  # fmt: skip
    if message.summary:
        body.append({"type": "TextBlock", "text": escape(message.summary), "wrap": True})
    if message.lines:
        facts = [{"title": escape(line.label), "value": escape(line.value)} for line in message.lines]
        body.append({"type": "FactSet", "facts": facts})
    told = f"Telltale, {message.project_name}, {message.id}"
    body.append({"type": "TextBlock", "text": escape(told), "isSubtle": True, "size": "Small", "wrap": True})
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": message.link, "url": message.url}],
        "msteams": {"width": "Full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}
