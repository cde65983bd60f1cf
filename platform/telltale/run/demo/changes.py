"""What the shop's pipelines tell of its changes: deploys, a prompt, an index, the router's rules, an outage."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from telltale.run.demo.account import Address
from telltale.run.demo.shop import ask
from telltale.run.demo.story import RELEASES, Story

SERVICE = "shop-api"
# What else went on: days before the story's day, hour, and what the log says. None of it moved a number.
OTHERS: tuple[tuple[int, int, str, str, str, str, str, str], ...] = (
    (26, 9, "prompt", "product-search", "v9", "product-search", "prompt pipeline", "One alternative beside each."),
    (21, 13, "configuration", "search top_k", "5", "product-search", "Ines", "Was 4."),
    (19, 10, "configuration", "time-out of orders.lookup", "2 s", "order-status", "Noor", "Was 3 s."),
    (14, 11, "prompt", "sizing-advice", "v6", "sizing-advice", "prompt pipeline", "Size tables for shoes."),
    (12, 15, "note", "help desk", "", "", "Noor", "Opens at 08:00 on Saturdays."),
    (11, 9, "configuration", "machines of shop-api", "2", "", "Noor", "One was taken away."),
    (7, 14, "index", "catalogue", "2026.2", "product-search", "nightly build", "240 articles more."),
    (4, 10, "prompt", "checkout-help", "v2", "checkout-help", "prompt pipeline", "Never asks for card numbers."),
    (3, 16, "configuration", "router time-out", "800 ms", "", "Ines", "Was 1 s."),
    (1, 9, "note", "warehouse", "", "order-status", "Noor", "A day off: parcels leave a day later."),
    (0, 6, "configuration", "cache of answers", "24 h", "sizing-advice", "Noor", "Was 12 h."),
    (0, 7, "index", "sizes", "2026.4", "sizing-advice", "nightly build", "Two makers more."),
)


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
                note="Shorter: answers in two sentences. The line about never guessing a number of days is gone. "
                "On trial: one session in 25."),
        _change(story.day, "configuration", story.rolled_out_at, name="returns prompt", version="v18", previous="v17",
                feature="returns", author="Ines", note="v18 for all sessions; one in ten keeps v17 for comparison."),
        _change(story.day, "note", story.newsletter_at, name="newsletter", author="marketing",
                note="To all customers: presents can be given back until 31 January."),
        _change(story.day, "index", story.index_rebuilt_at, name="policies", feature="returns", author="nightly build",
                source="ci", note="Rebuilt; 38 passages fewer than before.", details={"passages_removed": 38}),
        _change(story.day, "configuration", story.rules_changed_at, name="router", version="r7", previous="r6",
                author="Ines", note="Long questions may go to gpt-4-turbo."),
        _change(story.day, "model", story.model_tried_at, name="order-status", version="mixtral-8x22b",
                feature="order-status", author="Ines", note="On trial, one request in ten."),
        _change(story.day, "provider", story.at(9, time(14)), name="anthropic", author="status page",
                ended_at=story.at(9, time(14, 50)).isoformat(), note="Overloaded: 529 for most calls."),
        *(
            _change(story.day, "index", story.at(nights, time(2)), name="policies", version=f"night {nights}",
                    feature="returns", author="nightly build", source="ci", note="Rebuilt; as many passages as before.")
            for nights in range(2, 26, 3)
        ),
        *(
            _change(story.day, kind, story.at(days, time(hour, 20)), name=name, version=version, feature=feature,
                    author=author, note=note)
            for days, hour, kind, name, version, feature, author, note in OTHERS
        ),
    ]  # fmt: skip


def _change(day: date, kind: str, at: datetime, **more: Any) -> dict[str, Any]:
    told = {"kind": kind, "at": at.isoformat(), **more}
    return {**told, "client_id": f"demo/{day}/{kind}/{more.get('name', '')}/{more.get('version', '')}"}
