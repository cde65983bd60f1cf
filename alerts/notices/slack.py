"""Slack: an incoming webhook takes {"text", "blocks"} and answers 200 "ok".

Limits: 150 characters of a header, 2,000 of a field, 10 fields of a section, 3,000 of its text. What came with data is
plain text, where nothing is a mention or a link; the one link is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.notices.messages import Message, one_line
from alerts.notices.requests import Outgoing, json_request

HEADER_MAX, TEXT_MAX, LINES_MAX = 150, 2_900, 10
_MARKS = {0: "🔴", 1: "🟠", 2: "🟡", 3: "⚪"}


def escape(text: str) -> str:
    """Text that says in mrkdwn what it says: Slack's three characters, as its documentation has it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def request(message: Message, config: Mapping[str, Any], secret: Mapping[str, Any], at: datetime) -> Outgoing | None:
    """The request."""
    return json_request(secret["url"], payload(message), ref=str(message.id))


def payload(message: Message) -> dict[str, Any]:
    """The message as blocks, and as the text of the notification."""
    lines = "\n".join(f"{line.label}: {line.value}" for line in message.lines[:LINES_MAX])
    parts = [message.summary, lines]
    link = f"<{escape(message.url).replace('|', '%7C')}|{escape(message.link)}>"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": one_line(_head(message), HEADER_MAX)}}
    ]
    blocks += [
        {"type": "section", "text": {"type": "plain_text", "text": part[:TEXT_MAX], "emoji": False}}
        for part in parts
        if part
    ]
    blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": link}})
    told = {"type": "plain_text", "text": f"Telltale, {message.project_name}, {message.id}"[:TEXT_MAX]}
    blocks.append({"type": "context", "elements": [told]})
    said = f"{_head(message)} {message.summary}".strip()
    return {"text": escape(said)[:TEXT_MAX], "blocks": blocks, "unfurl_links": False, "unfurl_media": False}


def _head(message: Message) -> str:
    mark = {"over": "🟢", "seen": "🔵"}.get(message.stage.value) or _MARKS.get(
        message.severity if message.severity is not None else 3, ""
    )
    return f"{mark} {message.headline}".strip()
