"""The metrics of the product as series: what can be watched, by which scope, with which detector.

Keys are stored in monitors and never change their meaning; docs/series.md has one row for each (a test compares them).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from alerts.monitors.states import Kind
from alerts.monitors.types import DIMENSIONS, Definition, Metric

MINUTE, QUARTER, HOUR, DAY = timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
REQUESTS = ("feature", "service", "environment", "release", "prompt_name", "prompt_version")
CALLS = DIMENSIONS
SCORES = ("feature", "service", "environment", "release", "prompt_version", "model")
DRAWN = ("feature", "prompt_version", "model")
FEATURE = ("feature",)

RELIABILITY, SPEED, TRAFFIC, COST = "Reliability", "Speed", "Traffic", "Cost"
QUALITY, USERS, INGEST, HOSTS, DRIFT = "Quality", "Users", "Ingest", "Hosts", "Inputs and outputs"
GROUPS = (RELIABILITY, SPEED, TRAFFIC, COST, QUALITY, USERS, INGEST, HOSTS, DRIFT)
_JUDGED = ("judge", "criterion")
_QUANTILE = ("quantile",)


@dataclass(frozen=True, slots=True)
class Timing:
    """How long after its end a window of a metric is whole enough to decide on, and how long late data still come."""

    lateness: timedelta = timedelta(minutes=10)
    grace: timedelta = timedelta(hours=24)


def _calls(key: str, title: str, kind: Kind, unit: str, group: str, told: str, **more: object) -> Metric:
    has_filter = more.pop("has_filter", False)
    return Metric(key, title, kind, unit, group, told, scopes=CALLS, has_filter=has_filter, **more)  # type: ignore[arg-type]


def _requests(key: str, title: str, kind: Kind, unit: str, group: str, told: str, **more: object) -> Metric:
    return Metric(key, title, kind, unit, group, told, scopes=REQUESTS, **more)  # type: ignore[arg-type]


def _scores(key: str, title: str, kind: Kind, unit: str, told: str, **more: object) -> Metric:
    told_so: dict[str, object] = {"needs": _JUDGED, "scopes": SCORES, **more}
    return Metric(key, title, kind, unit, QUALITY, told, **told_so)  # type: ignore[arg-type]


def _hourly(
    key: str, title: str, kind: Kind, unit: str, group: str, told: str, scopes: tuple[str, ...], **more: object
) -> Metric:
    return Metric(
        key, title, kind, unit, group, told, scopes=scopes, has_filter=False, shortest=HOUR, **more  # type: ignore[arg-type]
    )  # fmt: skip


def _ingest(key: str, title: str, kind: Kind, unit: str, told: str) -> Metric:
    return Metric(key, title, kind, unit, INGEST, told, worse="up", scopes=(), has_filter=False, window=QUARTER)


def _host(key: str, title: str, unit: str, told: str) -> Metric:
    told = f"{told} As hosts tell it by OpenTelemetry metrics, the mean over the window."
    return Metric(
        key, title, Kind.LEVEL, unit, HOSTS, told, worse="up", may=("host", "across"), scopes=(), has_filter=False,
        window=QUARTER, shortest=timedelta(minutes=5),
    )  # fmt: skip


_ALL: tuple[Metric, ...] = (
    # Reliability
    _requests("errors", "Requests with an error", Kind.SHARE, "share", RELIABILITY,
              "Requests in which at least one step failed, of all requests.", worse="up", window=QUARTER),
    _requests("failures", "Failed requests", Kind.SHARE, "share", RELIABILITY,
              "Requests whose first step failed, so that the caller got an error, of all requests.",
              worse="up", window=QUARTER),
    _calls("call_errors", "Failed model calls", Kind.SHARE, "share", RELIABILITY,
           "Model calls that failed, of all model calls.", worse="up", window=QUARTER),
    _calls("error_type", "Calls failed for a reason", Kind.SHARE, "share", RELIABILITY,
           "Model calls that failed with the named error types (time-outs, limits of rate, answers that could not be "
           "parsed), of all model calls.", worse="up", needs=("error_type",), window=QUARTER),
    _calls("error_types", "Error types", Kind.CATEGORY, "count", RELIABILITY,
           "Failed model calls by error type; a new type is an alarm of its own."),
    _calls("retries", "Retried model calls", Kind.SHARE, "share", RELIABILITY,
           "Model calls started again after a failed one, of all model calls.", worse="up", window=QUARTER),
    _calls("refusals", "Refusals", Kind.SHARE, "share", RELIABILITY,
           "Model calls that ended in a refusal or a content filter, of all model calls.", worse="up", window=QUARTER),
    _calls("finish_reason", "Calls ended by a reason", Kind.SHARE, "share", RELIABILITY,
           "Model calls with the named finish reasons, of all that tell one.", needs=("finish_reason",),
           window=QUARTER),
    _calls("finish_reasons", "Finish reasons", Kind.CATEGORY, "count", RELIABILITY,
           "Model calls by finish reason; a new reason is an alarm of its own."),
    # Speed
    _requests("request_duration", "Duration of requests", Kind.TIME, "ms", SPEED,
              "How long requests took from the start of their first step to its end.", worse="up", may=_QUANTILE,
              window=QUARTER),
    _calls("duration", "Duration of model calls", Kind.TIME, "ms", SPEED,
           "How long model calls took.", worse="up", may=_QUANTILE, window=QUARTER),
    _calls("ttft", "Time to the first token", Kind.TIME, "ms", SPEED,
           "From the start of a streamed model call to its first token; calls that do not tell it are left out.",
           worse="up", may=_QUANTILE, window=QUARTER),
    _calls("tpot", "Time per output token", Kind.TIME, "ms", SPEED,
           "(duration - time to the first token) / (output tokens - 1), of calls with more than one output token.",
           worse="up", may=_QUANTILE, window=QUARTER),
    _calls("token_speed", "Output tokens a second", Kind.TIME, "number", SPEED,
           "Output tokens a second of single calls once they answer: 1 / time per output token.", worse="down",
           may=_QUANTILE, window=QUARTER),
    _requests("slow_requests", "Slow requests", Kind.SHARE, "share", SPEED,
              "Requests that took longer than the limit, of those whose duration is known. A share over 5 % says that "
              "the 95th percentile is over the limit.", worse="up", needs=("limit_ms",), window=QUARTER),
    _calls("slow_calls", "Slow model calls", Kind.SHARE, "share", SPEED,
           "Model calls that took longer than the limit, of those whose duration is known.", worse="up",
           needs=("limit_ms",), window=QUARTER),
    _calls("slow_ttft", "Late first tokens", Kind.SHARE, "share", SPEED,
           "Streamed model calls whose first token came later than the limit, of those that tell it.", worse="up",
           needs=("limit_ms",), window=QUARTER),
    _calls("slow_tpot", "Slow output", Kind.SHARE, "share", SPEED,
           "Model calls with more time per output token than the limit, of those that tell it.", worse="up",
           needs=("limit_ms",), window=QUARTER),
    _calls("utilisation", "Throughput against capacity", Kind.LEVEL, "share", SPEED,
           "Model calls a minute over the capacity that people entered for this model or service.",
           may=("capacity",), window=QUARTER),
    # Traffic
    _requests("requests", "Requests", Kind.COUNT, "count", TRAFFIC,
              "How many requests began. Silence is judged beside the count.", window=QUARTER),
    _calls("calls", "Model calls", Kind.COUNT, "count", TRAFFIC, "How many model calls began.", window=QUARTER),
    _requests("silence", "Silence", Kind.LEVEL, "seconds", TRAFFIC,
              "How long before the end of the window the last request began, to the minute; at most a week is looked "
              "back.", worse="up", window=MINUTE * 5, has_filter=False),
    _hourly("sessions", "Sessions", Kind.COUNT, "count", TRAFFIC,
            "How many sessions began, in whole hours.", FEATURE),
    _calls("input_tokens", "Input tokens", Kind.COUNT, "tokens", TRAFFIC,
           "Tokens that went into model calls, cached ones too.", has_filter=True),
    _calls("output_tokens", "Output tokens", Kind.COUNT, "tokens", TRAFFIC, "Tokens that model calls answered.",
           has_filter=True),
    _calls("input_length", "Input length", Kind.LEVEL, "tokens", TRAFFIC,
           "Input tokens a model call, on average."),
    _calls("response_length", "Response length", Kind.TIME, "tokens", TRAFFIC,
           "Output tokens of single model calls.", may=_QUANTILE),
    # Cost
    _requests("cost_per_request", "Cost per request", Kind.COST, "usd", COST,
              "What single requests cost; those with an unknown cost are left out and told as coverage.", worse="up"),
    _hourly("cost_per_session", "Cost per session", Kind.COST, "usd", COST,
            "What single closed sessions cost, by the hour in which they began; those with an unknown cost are left "
            "out and told as coverage.", FEATURE, worse="up", window=DAY),
    _hourly("cost_per_resolved", "Cost per resolved query", Kind.LEVEL, "usd", COST,
            "What all closed sessions cost, by those that count as resolved: an outcome that measures cost.", FEATURE,
            worse="up", needs=("outcome",), window=DAY),
    _calls("spend", "Spend", Kind.COUNT, "usd", COST,
           "What model calls cost in the window, counted in millionths of a dollar; without those of unknown cost.",
           worse="up", has_filter=True),
    _calls("cache_share", "Cache share", Kind.LEVEL, "share", COST,
           "Input tokens read from a cache, of all input tokens.", worse="down", has_filter=True),
    _requests("free_requests", "Requests that cost nothing", Kind.SHARE, "share", COST,
              "Requests that called a model and cost exactly 0, of those with a known cost: answers from a cache of "
              "your own, or a price that is missing a rate."),
    _calls("unpriced", "Calls without a price", Kind.SHARE, "share", COST,
           "Model calls whose cost is unknown for want of a price, of all that are counted.", worse="up",
           has_filter=True),
    # Quality
    _scores("score", "Score of a judge", Kind.SCORE, "score",
            "The judge's scores of one criterion, weighted to all traffic by 1 / chance of being judged. Where people "
            "reviewed, the corrected mean is drawn beside it.", worse="down"),
    _scores("low_scores", "Low scores", Kind.SHARE, "share",
            "Answers with a low score, weighted to all traffic, of those that were judged.", worse="up",
            may=("at_most",)),
    _scores("flagged", "Flagged answers", Kind.SHARE, "share",
            "Answers that the judge flags, weighted to all traffic, of those that were judged.", worse="up",
            needs=("judge",)),
    _scores("hallucination", "Hallucinations", Kind.SHARE, "share",
            "Answers that the judge found not to be grounded (a low score of that criterion), weighted to all "
            "traffic.", worse="up", may=("at_most",)),
    _scores("toxicity", "Toxic answers", Kind.SHARE, "share",
            "Answers that the judge found toxic (a low score of that criterion), weighted to all traffic.", worse="up",
            may=("at_most",)),
    _scores("relevance", "Relevance", Kind.SCORE, "share",
            "Scores of relevance on a scale from 0 (the worst level) to 1 (the best), weighted to all traffic.",
            worse="down"),
    _scores("format_compliance", "Format compliance", Kind.SHARE, "share",
            "Answers in the wanted format by a rule or a judge (not a low score of that criterion), weighted to all "
            "traffic.", worse="down", may=("at_most",)),
    _scores("posted_score", "Score sent by programs", Kind.SCORE, "score",
            "Numbers that programs send as scores of traces, each counted alike.", needs=("name",),
            scopes=REQUESTS),
    _hourly("unparsable", "Unusable answers of a judge", Kind.SHARE, "share", QUALITY,
            "Judgements in which the judge's answer was of no use, of all that were answered; by the hour in which "
            "they were made.", (), worse="up", needs=("judge",)),
    _hourly("coverage", "Judged share", Kind.SHARE, "share", QUALITY,
            "Requests that were judged, of all that the judge's filter fits.", DRAWN, worse="down", needs=("judge",)),
    # Users
    _hourly("thumbs_down", "Thumbs down", Kind.SHARE, "share", USERS,
            "Closed sessions (and requests without one) whose last vote is a thumb down, of those with a vote.",
            FEATURE, worse="up"),
    _hourly("vote_coverage", "Sessions with a vote", Kind.SHARE, "share", USERS,
            "Closed sessions (and requests without one) with a vote, of all: how many the thumbs speak for.", FEATURE),
    _hourly("abandoned", "Abandoned", Kind.SHARE, "share", USERS,
            "Closed sessions that were abandoned, of those that could have been.", FEATURE, worse="up"),
    _hourly("retried", "Retried or rephrased", Kind.SHARE, "share", USERS,
            "Closed sessions in which the user asked again, of those whose words are recorded.", FEATURE, worse="up"),
    _hourly("corrected", "Asked for a correction", Kind.SHARE, "share", USERS,
            "Closed sessions in which the user corrected the answer, of those whose words are recorded.", FEATURE,
            worse="up"),
    _hourly("escalated", "Asked for a human", Kind.SHARE, "share", USERS,
            "Closed sessions that were handed to a person or asked for one, of those whose words are recorded.",
            FEATURE, worse="up"),
    _hourly("completed", "Completed", Kind.SHARE, "share", USERS,
            "Closed sessions that came to their end by the project's definition, of all closed ones.", FEATURE,
            worse="down"),
    _hourly("outcome", "Outcome", Kind.LEVEL, "number", USERS,
            "An outcome of the project over closed sessions, by the hour in which they began, with its interval.",
            FEATURE, needs=("outcome",), window=DAY),
    # Ingest
    _ingest("ingest_lag", "Ingest lag", Kind.LEVEL, "ms",
            "From the first byte of a request of the sender to its commit, on average."),
    _ingest("rejected", "Rejected on arrival", Kind.SHARE, "share",
            "Spans that could not be stored, of all that came."),
    # Hosts
    _host("host_cpu", "CPU busy", "share", "Part of the processors' time that was used."),
    _host("host_memory", "Memory used", "share", "Part of the memory that is in use."),
    _host("host_gpu", "GPU busy", "share", "Part of the GPUs' time that was used."),
    _host("host_gpu_memory", "GPU memory used", "share", "Part of the GPUs' memory that is in use."),
    _host("host_waiting", "Requests waiting for a GPU", "number", "Requests that wait in the model servers' queues."),
    # Inputs and outputs
    _calls("models", "Models", Kind.CATEGORY, "count", DRIFT,
           "Model calls by the model that answered; a new one is an alarm of its own."),
    _requests("tools", "Tools", Kind.CATEGORY, "count", DRIFT,
              "Calls of tools by name; a new one is an alarm of its own.", window=HOUR, has_filter=False),
    Metric("inputs_and_outputs", "What a sample is like", Kind.CATEGORY, "count", DRIFT,
           "Sampled requests by topic, language, length, tools or another trait of what was asked or answered.",
           needs=("field",), may=("encoder",), has_filter=False),
    Metric("embeddings", "Embeddings", Kind.VECTOR, "number", DRIFT,
           "Embeddings of sampled inputs or outputs against a frozen reference.", may=("side", "encoder"),
           has_filter=False),
)  # fmt: skip
METRICS: dict[str, Metric] = {each.key: each for each in _ALL}

# Sessions count once they are over: by then their first hour lies back as long as they lasted and were waited for.
_SESSIONS = Timing(timedelta(hours=2), timedelta(hours=72))
# Judges wait until a trace has been quiet, and then take their turn.
_JUDGED_LATE = Timing(timedelta(minutes=30), timedelta(hours=24))
_SESSION_KEYS = frozenset({"cost_per_session", "cost_per_resolved", "sessions"})


def find_metric(key: str) -> Metric | None:
    """The metric of that key; None where there is none."""
    return METRICS.get(key)


def metrics_of(group: str) -> Iterable[Metric]:
    """The metrics of one group in their order."""
    return (each for each in _ALL if each.group == group)


def timing_of(metric: Metric) -> Timing:
    """What a new monitor of the metric takes for its lateness and grace unless people say otherwise."""
    if metric.group == USERS or metric.key in _SESSION_KEYS:
        return _SESSIONS
    if metric.group == QUALITY:
        return _JUDGED_LATE
    return Timing()


def quantile_of(definition: Definition) -> float:
    """Which quantile of a metric of times is drawn."""
    told = definition.params.get("quantile")
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else 0.95
