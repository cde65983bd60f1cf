"""What a draw may look at: the typed columns of a trace's row, as they are when it is decided."""

from __future__ import annotations

from dataclasses import dataclass

# Finish reasons by which providers say that the model declined.
REFUSALS = frozenset(
    {"refusal", "content_filter", "content-filter", "safety", "prohibited_content", "blocklist", "spii"}
)

# Columns with one text, with several, and with a number: what filters and strata may name.
FIELDS = (
    "feature", "service", "environment", "release", "model", "prompt_name", "prompt_version", "name", "user_id",
    "session_id", "finish_reason", "error_type",
)  # fmt: skip
LISTS = ("models", "tags", "kinds", "signals")
NUMBERS = (
    "duration_ms", "ttft_ms", "cost_usd", "input_tokens", "output_tokens", "span_count", "generation_count",
    "error_count",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Covariates:
    """One trace as a plan sees it. Unknown text is "", an unknown number None; `model` is the first of `models`."""

    feature: str = ""
    service: str = ""
    environment: str = ""
    release: str = ""
    model: str = ""
    prompt_name: str = ""
    prompt_version: str = ""
    name: str = ""
    user_id: str = ""
    session_id: str = ""
    finish_reason: str = ""
    error_type: str = ""
    models: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    kinds: frozenset[str] = frozenset()  # of its spans: generation, tool, retriever ...; read only where a plan asks
    signals: frozenset[str] = frozenset()  # what its end user did, as far as known: thumb_down ...
    duration_ms: float | None = None
    ttft_ms: float | None = None
    cost_usd: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    span_count: float | None = None
    generation_count: float | None = None
    error_count: float | None = None
    is_error: bool = False

    @property
    def is_refusal(self) -> bool:
        """Whether the provider says that the model declined."""
        return self.finish_reason.lower() in REFUSALS
