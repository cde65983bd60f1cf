"""What the shop watches: monitors made through the public address, once its traffic is there to be learned from."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from telltale.run.demo.account import Address
from telltale.run.demo.judging import QUALITY
from telltale.run.demo.shop import ask

_PRODUCTION = {"environment": ["production"]}
_RETURNS = {"feature": ["returns"], "environment": ["production"]}
# What `POST /api/v1/monitors` reads. These look where prompt v18 went out.
RETURNS: tuple[dict[str, Any], ...] = (
    {"name": "Length of answers about returns", "metric": "response_length", "scope": _RETURNS, "direction": "both",
     "window_minutes": 120, "severity": "P2"},
    {"name": "Cost of an answer about returns", "metric": "cost_per_request", "scope": _RETURNS, "direction": "both",
     "window_minutes": 360, "severity": "P2"},
    {"name": "Retries about returns", "metric": "retried", "scope": {"feature": ["returns"]}, "direction": "up",
     "window_minutes": 1440, "severity": "P2"},
)  # fmt: skip
EVERYWHERE: tuple[dict[str, Any], ...] = (
    {"preset": "errors-chart", "name": "Errors", "window_minutes": 60, "scope": _PRODUCTION},
    {"preset": "duration-chart", "name": "Duration of requests", "window_minutes": 60, "scope": _PRODUCTION},
    {"preset": "requests-chart", "name": "Requests and silence", "window_minutes": 60, "scope": _PRODUCTION},
    {"preset": "spend-chart", "name": "Spend by the hour"},
    {"preset": "abandoned-chart", "name": "Abandoned sessions", "window_minutes": 1440},
    {"preset": "errors-1", "name": "Errors over 1 %", "window_minutes": 60, "scope": _PRODUCTION, "tier": "notice"},
    {
        "preset": "ttft-p95-500ms",
        "name": "First token: p95 over 500 ms",
        "window_minutes": 60,
        "scope": _PRODUCTION,
        "tier": "notice",
    },
)
# With a judge that a stand-in plays: what it says of the answers that the new prompt spoils.
JUDGED: tuple[dict[str, Any], ...] = (
    {"name": "Correctness of answers about returns", "metric": "score", "scope": {"feature": ["returns"]},
     "params": {"judge": QUALITY, "criterion": "correctness"}, "direction": "down", "window_minutes": 360,
     "severity": "P1"},
)  # fmt: skip


def define_monitors(address: Address, *, is_judged: bool) -> int:
    """Make the monitors that are not there under their names; how many are there then. SendError."""
    wanted = (*RETURNS, *(JUDGED if is_judged else ()), *EVERYWHERE)
    for told in wanted:
        found = ask(address, "GET", f"/api/v1/monitors?limit=500&q={quote(told['name'])}", None)
        if told["name"] not in {item["name"] for item in found["items"]}:
            ask(address, "POST", "/api/v1/monitors", told)
    return len(wanted)
