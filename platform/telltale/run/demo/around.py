"""What stands around the demo's monitors: what it may cost, a suite of probes, and where people are told.

Budgets and probes are made through REST, as anybody would. The channel is an administrator's and the demo's key is
none, so it is made by the function that the page calls. Made again, nothing changes but the stand-in's address.
"""

from __future__ import annotations

from typing import Any

from alerts.addressing import channels
from alerts.read.notices import list_channels
from telltale.lib.faults import ItemRefused
from telltale.projects.models import Project
from telltale.run.demo.account import Address
from telltale.run.demo.judging import ACTOR, CONNECTION
from telltale.run.demo.shop import ask
from telltale.run.stand_in import MODEL, NOTICES

# What a trace of the demo costs on average (22.24 USD for 7,982 traces of four weeks), and those of returns of all.
TRACE_USD, RETURNS_SHARE = 0.0028, 0.40
MONTH_DAYS = 31
SUITE, CHANNEL = "Stand-in every day", "On call (stand-in)"
# Those whose answers the stand-in knows by heart.
PRESETS = ("format-json-001", "instruction-001", "arithmetic-001", "classification-001")


def budgets_of(traces_a_day: float) -> tuple[dict[str, Any], ...]:
    """Budgets that fit the traffic: a comfortable one, one that returns will use up, one for each user."""
    month = traces_a_day * MONTH_DAYS * TRACE_USD
    return (
        {"name": "The assistant, a month", "of": "project", "period": "month", "limit_usd": _usd(month * 1.4),
         "policy": [{"at": 0.9, "do": "cheaper_model", "with": "claude-3-5-haiku"}]},
        {"name": "Returns, a month", "of": "feature", "subject": "returns", "period": "month",
         "limit_usd": _usd(month * RETURNS_SHARE * 0.9), "policy": [{"at": 1, "do": "cached_answer"}]},
        {"name": "Each user, a day", "of": "user", "period": "day", "limit_usd": "0.25",
         "policy": [{"at": 0.8, "do": "shorter_context"}, {"at": 1, "do": "refuse"}]},
    )  # fmt: skip


def _usd(amount: float) -> str:
    return f"{max(amount, 0.5):.2f}"


def set_budgets(address: Address, traces_a_day: float) -> int:
    """Make the cost budgets that are not there under their names; how many there are then. SendError."""
    known = {item["name"] for item in ask(address, "GET", "/api/v1/budgets?limit=100", None)["items"]}
    wanted = budgets_of(traces_a_day)
    for told in wanted:
        if told["name"] not in known:
            ask(address, "POST", "/api/v1/budgets", told)
    return len(known | {told["name"] for told in wanted})


def set_probes(address: Address) -> None:
    """A suite of probes of the stand-in, asked once now, where there is none. SendError."""
    suites = ask(address, "GET", "/api/v1/probes/suites", None)["items"]
    if any(suite["name"] == SUITE for suite in suites):
        return
    connections = ask(address, "GET", "/api/v1/connections", None)["items"]
    found = next((each["id"] for each in connections if each["name"] == CONNECTION), None)
    if found is None:
        return
    told = {"name": SUITE, "targets": [{"connection": str(found), "model": MODEL}], "presets": list(PRESETS),
            "repeats": 10}  # fmt: skip
    made = ask(address, "POST", "/api/v1/probes/suites", told)
    ask(address, "POST", f"/api/v1/probes/suites/{made['slug']}/runs", {})


def set_channel(project_id: int, stand_in_url: str) -> bool:
    """A channel whose receiver is the stand-in; False where the operator's settings let nothing go there."""
    project = Project.objects.get(pk=project_id)
    url = stand_in_url.rstrip("/").removesuffix("/v1") + NOTICES
    there = next((row for row in list_channels(project.pk) if row.name == CHANNEL), None)
    try:
        if there is None:
            channels.add(project, {"name": CHANNEL, "kind": "webhook", "url": url}, actor=ACTOR)
        else:
            channels.change(project, there.id, {"url": url}, actor=ACTOR)
    except ItemRefused:
        return False
    return True
