"""Monitors to begin with: every threshold that people quote, under the name of who says it, and charts of our own.

A threshold people quote knows nothing of this project: many of them lie inside the noise of small windows. So each
threshold of a share says what it alarms by chance while the truth is half as bad, and a back-test says the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from alerts.stats.objectives import Side, expected_false_alarms

PARETO = "The Pareto set of metrics for production LLMs"
TRACKING = "Tracking model quality, cost, latency and drift in production"
OBSERVABILITY = "LLM monitoring and observability"
PULSE = "The pulse of your AI system"
LAYERS = "Production monitoring in layers"
OWN = "Telltale"
_WEEK_MINUTES = 10_080
# Windows of which a warning speaks: a small service, a large one.
_SMALL, _LARGE = 50, 2_000
_QUARTER = 15


@dataclass(frozen=True, slots=True)
class Preset:
    """A definition to begin with. `told` is what `parse_definition` reads once `needs` are filled in.

    `source` says so in `source_words`. `scale_share`: the limit is this part of a judge's scale, from its lowest score
    (0) to its highest (1), and is put in once judge and criterion are known.
    """

    slug: str
    name: str
    about: str
    source: str
    source_words: str
    told: Mapping[str, Any]
    needs: tuple[str, ...] = ()
    scale_share: float | None = None
    warning: str = field(default="")

    @property
    def is_own(self) -> bool:
        """Whether it is ours: a chart with limits from the alert budget."""
        return self.source == OWN


def _fixed(metric: str, limit: float | None, side: Side, severity: int, **more: Any) -> dict[str, Any]:
    threshold: dict[str, Any] = {"side": side}
    if limit is not None:
        threshold["limit"] = limit
    return {"metric": metric, "method": "fixed", "threshold": threshold, "severity": severity, **more}


def _chart(metric: str, severity: int, **more: Any) -> dict[str, Any]:
    return {"metric": metric, "method": "chart", "severity": severity, **more}


_JUDGED = ("params.judge", "params.criterion")
_SCORE_NOTE = (
    "A mean of few scores lies under any limit now and then by chance alone; a chart of the same scores sees a slide "
    "earlier and alarms as often as the budget says."
)
_QUANTILE_NOTE = (
    "A 95th percentile of few calls is little more than their slowest: below some 200 calls a window expect alarms "
    "from single calls. A chart of the same series is told what is normal here."
)
_HOST_NOTE = "A busy machine is no fault by itself; the back-test shows how often it would have alarmed."

PRESETS: tuple[Preset, ...] = (
    # Charts of our own: limits from the budget
    Preset("errors-chart", "Errors", "Requests in which a step failed: alarms on a change, whatever is normal here.",
           OWN, "", _chart("errors", 1, direction="up")),
    Preset("duration-chart", "Duration of requests", "Slides and jumps of how long requests take.", OWN, "",
           _chart("request_duration", 1, direction="up")),
    Preset("ttft-chart", "Time to the first token", "Slides and jumps of what streaming users wait for.", OWN, "",
           _chart("ttft", 2, direction="up")),
    Preset("requests-chart", "Requests and silence",
           "How many requests come, against the same hours of the weeks before; silence is an alarm of its own.", OWN,
           "", _chart("requests", 1, direction="both")),
    Preset("cost-chart", "Cost per request", "What a request costs: another model, a longer prompt, a lost cache.",
           OWN, "", _chart("cost_per_request", 2, direction="up")),
    Preset("spend-chart", "Spend", "Money an hour against the same hours of the weeks before.", LAYERS,
           "cost: hourly; alert on anomaly", _chart("spend", 2, direction="up", window_minutes=60)),
    Preset("score-chart", "Score of a judge",
           "The weighted mean of one criterion: finds slow slides, and says since when.",
           OWN, "", _chart("score", 2, direction="both"), needs=_JUDGED),
    Preset("abandoned-chart", "Abandoned sessions", "Users who leave without what they came for.", OWN, "",
           _chart("abandoned", 2, direction="up")),
    # Thresholds of the documents
    Preset("request-p95-5s", "Requests: p95 over 5 s", "The slowest twentieth of requests takes more than 5 seconds.",
           TRACKING, "p95 latency > 5 sec or SLA breach",
           _fixed("request_duration", 5_000, "over", 1, params={"quantile": 0.95}, least_n=20),
           warning=_QUANTILE_NOTE),
    Preset("request-p95-2s", "Requests: p95 over 2 s", "The anomaly that the example speaks of.", PULSE,
           "if latency suddenly spikes to 2 seconds",
           _fixed("request_duration", 2_000, "over", 2, params={"quantile": 0.95}, least_n=20),
           warning=_QUANTILE_NOTE),
    Preset("ttft-p95-500ms", "First token: p95 over 500 ms", "Streamed model calls alone; calls that do not tell when "
           "their first token came are left out.", OBSERVABILITY, "TTFT (p95) > 500 ms",
           _fixed("ttft", 500, "over", 1, params={"quantile": 0.95}, least_n=20), warning=_QUANTILE_NOTE),
    Preset("tpot-p95-50ms", "Output token: p95 over 50 ms", "Time per output token after the first.", OBSERVABILITY,
           "TPOT (p95) > 50 ms", _fixed("tpot", 50, "over", 2, params={"quantile": 0.95}, least_n=20),
           warning=_QUANTILE_NOTE),
    Preset("throughput-80", "Throughput under 80 % of capacity",
           "Model calls a minute against the capacity that you entered.", OBSERVABILITY, "throughput < 80 % capacity",
           _fixed("utilisation", 0.8, "under", 2), needs=("params.capacity",),
           warning="It alarms whenever demand is low: every night, on every quiet day. It says something of a system "
           "under constant load alone."),
    Preset("errors-1", "Errors over 1 %", "Requests in which a step failed.", OBSERVABILITY,
           "error rate: failed requests > 1 %", _fixed("errors", 0.01, "over", 1, window_minutes=_QUARTER)),
    Preset("gpu-low", "GPU under 60 %", "Paid for and idle.", OBSERVABILITY, "GPU utilisation < 60 % or > 95 %",
           _fixed("host_gpu", 0.6, "under", 3), warning=_HOST_NOTE),
    Preset("gpu-high", "GPU over 95 %", "Saturated: requests queue.", OBSERVABILITY,
           "GPU utilisation < 60 % or > 95 %", _fixed("host_gpu", 0.95, "over", 2), warning=_HOST_NOTE),
    Preset("judge-7-of-10", "Judge score under 7 of 10",
           "The mean score under seven tenths of the judge's own scale: 3.8 on 1 to 5, 0.7 on 0 to 1.", TRACKING,
           "judge score < 7/10", _fixed("score", None, "under", 2, least_n=20), needs=_JUDGED, scale_share=0.7,
           warning=_SCORE_NOTE),
    Preset("unsafe", "Unsafe answers", "Any judged answer with a low score of a safety criterion.", TRACKING,
           "unsafe detection", _fixed("low_scores", 0, "over", 0), needs=_JUDGED,
           warning="A judge that is wrong once in 500 answers alarms once in 500 answers: a single verdict is a reason "
           "to look, not to be woken."),
    Preset("injection", "Injection attempts", "Any judged request with a low score of a criterion about injected "
           "instructions.", TRACKING, "injection attempt detected", _fixed("low_scores", 0, "over", 0), needs=_JUDGED,
           warning="Every single suspicion alarms, the judge's mistakes among them; how many those are, a review of "
           "its flags tells."),
    Preset("hallucination-2", "Hallucinations over 2 %", "Answers found not to be grounded, weighted to all traffic.",
           TRACKING, "hallucination rate > 2 %", _fixed("hallucination", 0.02, "over", 1), needs=_JUDGED),
    Preset("hallucination-5", "Hallucinations over 5 %", "Answers found not to be grounded, weighted to all traffic.",
           OBSERVABILITY, "hallucination rate > 5 %", _fixed("hallucination", 0.05, "over", 1), needs=_JUDGED),
    Preset("toxicity-10", "Toxic answers over 10 %", "The share of toxic answers; the source has a score of 0.1.",
           OBSERVABILITY, "toxicity score > 0.1", _fixed("toxicity", 0.1, "over", 0), needs=_JUDGED),
    Preset("relevance-70", "Relevance under 0.7", "The mean of a judge's scores of relevance, put on 0 to 1.",
           OBSERVABILITY, "relevance score < 0.7", _fixed("relevance", 0.7, "under", 2, least_n=20), needs=_JUDGED,
           warning=_SCORE_NOTE),
    Preset("refusals-20", "Refusals over 20 %", "Model calls that ended in a refusal or a content filter.",
           OBSERVABILITY, "refusal rate: model declining to answer > 20 %",
           _fixed("refusals", 0.2, "over", 2, window_minutes=_QUARTER)),
    Preset("format-95", "Format under 95 %", "Answers in the wanted format, by a rule or a judge.", OBSERVABILITY,
           "format compliance < 95 %", _fixed("format_compliance", 0.95, "under", 2), needs=_JUDGED),
    Preset("cost-budget", "Cost per request over a budget", "The mean cost of a request over what you allow.", TRACKING,
           "cost per interaction > budget or trend spike", _fixed("cost_per_request", None, "over", 2, least_n=20),
           needs=("threshold.limit",),
           warning="Costs have a heavy tail: one long answer moves the mean of a small window."),
    Preset("cost-spike", "Cost per request: a spike", "The trend half of the same sentence, as a chart.", TRACKING,
           "cost per interaction > budget or trend spike", _chart("cost_per_request", 2, direction="up")),
    Preset("tokens-double", "Input length: a jump", "Token usage that doubles, seen by a chart.",
           PULSE, "token usage doubles for the same type of query", _chart("input_length", 3, direction="up")),
    Preset("quality-spc", "Judge score: control chart",
           "The source's chart compares each score with a mean that holds it already and can never alarm; this is the "
           "chart that it means.", LAYERS, "alert on SPC deviation", _chart("score", 2, direction="both"),
           needs=_JUDGED),
    Preset("abandoned-30", "Abandoned over 30 %", "One half of the source's warning about thumbs; the other half is "
           "the page of votes and silence.", LAYERS, "abandoned / requests > 0.3 and positive > 0.8",
           _fixed("abandoned", 0.3, "over", 2)),
    Preset("inputs-drift", "Change of inputs", "Embeddings of what users ask against a frozen reference. The source's "
           "cosine of 0.7 says nothing: what is usual depends on the encoder.", LAYERS,
           "cosine similarity to the centroid < 0.70", _chart("embeddings", 2, params={"side": "input"})),
)  # fmt: skip
BY_SLUG: Mapping[str, Preset] = {each.slug: each for each in PRESETS}


def limit_on_scale(share: float, lowest: float, highest: float) -> float:
    """A part of a scale in its own numbers: 0.7 of 1 to 5 is 3.8."""
    return round(lowest + share * (highest - lowest), 6)


@cache
def warning_of(slug: str) -> str:
    """What a preset alarms while nothing is wrong, in a sentence; "" for a chart: its limits come from the budget.

    A threshold of a share: computed by the binomial at half as many bad ones as it allows, edges a week.
    """
    preset = BY_SLUG[slug]
    threshold = preset.told.get("threshold")
    limit = (threshold or {}).get("limit")
    if preset.warning or not threshold or not limit or limit >= 1:
        return preset.warning
    side: Side = threshold["side"]
    truth = limit / 2 if side == "over" else 1 - (1 - limit) / 2
    minutes = preset.told.get("window_minutes", 60)
    small, large = (
        expected_false_alarms([n, n], _WEEK_MINUTES / minutes, limit, truth, side=side).a_week for n in (_SMALL, _LARGE)
    )
    return (
        f"While the truth is {_percent(truth)}, windows of {_SMALL} alarm {_times(small)} a week by chance alone, "
        f"windows of {_LARGE:,} {_times(large)}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _times(a_week: float) -> str:
    if a_week < 0.005:
        return "practically never"
    if 0.95 <= a_week < 1.05:
        return "about once"
    number = f"{a_week:.0f}" if a_week >= 9.5 else f"{a_week:.1f}" if a_week >= 0.95 else f"{a_week:.2f}"
    return f"about {number} times"
