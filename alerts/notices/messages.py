"""A message as every channel writes it in its own form: frozen at the first attempt, the same at every later one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from alerts.notices.transitions import Kind
from telltale.lib.format import visible


class Stage(StrEnum):
    """What a message does to an alert that a receiver holds open."""

    OPEN = "open"  # open it, or say more about it
    SEEN = "seen"  # somebody is on it
    OVER = "over"  # close it
    NOTE = "note"  # a line beside it that changes nothing


@dataclass(frozen=True, slots=True)
class Line:
    """One fact below the headline."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told of one transition. All texts are one line, without control characters.

    `id` is the transition's, the same for every channel and attempt. `thread` names the trouble: receivers that hold
    alerts open find the one that a later message is about by it. `severity` None: of no incident. `url` is a whole
    address. `data` is what a signed webhook has beside the words.
    """

    id: UUID
    kind: Kind
    stage: Stage
    at: datetime
    project: str
    project_name: str
    severity: int | None
    ref: str
    thread: str
    headline: str
    summary: str
    lines: tuple[Line, ...]
    url: str
    link: str
    feature: str = ""
    metric: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All of it as plain text."""
        told = [self.headline, self.summary, *(f"{line.label}: {line.value}" for line in self.lines)]
        return "\n".join(part for part in (*told, f"{self.link}: {self.url}") if part)


def one_line(text: str, most: int) -> str:
    """`text` as one line of at most `most` characters: control and direction characters shown as marks."""
    flat = visible(" ".join(text.split()))
    return flat if len(flat) <= most else f"{flat[: most - 1].rstrip()}…"


def to_json(message: Message) -> dict[str, Any]:
    """The message as a row keeps it."""
    return {
        "id": str(message.id),
        "kind": message.kind.value,
        "stage": message.stage.value,
        "at": message.at.isoformat(),
        "project": message.project,
        "project_name": message.project_name,
        "severity": message.severity,
        "ref": message.ref,
        "thread": message.thread,
        "headline": message.headline,
        "summary": message.summary,
        "lines": [[line.label, line.value] for line in message.lines],
        "url": message.url,
        "link": message.link,
        "feature": message.feature,
        "metric": message.metric,
        "data": dict(message.data),
    }


def from_json(stored: Mapping[str, Any]) -> Message:
    """The message that `to_json` wrote down."""
    return Message(
        id=UUID(stored["id"]),
        kind=Kind(stored["kind"]),
        stage=Stage(stored["stage"]),
        at=datetime.fromisoformat(stored["at"]),
        project=stored["project"],
        project_name=stored["project_name"],
        severity=stored["severity"],
        ref=stored["ref"],
        thread=stored["thread"],
        headline=stored["headline"],
        summary=stored["summary"],
        lines=tuple(Line(label, value) for label, value in stored["lines"]),
        url=stored["url"],
        link=stored["link"],
        feature=stored["feature"],
        metric=stored["metric"],
        data=stored["data"],
    )
