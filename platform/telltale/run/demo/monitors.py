"""What the shop watches: monitors made through the public address, once its traffic is there to be learned from.

Those of returns wait for what comes late until the story's first hour of the new prompt is over by just that: what they
find there is the first thing that they decide live.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from telltale.run.demo.account import Address
from telltale.run.demo.judging import CHECKS, QUALITY
from telltale.run.demo.shop import ask
from telltale.run.demo.story import Story
from telltale.run.demo.texts import FEATURES

# Longer is no waiting for stragglers any more: the demo was filled again after its project was made.
LATENESS_MOST = timedelta(hours=3)
# Until the monitors are made and have replayed what was before.
LEAD = timedelta(seconds=40)
WORSE = "Answers about returns got worse"
_PRODUCTION = {"environment": ["production"]}
_RETURNS = {"feature": ["returns"], **_PRODUCTION}
_OTHER_FEATURES = [feature for feature in FEATURES if feature != "returns"]
_OTHERS = {"feature": _OTHER_FEATURES, **_PRODUCTION}
_FIGURES = {"judge": CHECKS, "criterion": "figures_known"}
# What `POST /api/v1/monitors` reads. These look where prompt v18 went out, hour by hour.
RETURNS: tuple[dict[str, Any], ...] = (
    {"name": "Unsupported figures about returns", "metric": "hallucination", "scope": _RETURNS, "params": _FIGURES,
     "direction": "up", "severity": "P1"},
    {"name": "Corrections about returns", "metric": "corrected", "scope": {"feature": ["returns"]}, "direction": "up",
     "severity": "P2"},
    {"name": "Retries about returns", "metric": "retried", "scope": {"feature": ["returns"]}, "direction": "up",
     "severity": "P2"},
    # Half of these are one word by which a router sends a question on: evidence, and no reason to call anybody.
    {"name": "Length of answers about returns", "metric": "response_length",
     "scope": {"prompt_name": ["returns"], **_PRODUCTION}, "params": {"quantile": 0.5}, "direction": "both",
     "severity": "P2", "tier": "notice"},
)  # fmt: skip
# With a judge that a stand-in plays: what it says of the answers that the new prompt spoils.
JUDGED: tuple[dict[str, Any], ...] = (
    {"name": "Wrong answers about returns", "metric": "low_scores", "scope": {"feature": ["returns"]},
     "params": {"judge": QUALITY, "criterion": "correctness", "at_most": 2}, "direction": "up", "severity": "P1"},
    {"name": "Correctness of answers about returns", "metric": "score", "scope": {"feature": ["returns"]},
     "params": {"judge": QUALITY, "criterion": "correctness"}, "direction": "down", "severity": "P1"},
)  # fmt: skip
# These look at everything else, where nothing happens.
ELSEWHERE: tuple[dict[str, Any], ...] = (
    {"name": "Unsupported figures, all but returns", "metric": "hallucination", "scope": _OTHERS, "params": _FIGURES,
     "direction": "up", "severity": "P1"},
    {"name": "Corrections, all but returns", "metric": "corrected", "scope": {"feature": _OTHER_FEATURES},
     "direction": "up", "window_minutes": 360, "severity": "P2"},
    {"preset": "errors-chart", "name": "Errors, all but returns", "window_minutes": 60, "scope": _OTHERS},
    {"preset": "duration-chart", "name": "Duration, all but returns", "window_minutes": 60, "scope": _OTHERS},
    {"preset": "spend-chart", "name": "Spend by the hour, all but returns", "scope": _OTHERS},
    {"preset": "abandoned-chart", "name": "Abandoned sessions, all but returns", "window_minutes": 1440,
     "scope": {"feature": _OTHER_FEATURES}},
    # Nobody sends once the demo is told: this one says so, and calls nobody.
    {"preset": "requests-chart", "name": "Requests and silence, all but returns", "window_minutes": 60,
     "scope": _OTHERS, "tier": "notice"},
    {"preset": "errors-1", "name": "Errors over 1 %", "window_minutes": 60, "scope": _PRODUCTION, "tier": "notice"},
    {"preset": "ttft-p95-500ms", "name": "First token: p95 over 500 ms", "window_minutes": 60, "scope": _PRODUCTION,
     "tier": "notice"},
)  # fmt: skip


def define_monitors(address: Address, story: Story, now: datetime, *, is_judged: bool) -> int:
    """Make the monitors that are not there under their names; how many are there then. SendError."""
    timing = timing_of(story, now)
    members = [{**told, "window_minutes": 60, **timing} for told in (*RETURNS, *(JUDGED if is_judged else ()))]
    ids = [_ensure(address, told) for told in (*members, *ELSEWHERE)]
    _ensure(address, {**worse(ids[: len(members)]), **timing})
    return len(ids) + 1


def timing_of(story: Story, now: datetime) -> dict[str, int]:
    """How long charts wait for what comes late, so that the story's hour closes soon after `now`; none for too long."""
    waits = now + LEAD - story.found_at
    if not timedelta(0) < waits <= LATENESS_MOST:
        return {}
    return {"lateness_minutes": math.ceil(waits / timedelta(minutes=1))}


def worse(members: Iterable[int]) -> dict[str, Any]:
    """Three charts of returns that alarm within a few hours: one of them may be chance, three are not."""
    return {
        "name": WORSE, "method": "composite", "severity": "P1", "window_minutes": 60,
        "composite": {"members": [{"monitor": each} for each in members], "least": 3, "within_minutes": 360},
    }  # fmt: skip


def _ensure(address: Address, told: dict[str, Any]) -> int:
    """The id of the monitor of that name, made where there is none."""
    found = ask(address, "GET", f"/api/v1/monitors?limit=500&q={quote(told['name'])}", None)
    there = [int(item["id"]) for item in found["items"] if item["name"] == told["name"]]
    return there[0] if there else int(ask(address, "POST", "/api/v1/monitors", told)["id"])
