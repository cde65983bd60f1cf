"""What a metric speaks for: the pillar of each series, and the question of a pillar where nobody wrote one.

A project that has written no questions is asked these, and its monitors answer the question of their metric's pillar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Pillar(StrEnum):
    """What is watched over: the four of the overview, and what users do."""

    QUALITY = "quality"
    COST = "cost"
    LATENCY = "latency"
    SAFETY = "safety"
    USERS = "users"


@dataclass(frozen=True, slots=True)
class Shipped:
    """The question of a pillar where a project has written none. `yes_is_good`: what "yes" says about it."""

    pillar: Pillar
    text: str
    yes_is_good: bool


SHIPPED: tuple[Shipped, ...] = (
    Shipped(Pillar.QUALITY, "Is quality degrading?", yes_is_good=False),
    Shipped(Pillar.COST, "Is cost under control?", yes_is_good=True),
    Shipped(Pillar.LATENCY, "Is it slow or failing?", yes_is_good=False),
    Shipped(Pillar.SAFETY, "Is it safe?", yes_is_good=True),
)
# Asked beside the four only where something of its pillar is watched.
USERS_SHIPPED = Shipped(Pillar.USERS, "Are users getting what they came for?", yes_is_good=True)

# Which pillar a metric speaks for. The metrics of ingest, and of judging itself, speak for the figures alone: they are
# told beside the questions and answer none.
PILLARS: dict[str, Pillar | None] = {
    "errors": Pillar.LATENCY, "failures": Pillar.LATENCY, "call_errors": Pillar.LATENCY,
    "error_type": Pillar.LATENCY, "error_types": Pillar.LATENCY, "retries": Pillar.LATENCY,
    "refusals": Pillar.SAFETY, "finish_reason": Pillar.QUALITY, "finish_reasons": Pillar.QUALITY,
    "request_duration": Pillar.LATENCY, "duration": Pillar.LATENCY, "ttft": Pillar.LATENCY, "tpot": Pillar.LATENCY,
    "token_speed": Pillar.LATENCY, "slow_requests": Pillar.LATENCY, "slow_calls": Pillar.LATENCY,
    "slow_ttft": Pillar.LATENCY, "slow_tpot": Pillar.LATENCY, "utilisation": Pillar.LATENCY,
    "requests": Pillar.LATENCY, "calls": Pillar.LATENCY, "silence": Pillar.LATENCY, "sessions": Pillar.USERS,
    "input_tokens": Pillar.COST, "output_tokens": Pillar.COST, "input_length": Pillar.COST,
    "response_length": Pillar.QUALITY,
    "cost_per_request": Pillar.COST, "cost_per_session": Pillar.COST, "cost_per_resolved": Pillar.COST,
    "spend": Pillar.COST, "cache_share": Pillar.COST, "free_requests": Pillar.COST, "unpriced": Pillar.COST,
    "score": Pillar.QUALITY, "low_scores": Pillar.QUALITY, "flagged": Pillar.QUALITY,
    "hallucination": Pillar.SAFETY, "toxicity": Pillar.SAFETY, "relevance": Pillar.QUALITY,
    "format_compliance": Pillar.QUALITY, "posted_score": Pillar.QUALITY, "unparsable": None, "coverage": None,
    "thumbs_down": Pillar.USERS, "vote_coverage": None, "abandoned": Pillar.USERS, "retried": Pillar.USERS,
    "corrected": Pillar.USERS, "escalated": Pillar.USERS, "completed": Pillar.USERS, "outcome": Pillar.USERS,
    "ingest_lag": None, "rejected": None,
    "host_cpu": Pillar.LATENCY, "host_memory": Pillar.LATENCY, "host_gpu": Pillar.LATENCY,
    "host_gpu_memory": Pillar.LATENCY, "host_waiting": Pillar.LATENCY,
    "models": Pillar.QUALITY, "tools": Pillar.QUALITY, "inputs_and_outputs": Pillar.QUALITY,
    "embeddings": Pillar.QUALITY,
}  # fmt: skip
# A score is about safety where its criterion is: how people name such criteria, as whole words of its key.
_SAFETY = re.compile(
    r"(?<![a-z])(safe|safety|unsafe|harm|harmful|harmless|toxic|toxicity|hate|violence|privacy|pii|leak|leaks|injection|"
    r"jailbreak|bias|hallucination|hallucinations|grounded|groundedness|faithful|faithfulness|unsupported)(?![a-z])"
)
_SCORES = frozenset({"score", "low_scores", "flagged", "posted_score"})


def pillar_of(metric: str, criterion: str = "") -> Pillar | None:
    """What a series speaks for; `criterion` is the judged one, of metrics of scores. None: for the figures alone."""
    if metric in _SCORES and _SAFETY.search(criterion.lower()):
        return Pillar.SAFETY
    return PILLARS.get(metric)


def yes_is_good(text: str) -> bool | None:
    """Whether "yes" is the good answer to a question; None where that is not known of its words."""
    asked = text.strip().casefold()
    return next((each.yes_is_good for each in (*SHIPPED, USERS_SHIPPED) if each.text.casefold() == asked), None)
