"""A message as a mail: plain text and HTML that say the same, in one thread for each incident."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from alerts.notices.messages import Message, one_line

SUBJECT_MAX = 180


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail. `headers` hold no line breaks: every text of a message is one line."""

    subject: str
    text: str
    html: str
    headers: Mapping[str, str]


def write(message: Message, delivery_id: int, domain: str) -> Mail:
    """The mail. Its Message-ID is the same at every attempt, so that servers and readers know a repeat."""
    thread = f"<{message.thread}@{domain}>"
    headers = {
        "Message-ID": f"<{message.id}.{delivery_id}@{domain}>",
        "References": thread,
        "In-Reply-To": thread,
        "Auto-Submitted": "auto-generated",
        "X-Telltale-Id": str(message.id),
    }
    foot = f"Sent by Telltale for the project {message.project_name}. Message {message.id}."
    lines = [f"{line.label}: {line.value}" for line in message.lines]
    parts = [message.headline, message.summary, "\n".join(lines), f"{message.link}: {message.url}", f"-- \n{foot}"]
    return Mail(
        one_line(f"[{message.project_name}] {message.headline}", SUBJECT_MAX),
        "\n\n".join(part for part in parts if part) + "\n",
        _html(message, foot),
        headers,
    )


def _html(message: Message, foot: str) -> str:
    rows = "".join(
        f'<tr><th align="left" valign="top" style="padding:2px 12px 2px 0;font-weight:600">{escape(line.label)}</th>'
        f'<td style="padding:2px 0">{escape(line.value)}</td></tr>'
        for line in message.lines
    )
    return (
        '<!doctype html><html lang="en"><body style="font-family:sans-serif;font-size:15px;line-height:1.5">'
        f'<h1 style="font-size:18px;margin:0 0 8px">{escape(message.headline)}</h1>'
        f"<p>{escape(message.summary)}</p>"
        f'<table cellspacing="0" cellpadding="0" style="font-size:14px">{rows}</table>'
        f'<p><a href="{escape(message.url)}">{escape(message.link)}</a></p>'
        f'<p style="color:#666;font-size:12px">{escape(foot)}</p></body></html>'
    )
