"""Words for what is stored as numbers: what pages and exports call kinds, states and flags."""

from __future__ import annotations

from traces.canonical.types import CostStatus, CountReason, Kind, SpanFlag, Vocabulary
from traces.read import CostState

# Kind -> (word, icon, class of its mark and bar)
KINDS: dict[Kind, tuple[str, str, str]] = {
    Kind.SPAN: ("Span", "trace", ""),
    Kind.GENERATION: ("Generation", "llm", "llm"),
    Kind.EMBEDDING: ("Embedding", "db", "ret"),
    Kind.RETRIEVER: ("Retrieval", "search", "ret"),
    Kind.RERANKER: ("Reranking", "search", "ret"),
    Kind.TOOL: ("Tool", "tool", "tool"),
    Kind.AGENT: ("Agent", "people", ""),
    Kind.CHAIN: ("Chain", "session", ""),
    Kind.GUARDRAIL: ("Guardrail", "shield", "guard"),
    Kind.EVALUATOR: ("Evaluator", "judge", "guard"),
    Kind.PROMPT: ("Prompt", "pen", ""),
    Kind.MEMORY: ("Memory", "db", ""),
}

# State of a sum -> (before the figure, instead of it)
COSTS: dict[CostState, tuple[str, str]] = {
    CostState.NONE: ("", "none"),
    CostState.EXACT: ("", ""),
    CostState.AT_LEAST: ("at least ", ""),
    CostState.AT_MOST: ("at most ", ""),
    CostState.ESTIMATE: ("about ", ""),
    CostState.UNPRICED: ("", "unpriced"),
    CostState.UNKNOWN_USAGE: ("", "usage unknown"),
}

# Status of one span's cost -> (before the figure, instead of it, why)
COST_STATUS: dict[CostStatus | None, tuple[str, str, str]] = {
    None: ("", "none", "This step used no tokens that could cost anything."),
    CostStatus.PRICED: ("", "unpriced", ""),
    CostStatus.UNPRICED: (
        "",
        "unpriced",
        "No price matches its model. Its tokens are counted; its cost is unknown, not $0.",
    ),
    CostStatus.UNKNOWN_USAGE: ("", "usage unknown", "The sender told no token counts, so the cost is unknown, not $0."),
    CostStatus.PARTIAL: (
        "",
        "partly priced",
        "The price has no rate for some of its tokens, so the whole cost is unknown.",
    ),
    CostStatus.UPPER_BOUND: (
        "at most ",
        "unpriced",
        "The sender shows no cache counts: all input is priced as fresh. Cached tokens would make it cheaper.",
    ),
}

COUNT_REASONS: dict[CountReason, str] = {
    CountReason.SAME_RESPONSE_NESTED: "the same provider response is reported by a span above or below it",
    CountReason.SAME_RESPONSE_OVERLAP: "another instrumentation reported the same provider response at the same time",
    CountReason.NESTED_WITHOUT_ID: "it lies inside (or around) the span of the same call",
    CountReason.ROLL_UP_OF_CHILDREN: "its usage is the sum of the calls below it",
    CountReason.NOT_A_MODEL_SPAN: "it is no model call, and the calls below or above it carry the usage",
    CountReason.STREAM_LOG: "the usage of this streamed call came on the log span beside it",
}

FLAGS: tuple[tuple[SpanFlag, str], ...] = (
    (SpanFlag.CLAMPED, "The start was outside of what is kept and was moved; the raw time is under Attributes."),
    (SpanFlag.END_BEFORE_START, "It ends before it starts, so it has no duration."),
    (SpanFlag.FROM_RECEIPT, "No start was sent: the time of receipt stands in."),
    (SpanFlag.TRUNCATED, "Some text was longer than the limit and was cut."),
    (SpanFlag.REPAIRED_TEXT, "Characters that cannot be stored were replaced by \ufffd."),
    (SpanFlag.USAGE_INCONSISTENT, "The token counts contradict each other; the fresh input was taken as 0."),
    (SpanFlag.CACHE_TTL_ASSUMED, "Cache writes came without a lifetime and are priced as 5 minutes."),
    (SpanFlag.CACHE_UNKNOWN, "The sender shows no cache counts."),
    (SpanFlag.USAGE_BAD, "A token count was negative, fractional or absurd and counts as unknown."),
    (SpanFlag.PENDING, "A placeholder: the span itself has not arrived, so it may still be running."),
    (SpanFlag.FAR_PAST, "It starts further back than traces are kept."),
    (SpanFlag.FAR_FUTURE, "It starts in the future: the sender's clock may be wrong."),
    (SpanFlag.ATTRIBUTES_CUT, "It had more attributes, events or links than the limit; the rest was left out."),
    (SpanFlag.IMPLAUSIBLE_COST, "Its cost is implausibly high; look at the token counts."),
    (SpanFlag.SESSION_SCRUBBED, "Its session id was scrubbed by the sender, so it joins no session."),
    (SpanFlag.COUNT_UNCHECKED, "The trace is too large for the check against double counting."),
    (SpanFlag.STUB, "Only a part of it has arrived so far."),
)

BUCKET_WORDS = {
    "input_fresh": "Input",
    "input_cache_read": "Input read from cache",
    "input_cache_write_5m": "Input written to cache, 5 min",
    "input_cache_write_1h": "Input written to cache, 1 h",
    "input_audio": "Audio input",
    "output_text": "Output",
    "output_reasoning": "Reasoning",
    "output_audio": "Audio output",
}

VOCABULARIES = {
    Vocabulary.GENAI: "OpenTelemetry GenAI",
    Vocabulary.OPENINFERENCE: "OpenInference",
    Vocabulary.OPENLLMETRY: "OpenLLMetry",
    Vocabulary.OPENLIT: "OpenLIT",
    Vocabulary.LANGFUSE: "Langfuse",
    Vocabulary.LOGFIRE: "Logfire",
    Vocabulary.MLFLOW: "MLflow",
    Vocabulary.LANGSMITH: "LangSmith",
    Vocabulary.LITELLM: "LiteLLM",
    Vocabulary.ANTHROPIC: "Anthropic SDK",
    Vocabulary.HTTP: "HTTP",
    Vocabulary.NATIVE: "Telltale JSON",
    Vocabulary.PLAIN: "OpenTelemetry",
}


def flag_words(flags: SpanFlag) -> list[str]:
    """What the flags say that a reader should know, one sentence each."""
    return [words for flag, words in FLAGS if flags & flag]
