"""The canonical span: what every dialect becomes before it is stored.

Unknown is None, never 0. Times are integers of nanoseconds since 1970 at this stage; `start_ns` is what the sender
said, `started_us` what is stored (clamped, microseconds). Money is whole pico-dollars (10**-12 USD).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum
from typing import Any, TypedDict
from uuid import UUID


class Kind(IntEnum):
    """What a step is (docs/data-model.md); the numbers are stored."""

    SPAN = 0
    GENERATION = 1
    EMBEDDING = 2
    RETRIEVER = 3
    RERANKER = 4
    TOOL = 5
    AGENT = 6
    CHAIN = 7
    GUARDRAIL = 8
    EVALUATOR = 9
    PROMPT = 10
    MEMORY = 11


MODEL_KINDS = frozenset({Kind.GENERATION, Kind.EMBEDDING, Kind.RERANKER})


# The event that says how good an answer was; rooms above take it (traces.read.evaluations).
EVALUATION = "gen_ai.evaluation.result"


class SpanStatus(IntEnum):
    UNSET = 0
    OK = 1
    ERROR = 2


class SpanFlag(IntFlag):
    """Everything repaired, cut or assumed about a span; stored as one integer."""

    CLAMPED = 1  # the start was outside what is kept and was moved; the raw nanoseconds are in the body
    END_BEFORE_START = 2
    FROM_RECEIPT = 4  # no start was sent: the time of receipt stands in
    TRUNCATED = 8  # some text was cut to its limit; original sizes are in the body under "cut"
    REPAIRED_TEXT = 16  # U+0000, bad UTF-8 or lone surrogates were replaced
    USAGE_INCONSISTENT = 32
    CACHE_TTL_ASSUMED = 64
    CACHE_UNKNOWN = 128  # the sender shows no cache counts: the cost is an upper bound
    USAGE_BAD = 256  # a token count was negative, fractional or absurd; the raw value stays in the attributes
    PENDING = 512  # a placeholder its sender will replace (Logfire pending spans)
    CONTENT_NOT_CAPTURED = 1024
    CONTENT_REDACTED = 2048
    CONTENT_SCRUBBED = 4096
    FAR_PAST = 8192
    FAR_FUTURE = 16384
    ATTRIBUTES_CUT = 32768  # more attributes, events or links than the limit
    IMPLAUSIBLE_COST = 65536
    SESSION_SCRUBBED = 131072
    COUNT_UNCHECKED = 262144  # the trace is too large for the double-counting check
    STUB = 524288
    # Not repairs: what counting must know of a stored span without opening its body.
    HAS_INPUT = 1048576
    HAS_OUTPUT = 2097152
    AGGREGATED_USAGE = 4194304
    EVALUATED = 8388608  # an event of it says how good its answer was
    MASKED = 16777216  # some of its text was masked before it was stored
    NO_CONTENT = 33554432  # stored without its text, by the rules of its project


class CostStatus(IntEnum):
    """Why a span's cost is what it is; None (no usage possible) is stored as NULL."""

    PRICED = 1
    UNPRICED = 2  # no price row matches the model
    UNKNOWN_USAGE = 3  # the sender told no token counts
    PARTIAL = 4  # a bucket has tokens but no rate
    UPPER_BOUND = 5  # cache counts unknown while the price has a cache discount


class CountReason(IntEnum):
    """Why a usage-carrying span is not counted (spec: double counting)."""

    SAME_RESPONSE_NESTED = 1
    SAME_RESPONSE_OVERLAP = 2
    NESTED_WITHOUT_ID = 3
    ROLL_UP_OF_CHILDREN = 4
    NOT_A_MODEL_SPAN = 5
    STREAM_LOG = 6  # a stream's usage came on a log span beside the generation; that log span counts


class Vocabulary(StrEnum):
    GENAI = "genai"
    OPENINFERENCE = "openinference"
    OPENLLMETRY = "openllmetry"
    OPENLIT = "openlit"
    LANGFUSE = "langfuse"
    LOGFIRE = "logfire"
    MLFLOW = "mlflow"
    LANGSMITH = "langsmith"
    LITELLM = "litellm"
    ANTHROPIC = "anthropic"
    HTTP = "http"
    NATIVE = "native"
    PLAIN = "plain"


BUCKETS = (
    "input_fresh",
    "input_cache_read",
    "input_cache_write_5m",
    "input_cache_write_1h",
    "input_audio",
    "output_text",
    "output_reasoning",
    "output_audio",
)


@dataclass(slots=True)
class Usage:
    """Tokens of one call in disjoint buckets, None unknown. Input total = the first five, output total = the rest."""

    input_fresh: int | None = None
    input_cache_read: int | None = None
    input_cache_write_5m: int | None = None
    input_cache_write_1h: int | None = None
    input_audio: int | None = None
    output_text: int | None = None
    output_reasoning: int | None = None
    output_audio: int | None = None

    def buckets(self) -> tuple[int | None, ...]:
        """The eight counts in the order of `BUCKETS`."""
        return (
            self.input_fresh,
            self.input_cache_read,
            self.input_cache_write_5m,
            self.input_cache_write_1h,
            self.input_audio,
            self.output_text,
            self.output_reasoning,
            self.output_audio,
        )


class Body(TypedDict, total=False):
    """What a span's page shows and no list reads; kept compressed. Keys are absent where there is nothing."""

    raw: dict[str, Any]  # every attribute that typed columns or content were read from, as sent (scrubbed)
    events: list[dict[str, Any]]  # {"name", "at_ns", "attributes"}
    links: list[dict[str, Any]]  # {"trace_id" hex, "span_id" hex, "attributes"}
    start_ns: int
    end_ns: int
    trace_state: str
    error_message: str
    error_stack: str
    usage: dict[str, Any]  # provenance: reported totals, accounting (inclusive, exclusive, additive, unknown), source
    parameters: dict[str, Any]
    finish_reasons: list[str]  # raw
    provider_raw: str
    cost_reported_by: str
    cut: dict[str, int]  # original byte sizes of what was cut
    dropped: dict[str, int]  # attributes, events, links that the sender itself left out
    foreign_span_id: str
    foreign_parent_id: str


@dataclass(slots=True)
class Origin:
    """Who sent a span: resource and scope, stored once per distinct pair. `key` is a signed 64-bit digest of both."""

    key: int
    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    scope_attributes: dict[str, Any]
    vocabulary: Vocabulary


@dataclass(slots=True)
class CanonicalSpan:
    """One span as stored. Built once by a dialect and then only priced and counted; not frozen, because a frozen
    dataclass of this many fields costs three times as much to build and this is the hottest object there is."""

    trace_id: UUID
    span_id: int  # signed 64-bit, from the span's eight bytes
    parent_span_id: int | None
    name: str
    kind: Kind
    started_us: int  # stored start, microseconds since 1970
    start_ns: int  # as sent; 0 where none came
    end_ns: int | None  # as sent; None while open
    duration_ns: int | None  # None while open or where end < start
    origin: Origin
    status: SpanStatus = SpanStatus.UNSET
    status_message: str | None = None
    error_type: str | None = None
    otel_kind: int = 0
    flags: int = 0
    foreign_trace_id: str | None = None
    service: str | None = None
    environment: str | None = None
    release: str | None = None
    feature: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    provider: str | None = None
    model_requested: str | None = None
    model_answered: str | None = None
    operation: str | None = None
    response_id: str | None = None
    service_tier: str | None = None
    streamed: bool | None = None
    ttft_ns: int | None = None
    finish_reason: str | None = None  # normalised: stop, length, tool_call, content_filter, refusal, error, other
    prompt_name: str | None = None
    prompt_version: str | None = None
    agent_name: str | None = None
    workflow_name: str | None = None
    tool_name: str | None = None
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None  # what the user attached, typed
    attributes: dict[str, Any] | None = None  # what no column and no content was read from
    usage: Usage | None = None  # None: the sender told no usage
    aggregated_usage: bool = False  # usage that a framework summed over children; never counted beside them
    cost_reported_pico: int | None = None
    has_input: bool = False  # the span itself carries input content (messages, input.value, ...)
    has_output: bool = False
    body: Body = field(default_factory=lambda: Body())
    # Filled by cost: see traces.cost.
    model_priced: str | None = None
    price_id: int | None = None
    cost_status: CostStatus | None = None
    cost_pico: int | None = None
    cost_parts: list[int | None] | None = None  # pico-dollars in the order of BUCKETS
    # Filled by counting: see traces.cost.counting.
    counted: bool = False
    duplicate_of_trace: UUID | None = None
    duplicate_of_span: int | None = None
    count_reason: CountReason | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Spans refused for one reason. `reason` is a short stable code, `message` names field, limit and value."""

    reason: str
    message: str
    count: int = 1


@dataclass(slots=True)
class Intake:
    """What one request's spans became: `received == len(spans) + sum(r.count for r in rejections)`."""

    received: int = 0
    spans: list[CanonicalSpan] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class LogEvent:
    """One GenAI log event that belongs to a span (wire: log events joined to their spans)."""

    trace_id: UUID
    span_id: int
    event_name: str
    happened_us: int
    ordinal: int
    digest: int  # signed 64-bit of (event name, time, index, body): the same record sent again has the same
    body: dict[str, Any]  # {"body": ..., "attributes": {...}}, scrubbed


@dataclass(slots=True)
class LogIntake:
    """What one /v1/logs request became: `received == len(events) + dropped + rejected`."""

    received: int = 0
    events: list[LogEvent] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)  # reason code -> records that nobody joins
    rejections: list[Rejection] = field(default_factory=list)


@dataclass(slots=True)
class MetricPoint:
    """One point of an allow-listed series. Histograms carry count, sum, min, max, buckets; sums and gauges a value."""

    series_key: int  # signed 64-bit digest of (name, unit, attributes, origin resource)
    name: str
    unit: str
    kind: str  # gauge, sum, histogram, exponential_histogram, summary
    attributes: dict[str, Any]
    at_us: int
    value: float | None = None
    count: int | None = None
    total: float | None = None
    low: float | None = None
    high: float | None = None
    buckets: dict[str, Any] | None = None


@dataclass(slots=True)
class MetricIntake:
    """What one /v1/metrics request became: `received == len(points) + dropped + rejected`."""

    received: int = 0
    points: list[MetricPoint] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)


WrongField = tuple[str, str, str | None, str | None]


class WireError(Exception):
    """A body that cannot be read at all. `status` is the HTTP status, `code` the google.rpc.Status code.

    `errors` are its fields where they are known: (field, message, limit, value), the last two perhaps None.
    """

    def __init__(self, message: str, status: int = 400, code: int = 3, errors: tuple[WrongField, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.errors = errors
