"""How quickly the whole pipeline judges: stored traces, queue, calls of a model that answers at once, scores, sums.

The product runs as it is started for people; the model is the product's own stand-in, in a process beside it. Both
compete for the machine's cores, as a client and a provider's answers would not.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import urllib.request
from typing import Any

import orjson

from benchmarks import _proc, _product
from benchmarks._product import Product
from benchmarks._report import Report

RATE_BAR = 10_000.0  # judgements a minute
CPU_BAR_MS = 12.0
TRACES = 10_000
AT_A_TIME = 16
EGRESS = "127.0.0.0/8"
POST = 250
WAIT_SECONDS = 1_200.0
_LEFT = "SELECT count(*) FROM evals_judgement WHERE state IN ('pending', 'running')"
_BY_STATE = "SELECT state, count(*) FROM evals_judgement GROUP BY state ORDER BY state"
_ANSWERS = (
    "You can return an unopened item within 30 days. Send it with the label from your order page.",
    "The refund takes five working days after the parcel arrived. Gift cards are not refunded.",
    "Your order left our house on Tuesday and should be with you on Friday at the latest, says the carrier.",
)


def serve(told: Any) -> None:
    """The stand-in, in a process of its own; its address goes through `told`."""
    from telltale.run.stand_in import StandIn

    server = StandIn(0)
    told.put(server.url)
    server.serve_forever()


def send(product: Product, n: int) -> None:
    """Send `n` traces of one model call each through the public endpoint."""
    for first in range(0, n, POST):
        traces = [
            {
                "name": "chat", "kind": "generation", "model": "gpt-4o-mini", "feature": ("returns", "orders")[at % 2],
                "service": "shop", "duration_ms": 900 + at % 700,
                "input": [
                    {"role": "system", "content": "You help the customers of a shop. Answer from the documents."},
                    {"role": "user", "content": f"Question {at}: how do I return what I ordered?"},
                ],
                "output": f"{_ANSWERS[at % 3]} Reference {at}.", "usage": {"input_tokens": 60, "output_tokens": 30},
            }
            for at in range(first, min(first + POST, n))
        ]  # fmt: skip
        request = urllib.request.Request(
            f"{product.url}/api/v1/traces", orjson.dumps(traces),
            {"Authorization": f"Bearer {product.key}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            if orjson.loads(answer.read())["stored"] != len(traces):
                raise RuntimeError("not every trace was stored")


def set_up(product: Product, url: str, at_a_time: int) -> int:
    """A judge of four criteria by that model; the id of its version."""
    os.environ["TELLTALE_DATABASE_URL"] = product.dsn
    os.environ["TELLTALE_EGRESS_ALLOW"] = EGRESS
    if product.home is not None:
        os.environ["TELLTALE_HOME"] = str(product.home)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    import django

    django.setup()
    from evals import setup
    from telltale.projects.models import Project

    project = Project.objects.get(slug=product.project)
    points = {"kind": "points", "low": 1, "high": 5}
    criteria = [
        {"key": key, "title": key.title(), "scale": points, "definition": f"The answer is good by its {key}."}
        for key in ("correctness", "completeness", "tone", "relevance")
    ]
    rubric = setup.save_rubric(project, {"criteria": criteria}, slug="bench", name="Bench")
    connection = setup.add_connection(
        project, name="Stand-in", kind="openai", base_url=url, at_a_time=at_a_time, input_pico=150_000,
        output_pico=600_000, is_stand_in=True,
    )  # fmt: skip
    version = setup.save_judge(
        project, slug="bench", name="Bench", kind="model", rubric_version_id=rubric.id, connection_id=connection.id,
        model="telltale-stand-in",
    )  # fmt: skip
    setup.save_settings(project, budget_pico_day=None)
    return int(version.id)


def wait_quiet(product: Product, what: str, seconds: float = WAIT_SECONDS) -> float:
    """Wait until a count is 0; the seconds it took."""
    began = time.monotonic()
    while product.one(what):
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"not done after {seconds:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - began


def measure_pipeline(report: Report, n: int = TRACES, at_a_time: int = AT_A_TIME) -> None:
    """Judge `n` stored traces by a backfill, and say how quickly and at what cost of CPU."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    model = context.Process(target=serve, args=(told,), daemon=True)
    model.start()
    environment = {"TELLTALE_EGRESS_ALLOW": EGRESS, "TELLTALE_JUDGE_THREADS": str(at_a_time)}
    try:
        url = told.get(timeout=60)
        with _product.started(environment=environment) as product:
            version_id = set_up(product, url, at_a_time)
            send(product, n)
            wait_quiet(product, "SELECT count(*) FROM traces_feed")
            _measure(report, product, version_id, n, at_a_time)
    finally:
        model.kill()
        model.join(10)


def _measure(report: Report, product: Product, version_id: int, n: int, at_a_time: int) -> None:
    from evals import backfilling
    from telltale.projects.models import Project

    roots = product.roots("worker", "postgres")
    cpu = _proc.cpu_s(roots)
    time.sleep(5)
    idle = (_proc.cpu_s(roots) - cpu) / 5
    cpu = _proc.cpu_s(roots)
    began = time.monotonic()
    backfilling.start(Project.objects.get(slug=product.project), version_id, "t=24h")
    while product.one("SELECT count(*) FROM evals_judgement") == 0:
        time.sleep(0.02)
    first = time.monotonic()
    wait_quiet(product, "SELECT count(*) FROM evals_backfill WHERE state = 'running'")
    took = time.monotonic() - first
    cpu = _proc.cpu_s(roots) - cpu - idle * (time.monotonic() - began)
    with product.connect() as connection:
        by_state = dict(connection.execute(_BY_STATE).fetchall())
        tallied = product.one("SELECT sum(n) FROM evals_judgement_hour WHERE state = 'scored'")
        scores = product.one("SELECT count(*) FROM evals_score")
    if by_state != {"scored": n} or tallied != n or scores != 4 * n:
        raise RuntimeError(f"of {n} traces: {by_state}, {tallied} tallied, {scores} scores")
    report.add("judgements a minute", 60 * n / took, "/min", RATE_BAR, is_floor=True,
               note=f"{n:,} traces, {at_a_time} calls at a time, 4 criteria each")  # fmt: skip
    report.add("CPU a judgement, worker and PostgreSQL", 1e3 * cpu / n, "ms", CPU_BAR_MS,
               note="the call's own trace, its roll-up and its search entry included")  # fmt: skip
