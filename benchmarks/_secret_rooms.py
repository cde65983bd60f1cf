"""Places beyond the doors of traces where secrets are planted: what judges and models say, and what people note."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks import _pipeline
from benchmarks._product import Product
from benchmarks._secret_takers import Model

Ask = Callable[..., bytes]
# What the model is given to say; it says each once, when it is asked.
SAID = ("judge's reason", "judge's quote", "judge's prose", "probe answer", "probe tool", "experiment answer")
ITEMS = 20
WAIT_SECONDS = 240.0


def _noted(path: str, **more: Any) -> Callable[[str], tuple[str, Any]]:
    def make(value: str) -> tuple[str, Any]:
        return path, {key: told.replace("@", value) if isinstance(told, str) else told for key, told in more.items()}

    return make


def _result(**more: str) -> Callable[[str], tuple[str, Any]]:
    def make(value: str) -> tuple[str, Any]:
        return "experiment", {"item_key": "i0", **{key: told.replace("@", value) for key, told in more.items()}}

    return make


def _label(value: str) -> tuple[str, Any]:
    row = {"trace_id": "c3" * 16, "reviewer": "ann", "verdict": "good", "note": f"saw {value}"}
    return "/api/v1/labels/import", {"rubric": "bench", "items": [row]}


def _silence(value: str) -> tuple[str, Any]:
    ends = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    return "/api/v1/silences", {"reason": f"for {value}", "end_at": ends, "features": ["none"]}


_OUTCOME = {"measure": "share", "of": [{"kind": "conversion"}]}
NOTED: dict[str, Callable[[str], tuple[str, Any]]] = {
    "experiment's result": _result(output="it was @"),
    "experiment's error": _result(error="it broke at @"),
    "experiment's name": _noted("/api/v1/experiments", dataset="asked", name="of @", config={"a": "b"}),
    "label": _label,
    "incident's title": _noted("/api/v1/incidents", title="Errors of @ rose", severity=1),
    "incident's comment": _noted("/api/v1/incidents/1/comments", text="we saw @"),
    "silence": _silence,
    "question": _noted("/api/v1/questions", text="Is @ refused?", pillar="quality", decision="block @"),
    "dataset's words": _noted("/api/v1/datasets", name="Set", description="with @"),
    "outcome's name": _noted("/api/v1/outcomes", name="Ended @", spec=_OUTCOME),
}  # fmt: skip


class Rooms:
    """The product's other rooms, ready to be planted in."""

    def __init__(self, running: Product, ask: Ask, model: Model) -> None:
        self.running, self.ask, self.model = running, ask, model
        self.version_id = _pipeline.set_up(running, f"{model.url}/v1", 4)
        self.connection = str(running.one("SELECT max(id) FROM evals_connection"))
        self.ask("POST", "/api/v1/datasets", {"name": "asked"})
        items = [{"key": f"i{at}", "input": f"Item {at}", "expected": "yes"} for at in range(ITEMS)]
        self.ask("POST", "/api/v1/datasets/asked/items", {"items": items})
        self.ask("POST", "/api/v1/incidents", {"title": "The first", "severity": 3})

    def plant(self, name: str, value: str) -> None:
        """Put a secret into the place of this name."""
        if name in SAID:
            self.model.to_say[name].append(value)
            return
        path, body = NOTED[name](value)
        if path == "experiment":  # each its own: a result sent again replaces
            self.ask("POST", "/api/v1/experiments", {"dataset": "asked", "name": "posted"})
            number = self.running.one("SELECT max(id) FROM evals_experiment")
            path, body = f"/api/v1/experiments/{number}/results", {"results": [body]}
        elif name == "dataset's words":
            number = self.running.one("SELECT count(*) FROM evals_dataset")
            body = body | {"name": f"Set {number}"}
        self.ask("POST", path, body)

    def let_speak(self) -> None:
        """Have the model asked: by a judge of all traces, a suite of probes and an experiment."""
        from evals import backfilling
        from telltale.projects.models import Project

        backfilling.start(Project.objects.get(slug=self.running.project), self.version_id, "t=24h")
        probe = {"key": "p", "must": "say 391", "user": "PROBE: what is 17 times 23?",
                 "checks": [{"kind": "contains", "texts": ["391"]}]}  # fmt: skip
        suite = {"name": "Suite", "targets": [{"connection": self.connection, "model": "small"}], "repeats": 20,
                 "probes": [probe]}  # fmt: skip
        self.ask("POST", "/api/v1/probes/suites", suite)
        self.ask("POST", "/api/v1/probes/suites/suite/runs")
        asked = {"dataset": "asked", "source": "endpoint", "connection": self.connection, "model": "small"}
        self.ask("POST", "/api/v1/experiments", asked)

    def wait(self) -> list[str]:
        """Until all of it is said, judged and told; what is not."""
        ends = time.monotonic() + WAIT_SECONDS
        open_ = {
            "judgements": "SELECT count(*) FROM evals_judgement WHERE state IN ('pending', 'running')",
            "backfills": "SELECT count(*) FROM evals_backfill WHERE state = 'running'",
            "probe runs": "SELECT count(*) FROM evals_proberun WHERE state = 'running'",
            "experiments": "SELECT count(*) FROM evals_experiment WHERE state IN ('running', 'judging')",
            "messages": "SELECT count(*) FROM alerts_delivery WHERE state = 'waiting'",
            "transitions": "SELECT count(*) FROM alerts_transition WHERE routed_at IS NULL",
        }
        left = dict.fromkeys([*open_, "answers"], 1)
        while any(left.values()) and time.monotonic() < ends:
            time.sleep(1)
            left = {name: self.running.one(query) for name, query in open_.items()} | {"answers": self.model.left}
        return [f"{n} {name} are left" for name, n in left.items() if n]

    def pages(self) -> tuple[list[str], list[str]]:
        """Addresses of pages and of REST that show what was planted here."""
        base = f"/p/{self.running.project}/"
        numbers = range(1, self.running.one("SELECT coalesce(max(id), 0) FROM evals_experiment") + 1)
        incidents = range(1, self.running.one("SELECT coalesce(max(number), 0) FROM alerts_incident") + 1)
        pages = ["quality/", "judges/", "judges/bench/", "experiments/", "probes/", "review/", "datasets/",
                 "incidents/", "questions/", "outcomes/"]  # fmt: skip
        pages += [f"experiments/{each}/" for each in numbers] + [f"incidents/{each}/" for each in incidents]
        rest = [f"experiments/{each}/results" for each in numbers] + [f"incidents/{each}" for each in incidents]
        rest += [f"incidents/{each}/summary?format=markdown" for each in incidents]
        rest += ["scores", "judgements", "experiments", "probes/series", "reviews", "incidents", "silences",
                 "questions", "outcomes", "deliveries", "labels/export?format=ndjson"]  # fmt: skip
        return [base + each for each in pages], rest
