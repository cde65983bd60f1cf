"""What the shop's pipelines tell of its changes: deploys, a prompt, an index, the router's rules, an outage."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from telltale.run.demo.account import Address
from telltale.run.demo.shop import ask
from telltale.run.demo.story import RELEASES, Story

SERVICE = "shop-api"


def tell_changes(address: Address, story: Story, days: int, now: datetime) -> int:
    """Tell of every change of the `days` days until `now`, each once by its id; how many. SendError."""
    since = datetime.combine(now.date() - timedelta(days=days - 1), time(), now.tzinfo)
    told = [change for change in make_changes(story) if since <= datetime.fromisoformat(change["at"]) <= now]
    if told:
        ask(address, "POST", "/api/v1/changes", told)
    return len(told)


def make_changes(story: Story) -> list[dict[str, Any]]:
    """The story's changes as the address of changes takes them. The prompt is the one that spoils answers."""
    made = [
        _change(story.day, "deploy", story.at(days, moment), version=version, previous=before, service=SERVICE,
                environment="production", author="release pipeline", source="ci")
        for (_, _, before), (days, moment, version) in pairwise(RELEASES)
    ]  # fmt: skip
    return [
        *made,
        _change(story.day, "prompt", story.prompt_changed_at, name="returns", version="v18", previous="v17",
                feature="returns", author="prompt pipeline", source="ci",
                note="Shorter: answers in two sentences. The line about never guessing a number of days is gone."),
        _change(story.day, "index", story.index_rebuilt_at, name="policies", feature="returns", author="nightly build",
                source="ci", note="Rebuilt; 38 passages fewer than before.", details={"passages_removed": 38}),
        _change(story.day, "configuration", story.rules_changed_at, name="router", version="r7", previous="r6",
                author="Ines", note="Long questions may go to gpt-4-turbo."),
        _change(story.day, "model", story.model_tried_at, name="order-status", version="mixtral-8x22b",
                feature="order-status", author="Ines", note="On trial, one request in ten."),
        _change(story.day, "provider", story.at(9, time(14)), name="anthropic", author="status page",
                ended_at=story.at(9, time(14, 50)).isoformat(), note="Overloaded: 529 for most calls."),
    ]  # fmt: skip


def _change(day: date, kind: str, at: datetime, **more: Any) -> dict[str, Any]:
    told = {"kind": kind, "at": at.isoformat(), **more}
    return {**told, "client_id": f"demo/{day}/{kind}/{more.get('name', '')}/{more.get('version', '')}"}
