"""/metrics: how it is going, as Prometheus series read from what is committed: the same from every web process, never
falling over a restart.

Series of calls of models carry the names, labels and buckets that dashboards for such applications already know, and
the project beside them. No label holds what a user is called; what a sender names (models) is capped at the fold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import accumulate

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from alerts.read.totals import read_attempt_totals
from evals.read.totals import read_judging_totals
from telltale.jobs.models import DiskSample
from telltale.lib.patience import answer_within
from telltale.web.health import DATABASE_ERRORS, READ_TIMEOUT_MS, Vitals, is_trusted, migrated, read_vitals
from traces.meters import LATENCY_SECONDS, LENGTH_CHARACTERS, OTHER, Meter
from traces.read.flow import ModelMeter, Totals, read_meters, read_totals

ANSWER_SECONDS = 8.0
# Models of all projects, first seen first; what came later is one. Each is some 30 lines.
MODELS_MAX = 300
PICO = 1e12


def metrics(request: HttpRequest) -> HttpResponseBase:
    """Prometheus text for this machine, or for whoever has TELLTALE_METRICS_TOKEN; 404 for others."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not is_trusted(request):
        return HttpResponse("Not found.\n", status=404, content_type="text/plain; charset=utf-8")
    registry = CollectorRegistry()
    registry.register(_Collector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class _Collector(Collector):
    """Series read from the database at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """The series. Without its database a scrape still says so."""
        info = GaugeMetricFamily("telltale_build_info", "1, with the version of the product", labels=["version"])
        info.add_metric([version("telltale")], 1)
        yield info
        up = GaugeMetricFamily("telltale_database_up", "1 when the database answers")
        try:
            with answer_within(ANSWER_SECONDS):
                is_migrated = migrated.check()
                series = list(_read_series()) if is_migrated else []
        except DATABASE_ERRORS:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        yield up
        yield GaugeMetricFamily("telltale_migrations_applied", "1 when no migration is missing", int(is_migrated))
        yield from series


def _read_series() -> Iterator[Metric]:
    """Everything that is read, in one transaction whose statements have a limit each."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(READ_TIMEOUT_MS)])
        yield from _vital_series(read_vitals())
        yield from _flow_series(read_totals())
        yield from _model_series(_bounded(read_meters()))
        yield from _judging_series()
        yield from _telling_series()
        yield from _database_series()


def _vital_series(vitals: Vitals) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("telltale_queue_waiting", "Messages nobody has claimed", labels=["queue"])
    oldest = GaugeMetricFamily("telltale_queue_oldest_seconds", "Age of the oldest of them", labels=["queue"])
    for queue in vitals.queues:
        waiting.add_metric([queue.name], queue.waiting)
        oldest.add_metric([queue.name], queue.oldest_seconds or 0)
    yield waiting
    yield oldest
    yield GaugeMetricFamily("telltale_workers_alive", "Workers with a recent heartbeat", vitals.workers_alive)
    if vitals.workers:
        youngest = min(worker.age_seconds for worker in vitals.workers)
        yield GaugeMetricFamily("telltale_worker_heartbeat_seconds", "Age of the youngest heartbeat", youngest)
    has_scheduler = int(vitals.scheduler_age_seconds is not None)
    yield GaugeMetricFamily("telltale_scheduler_alive", "1 when a worker holds the scheduler's lease", has_scheduler)
    lag = vitals.pending.oldest_seconds or 0
    yield GaugeMetricFamily("telltale_ingest_to_account_seconds", "Age of the oldest batch not in roll-ups", lag)
    yield GaugeMetricFamily("telltale_batches_pending", "Batches not in roll-ups", vitals.pending.batches)
    behind = vitals.search.oldest_seconds or 0
    yield GaugeMetricFamily("telltale_search_lag_seconds", "Age of the oldest change not in the search index", behind)
    unfolded = vitals.folding.oldest_seconds or 0
    yield GaugeMetricFamily("telltale_rollup_lag_seconds", "Age of the oldest change not in roll-ups", unfolded)
    overdue = vitals.watching.oldest_seconds or 0
    yield GaugeMetricFamily("telltale_monitors_lag_seconds", "Age of the oldest monitor that is due", overdue)
    yield GaugeMetricFamily("telltale_monitors_broken", "Monitors that cannot be evaluated", vitals.watching.broken)
    stands = int(vitals.engine_state == "stands")
    yield GaugeMetricFamily("telltale_engine_stands", "1 when monitors are not evaluated", stands)
    yield GaugeMetricFamily("telltale_messages_waiting", "Messages that are not there yet", vitals.telling.waiting)
    untold = vitals.telling.oldest_seconds or 0
    yield GaugeMetricFamily("telltale_messages_oldest_seconds", "Age of the oldest of them", untold)
    yield GaugeMetricFamily("telltale_messages_given_up", "Messages given up in the last day", vitals.telling.failed)
    yield GaugeMetricFamily("telltale_rollup_set_aside", "Traces left out of roll-ups", vitals.folding.set_aside)
    yield GaugeMetricFamily("telltale_search_set_aside", "Traces searched by row alone", vitals.search.set_aside)
    yield GaugeMetricFamily("telltale_disk_free_bytes", "Free space where the home lies", vitals.disk_free_bytes)
    yield GaugeMetricFamily("telltale_disk_total_bytes", "Size of that disk", vitals.disk_total_bytes)
    yield GaugeMetricFamily("telltale_jobs_failed", "Long jobs that ended as failed", vitals.failed_jobs)


def _flow_series(totals: Totals) -> Iterator[Metric]:
    received = CounterMetricFamily("telltale_ingest_received", "Items that arrived", labels=["source"])
    for source in sorted({source for source, _ in totals.items}):
        received.add_metric([source], sum(n for (name, _), n in totals.items.items() if name == source))
    yield received
    items = CounterMetricFamily(
        "telltale_ingest_items", "What arrived, by what became of it", labels=["source", "outcome"]
    )
    for (source, outcome), count in sorted(totals.items.items()):
        items.add_metric([source, outcome], count)
    yield items
    reasons = CounterMetricFamily(
        "telltale_ingest_not_stored", "What was not stored, by reason", labels=["outcome", "reason"]
    )
    for (outcome, reason), count in sorted(totals.reasons.items()):
        reasons.add_metric([outcome, reason], count)
    yield reasons
    refusals = CounterMetricFamily("telltale_ingest_refused_requests", "Requests refused whole", labels=["status"])
    for status, count in sorted(totals.refused.items()):
        refusals.add_metric([str(status)], count)
    yield refusals


def _bounded(meters: Sequence[ModelMeter]) -> list[ModelMeter]:
    """The first `MODELS_MAX`, and one for all others together."""
    if len(meters) <= MODELS_MAX:
        return list(meters)
    rest = Meter()
    for each in meters[MODELS_MAX:]:
        rest.merge(each.meter)
    return [*meters[:MODELS_MAX], ModelMeter(OTHER, OTHER, rest, None)]


def _model_series(meters: Sequence[ModelMeter]) -> Iterator[Metric]:
    labels = ["project", "model_name"]
    requests = CounterMetricFamily(
        "llm_requests", "Calls of models that generate, by how they ended", labels=[*labels, "status"]
    )
    latency = HistogramMetricFamily("llm_request_latency_seconds", "How long such calls took, failed ones too", labels=labels)  # fmt: skip  # noqa: E501
    tokens_in = CounterMetricFamily("llm_input_tokens", "Tokens that went in, cached ones too", labels=labels)
    tokens_out = CounterMetricFamily("llm_output_tokens", "Tokens that came out", labels=labels)
    spent = CounterMetricFamily("llm_cost_usd", "Known cost of calls", labels=labels)
    priced = CounterMetricFamily("llm_priced_requests", "Calls whose cost is known", labels=labels)
    per_query = GaugeMetricFamily(
        "llm_cost_per_query_usd", "Mean cost of a call whose cost is known, of the last hour above all", labels=labels
    )
    length = HistogramMetricFamily("llm_response_length_characters", "Characters of the text of responses", labels=labels)  # fmt: skip  # noqa: E501
    for each in meters:
        names, meter = [each.project, each.model], each.meter
        requests.add_metric([*names, "success"], meter.succeeded)
        requests.add_metric([*names, "failure"], meter.failed)
        latency.add_metric(names, _cumulated(LATENCY_SECONDS, meter.latency), meter.latency_ns / 1e9)
        tokens_in.add_metric(names, meter.input_tokens)
        tokens_out.add_metric(names, meter.output_tokens)
        spent.add_metric(names, meter.cost_pico / PICO)
        priced.add_metric(names, meter.priced)
        if each.recent_pico is not None:
            per_query.add_metric(names, each.recent_pico / PICO)
        length.add_metric(names, _cumulated(LENGTH_CHARACTERS, meter.length), meter.characters)
    yield from (requests, latency, tokens_in, tokens_out, spent, priced, per_query, length)


def _cumulated(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Counts by bucket as Prometheus has them: each with all below it."""
    return list(zip([*(str(float(bound)) for bound in bounds), "+Inf"], accumulate(counts), strict=True))


def _judging_series() -> Iterator[Metric]:
    found = read_judging_totals()
    yield CounterMetricFamily("telltale_judge_calls", "Calls of models for judging that were answered", found.calls)
    yield CounterMetricFamily("telltale_judge_calls_lost", "Those without an answer", found.lost_calls)
    yield CounterMetricFamily("telltale_judge_cost_usd", "Known cost of judging", found.spent_pico / PICO)
    judged = GaugeMetricFamily("telltale_judgements", "Judgements, as they stand", labels=["state"])
    for state in ("scored", "failed", "skipped"):
        judged.add_metric([state], found.judgements.get(state, 0))
    yield judged


def _telling_series() -> Iterator[Metric]:
    attempts = CounterMetricFamily(
        "telltale_delivery_attempts", "Attempts to deliver a message, by result", labels=["result"]
    )
    for result, n in read_attempt_totals().items():
        attempts.add_metric([result], n)
    yield attempts


def _database_series() -> Iterator[Metric]:
    sample = DiskSample.objects.order_by("-at").first()
    if sample is not None:
        yield GaugeMetricFamily("telltale_database_bytes", "Size of the database, hourly", sample.database_bytes)
