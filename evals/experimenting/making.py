"""Making experiments, taking posted results, finishing, cancelling, judging again. In the audit log, all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.http import Http404

from evals.experimenting.asking import AskConfig, messages_for, tokens_at_most
from evals.experimenting.pricing import prices_of
from evals.experimenting.running import KIND
from evals.keeping.changes import By, DatasetRefused, clean
from evals.metrics import METRICS
from evals.models import Connection, Experiment, JudgeVersion
from evals.read.datasets import all_items, get_dataset
from evals.read.experiments import ExperimentRow, get_experiment
from evals.write import experiments as write
from evals.write.experiments import CANCELLED, DONE, JUDGING, OPEN, OVER, RUNNING, NewResult
from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.projects.models import Project
from traces import erasure
from traces.masks import mask_id, mask_text, mask_value

NAME_MAX = 120
JUDGES_MAX = 10
RESULTS_A_REQUEST = 500
OUTPUT_BYTES_MAX = 256 * 1024
SENT_MAX = 50
SENT_NAME_MAX = 60
SYSTEM_CHARS_MAX = 100_000
OUTPUT_TOKENS_MAX = 32_000
CONFIG_BYTES_MAX = 64 * 1024
COST_PICO_MAX = 10**18


class ExperimentRefused(Exception):
    """What cannot be run or kept: which field, what is wrong, what is accepted, what came."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


class Conflict(Exception):
    """What is asked for does not fit the state of the experiment; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An experiment as somebody wants it. `judges` are (slug, version or None for the live or newest one).

    `ask` and `connection_id` where we call the system; `config` where the user's own code does: whatever it says of
    itself.
    """

    dataset: str
    name: str = ""
    version: int | None = None
    judges: Sequence[tuple[str, int | None]] = ()
    metrics: Sequence[str] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    connection_id: int | None = None
    ask: AskConfig | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What asking a whole dataset may cost at most. `pico` None: the connection names no price."""

    items: int
    input_tokens: int
    output_tokens: int
    pico: int | None


@dataclass(frozen=True, slots=True)
class Refused:
    """One posted result that was not taken, by its place in the request."""

    index: int
    item_key: str
    message: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of posted results."""

    accepted: int
    refused: tuple[Refused, ...]


def make_experiment(project: Project, wanted: Wanted, *, by: By) -> ExperimentRow:
    """A new experiment; one whose system we call starts at once. ExperimentRefused, Http404 for no such dataset."""
    dataset = get_dataset(project.pk, wanted.dataset)
    if dataset is None:
        raise ExperimentRefused("dataset", "is none of this project", "the slug of a dataset", wanted.dataset[:80])
    version = dataset.version if wanted.version is None else wanted.version
    if dataset.version == 0:
        raise ExperimentRefused("dataset", "has no items yet", "a dataset with items", wanted.dataset)
    if not 1 <= version <= dataset.version:
        raise ExperimentRefused("version", "is none the dataset has", f"1 to {dataset.version}", str(version))
    name = mask_text(project.pk, " ".join(str(clean(wanted.name, "name")).split())) or f"{dataset.name} v{version}"
    if len(name) > NAME_MAX:
        raise ExperimentRefused("name", "is too long", f"{NAME_MAX} characters", f"{len(name)} characters")
    judges = find_judges(project.pk, wanted.judges)
    values: dict[str, Any] = {
        "dataset_id": dataset.id, "dataset_version": version, "name": name, "metrics": checked_metrics(wanted.metrics),
        "created_by_id": by.id,
    }  # fmt: skip
    if wanted.ask is not None:
        connection = _connection(project.pk, wanted.connection_id)
        values |= {"source": "endpoint", "connection": connection, "config": _checked_ask(wanted.ask, connection)}
        values["state"] = RUNNING
    else:
        config = mask_value(project.pk, _checked_config(wanted.config))
        values |= {"source": "posted", "config": config, "state": OPEN}
    with transaction.atomic():
        made = write.add_experiment(project.pk, values, judges, is_asked=wanted.ask is not None)
        if wanted.ask is not None:
            start_job(made, by.id)
        told = {"name": name, "dataset": dataset.slug, "version": version, "source": values["source"],
                "judges": [str(judge) for judge in judges]}  # fmt: skip
        record_in(project, "experiment.add", f"experiment {made.pk}", request=by.request, actor=by.words, after=told)
    return found(project.pk, made.pk)


def estimate(project_id: int, dataset_id: int, version: int, ask: AskConfig, connection: Connection) -> Estimate:
    """What asking every item of a version may cost at most, by the connection's prices."""
    items = all_items(dataset_id, version)
    tokens_in = sum(tokens_at_most(messages_for(item.input, ask)) for item in items)
    tokens_out = len(items) * ask.max_output_tokens
    prices = prices_of(project_id, connection, ask.model)
    pico = None if prices is None else prices[0] * tokens_in + prices[1] * tokens_out
    return Estimate(len(items), tokens_in, tokens_out, pico)


def post_results(project: Project, experiment_id: int, results: Sequence[Mapping[str, Any]]) -> Taken:
    """Take results of the user's own code, each by its item's key; a key again replaces until the experiment ends.

    Http404; Conflict where the experiment takes no results (any more).
    """
    ready: list[NewResult] = []
    refused: list[Refused] = []
    seen: set[str] = set()
    for index, told in enumerate(results):
        try:
            read = read_result(told)
            one = replace(read, item_key=mask_id(project.pk, read.item_key))
        except (ExperimentRefused, DatasetRefused) as error:
            limit = f" ({error.limit})" if error.limit else ""
            refused.append(Refused(index, str(told.get("item_key", ""))[:100], f"{error.field} {error.message}{limit}"))
            continue
        if one.item_key in seen:
            refused.append(Refused(index, one.item_key, "item_key is in this request twice"))
            continue
        seen.add(one.item_key)
        ready.append(one)
    gone = erasure.find_gone(project.pk, traces={one.trace_id for one in ready if one.trace_id is not None})
    with transaction.atomic():
        held = _hold(project.pk, experiment_id)
        if held.source != "posted":
            raise Conflict("This experiment calls its endpoint itself; it takes no posted results.")
        if held.state != OPEN:
            raise Conflict(f"This experiment is {held.state}: it takes no more results. Make a new one.")
        known = write.known_keys(held.dataset_id, held.dataset_version, [one.item_key for one in ready])
        keys = [mask_id(project.pk, str(told.get("item_key", "")).strip()) for told in results]
        places = {key: index for index, key in enumerate(keys)}
        for one in ready:
            if one.item_key not in known:
                message = f"item_key is none of version {held.dataset_version} of the dataset"
                refused.append(Refused(places.get(one.item_key, 0), one.item_key, message))
            elif gone.why(one.trace_id):
                refused.append(Refused(places.get(one.item_key, 0), one.item_key, f"trace_id {erasure.MESSAGE}"))
        taken = [one for one in ready if one.item_key in known and not gone.why(one.trace_id)]
        erasure.count_refused(project.pk, "results", sum(bool(gone.why(one.trace_id)) for one in ready), "its trace")
        write.put_results(project.pk, held.pk, taken)
    return Taken(len(taken), tuple(sorted(refused, key=lambda one: one.index)))


def read_result(told: Mapping[str, Any]) -> NewResult:
    """One posted result, read strictly: ExperimentRefused says what is wrong."""
    key = told.get("item_key")
    if not isinstance(key, str) or not key.strip():
        raise ExperimentRefused("item_key", "is missing", "the key of an item")
    unknown = sorted(set(told) - _RESULT_FIELDS)
    if unknown:
        raise ExperimentRefused(unknown[0][:40], "is no field of a result", ", ".join(sorted(_RESULT_FIELDS)))
    output, error = clean(told.get("output"), "output"), told.get("error") or ""
    if not isinstance(error, str):
        raise ExperimentRefused("error", "is no text", "text, or left out")
    if output is None and not error:
        raise ExperimentRefused("output", "is missing", "an output, or an error")
    size = len(orjson.dumps(output))
    if size > OUTPUT_BYTES_MAX:
        raise ExperimentRefused("output", "is too large", f"{OUTPUT_BYTES_MAX:,} bytes", f"{size:,}")
    cost = _number(told, "cost_usd", COST_PICO_MAX / 1e12)
    tokens_in, tokens_out = (_number(told, name, 2**31 - 1) for name in ("input_tokens", "output_tokens"))
    return NewResult(
        item_key=key.strip(),
        output=None if error else output,
        error=str(clean(error, "error"))[:500],
        latency_ms=_number(told, "latency_ms", 1e9),
        cost_pico=None if cost is None else round(cost * 1e12),
        input_tokens=None if tokens_in is None else int(tokens_in),
        output_tokens=None if tokens_out is None else int(tokens_out),
        trace_id=_trace_id(told.get("trace_id")),
        sent=_sent(told.get("scores")),
    )


_RESULT_FIELDS = frozenset(
    {"item_key", "output", "error", "latency_ms", "cost_usd", "input_tokens", "output_tokens", "trace_id", "scores"}
)


def finish(project: Project, experiment_id: int, *, by: By) -> ExperimentRow:
    """No more results come: measure and judge what there is. Safe to call again. Http404, Conflict."""
    with transaction.atomic():
        held = _hold(project.pk, experiment_id)
        if held.source != "posted":
            raise Conflict("This experiment ends by itself once every item was asked.")
        if held.state in (RUNNING, JUDGING, DONE):
            return found(project.pk, experiment_id)
        if held.state != OPEN:
            raise Conflict(f"This experiment is {held.state}.")
        if not held.results.exists():
            raise Conflict("This experiment has no results yet. Post some before finishing it, or cancel it.")
        write.move(held.pk, [OPEN], RUNNING)
        start_job(held, by.id)
        target = f"experiment {held.pk}"
        record_in(project, "experiment.finish", target, request=by.request, actor=by.words, after={"name": held.name})
    return found(project.pk, experiment_id)


def cancel(project: Project, experiment_id: int, *, by: By) -> ExperimentRow:
    """Stop an experiment; what was answered stays. Http404; Conflict where it is over."""
    with transaction.atomic():
        held = _hold(project.pk, experiment_id)
        if held.state in OVER:
            raise Conflict(f"This experiment is {held.state} already.")
        if held.job_id is not None:
            work.cancel(held.job_id)
        write.give_up(held.pk, "cancelled")
        write.skip_judgements(project.pk, held.pk, "cancelled")
        write.move(held.pk, [OPEN, RUNNING, JUDGING], CANCELLED, reason="cancelled by a person")
        target = f"experiment {held.pk}"
        record_in(
            project, "experiment.cancel", target, request=by.request, actor=by.words, before={"state": held.state}
        )
    return found(project.pk, experiment_id)


def judge_more(
    project: Project,
    experiment_id: int,
    judges: Sequence[tuple[str, int | None]],
    metrics: Sequence[str] = (),
    *,
    by: By,
) -> ExperimentRow:
    """Have a done experiment judged by further versions, measured by further metrics. Http404, Conflict."""
    chosen, names = find_judges(project.pk, judges), checked_metrics(metrics)
    with transaction.atomic():
        held = _hold(project.pk, experiment_id)
        if held.state not in (DONE, JUDGING):
            raise Conflict(f"This experiment is {held.state}: judges are added once it is done.")
        before = [str(judge) for judge in held.judge_versions.all()]
        held.judge_versions.add(*chosen)
        if held.judge_versions.count() > JUDGES_MAX:
            raise ExperimentRefused("judges", "are too many", f"{JUDGES_MAX} judge versions an experiment")
        held.metrics = list(dict.fromkeys([*held.metrics, *names]))
        held.save(update_fields=["metrics"])
        write.move(held.pk, [DONE, JUDGING], RUNNING, finished_at=None)
        start_job(held, by.id)
        told = {"judges": [str(judge) for judge in held.judge_versions.all()], "metrics": held.metrics}
        record_in(
            project, "experiment.judge", f"experiment {held.pk}", request=by.request, actor=by.words,
            before={"judges": before}, after=told,
        )  # fmt: skip
    return found(project.pk, experiment_id)


def remove(project: Project, experiment_id: int, *, by: By) -> None:
    """Remove an experiment that is over, with its results and scores. Http404, Conflict."""
    with transaction.atomic():
        held = _hold(project.pk, experiment_id)
        if held.state not in OVER:
            raise Conflict(f"This experiment is {held.state}. Cancel it first.")
        told = {"name": held.name, "state": held.state, "dataset": held.dataset_id}
        target = f"experiment {held.pk}"
        record_in(project, "experiment.remove", target, request=by.request, actor=by.words, before=told)
        write.remove(project.pk, experiment_id)


def start_job(experiment: Experiment, by_id: int | None) -> None:
    """Queue the experiment's work, and tell a worker once the transaction has committed."""
    params = {"experiment": experiment.pk}
    job = work.start(KIND, project_id=experiment.project_id, created_by_id=by_id, params=params)
    Experiment.objects.filter(pk=experiment.pk).update(job_id=job.pk)
    wake(sweep)


def found(project_id: int, experiment_id: int) -> ExperimentRow:
    """The experiment; Http404 where the project has none of this id."""
    row = get_experiment(project_id, experiment_id)
    if row is None:
        raise Http404
    return row


def find_judges(project_id: int, wanted: Sequence[tuple[str, int | None]]) -> list[JudgeVersion]:
    """The judge versions asked for; without a number the live one, else the newest. ExperimentRefused."""
    if len(wanted) > JUDGES_MAX:
        raise ExperimentRefused("judges", "are too many", f"{JUDGES_MAX}", str(len(wanted)))
    wanted = [(str(clean(slug, "judges")), number) for slug, number in wanted]
    versions = JudgeVersion.objects.select_related("judge").filter(
        judge__project_id=project_id, judge__slug__in=[slug for slug, _ in wanted]
    )
    by_slug: dict[str, list[JudgeVersion]] = {}
    for version in versions.order_by("-number"):
        by_slug.setdefault(version.judge.slug, []).append(version)
    chosen = []
    for slug, number in wanted:
        there = by_slug.get(slug, [])
        if not there:
            raise ExperimentRefused("judges", "names a judge that this project has not", "slugs of judges", slug[:80])
        live = there[0].judge.live_version_id
        usual = next((one for one in there if one.pk == live), there[0])
        one = usual if number is None else next((one for one in there if one.number == number), None)
        if one is None:
            raise ExperimentRefused("judges", "names a version that the judge has not", slug, f"{slug} v{number}")
        if one.judge.kind not in ("model", "rule"):
            raise ExperimentRefused(
                "judges", "names a judge that does not judge by itself", "model or rule judges", slug
            )
        chosen.append(one)
    return chosen


def checked_metrics(names: Sequence[str]) -> list[str]:
    """Names of reference metrics, each once. ExperimentRefused for one there is not."""
    for name in names:
        if name not in METRICS:
            raise ExperimentRefused("metrics", "names one that there is not", ", ".join(METRICS), name[:60])
    return list(dict.fromkeys(names))


def _connection(project_id: int, connection_id: int | None) -> Connection:
    row = Connection.objects.filter(project_id=project_id, pk=connection_id or 0, archived_at=None).first()
    if row is None:
        raise ExperimentRefused("connection", "is none of this project", "the id of a connection", str(connection_id))
    return row


def _checked_ask(ask: AskConfig, connection: Connection) -> dict[str, Any]:
    if not ask.model.strip() or len(ask.model) > 200:
        raise ExperimentRefused("model", "needs a value", "1 to 200 characters")
    for name in ("system", "template"):
        if len(getattr(ask, name)) > SYSTEM_CHARS_MAX:
            raise ExperimentRefused(name, "is too long", f"{SYSTEM_CHARS_MAX:,} characters")
    if not 1 <= ask.max_output_tokens <= OUTPUT_TOKENS_MAX:
        limit = f"1 to {OUTPUT_TOKENS_MAX:,}"
        raise ExperimentRefused("max_output_tokens", "is out of range", limit, str(ask.max_output_tokens))
    if ask.temperature is not None and not 0 <= ask.temperature <= 2:
        raise ExperimentRefused("temperature", "is out of range", "0 to 2", str(ask.temperature))
    if ask.budget_pico is not None:
        if not 0 < ask.budget_pico <= COST_PICO_MAX:
            raise ExperimentRefused("budget_usd", "is out of range", "above 0, up to 1,000,000")
        if prices_of(connection.project_id, connection, ask.model) is None:
            message = "cannot be kept: neither the connection nor the price book has a price of this model"
            raise ExperimentRefused("budget_usd", message, "a model with a price, or no budget", ask.model)
    told = clean(ask.as_json(), "config")
    return dict(told)


def _checked_config(config: Mapping[str, Any]) -> dict[str, Any]:
    told = clean(dict(config), "config")
    size = len(orjson.dumps(told))
    if size > CONFIG_BYTES_MAX:
        raise ExperimentRefused("config", "is too large", f"{CONFIG_BYTES_MAX:,} bytes", f"{size:,}")
    return dict(told)


def _number(told: Mapping[str, Any], name: str, most: float) -> float | None:
    value = told.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ExperimentRefused(name, "is no number", "a number, or left out", str(value)[:60])
    if not 0 <= value <= most:
        raise ExperimentRefused(name, "is out of range", f"0 to {most:g}", str(value)[:60])
    return float(value)


def _trace_id(raw: Any) -> UUID | None:
    if raw is None:
        return None
    digits = str(raw).replace("-", "")
    if len(digits) != 32 or any(c not in "0123456789abcdefABCDEF" for c in digits):
        raise ExperimentRefused("trace_id", "is no trace's id", "32 hex digits", str(raw)[:60])
    return UUID(hex=digits)


def _sent(raw: Any) -> dict[str, float]:
    if raw is None:
        return {}
    if not isinstance(raw, dict) or len(raw) > SENT_MAX:
        raise ExperimentRefused("scores", "is no object of numbers", f"up to {SENT_MAX} names with numbers")
    sent: dict[str, float] = {}
    for name, value in raw.items():
        if not name.strip() or len(name) > SENT_NAME_MAX:
            raise ExperimentRefused("scores", "has a name that is empty or too long", f"{SENT_NAME_MAX} characters")
        if not isinstance(value, bool | int | float) or not math.isfinite(value):
            raise ExperimentRefused(f"scores.{name[:40]}", "is no number", "a number, true or false", str(value)[:60])
        sent[str(clean(name.strip(), "scores"))] = float(value)
    return sent


def _hold(project_id: int, experiment_id: int) -> Experiment:
    held = write.hold(project_id, experiment_id)
    if held is None:
        raise Http404
    return held
