"""Which attribute says what, and which one is believed first: the mapping as data (docs/data-model.md).

A key leads to a slot and a rank; of several keys for one slot the lowest rank wins. The order of each tuple below is
the order of belief: explicit vendor, current GenAI, OpenInference, deprecated GenAI, OpenLLMetry, bare names.
"""

from __future__ import annotations

import re

from traces.canonical.types import Kind


class Slot:
    """Where an attribute goes. REST stays an attribute; everything else is kept, as sent, in the body.

    Plain integers, not an enum: they index lists in the hottest loop, and an enum member hashes in Python.
    """

    REST = 0
    RAW = 1
    CONTENT_IN = 2
    CONTENT_OUT = 3
    METADATA = 4  # one entry of the user's metadata; the key behind the prefix names it
    METADATA_MAP = 5  # a map (or its JSON) of metadata
    TAG = 6  # one tag: the key behind the prefix and its value
    TAGS = 7
    KIND = 8
    TYPED = 9  # from here on: one value a slot, by rank
    MODEL_REQUESTED = 10
    MODEL_ANSWERED = 11
    PROVIDER = 12
    RESPONSE_ID = 13
    OPERATION = 14
    SERVICE_TIER = 15
    FINISH = 16
    TTFT_SECONDS = 17
    TTFT_IF_STREAMED = 18
    TTFT_AT = 19
    STREAMED = 20
    USER = 21
    SESSION = 22
    FEATURE = 23
    ENVIRONMENT = 24
    RELEASE = 25
    SERVICE = 26
    PROMPT_NAME = 27
    PROMPT_VERSION = 28
    AGENT_NAME = 29
    WORKFLOW_NAME = 30
    TOOL_NAME = 31
    ERROR_TYPE = 32
    ERROR_MESSAGE = 33
    ERROR_STACK = 34
    LEVEL = 35
    INVOCATION = 36  # a JSON map of parameters that may name the model asked for
    COST = 37
    USAGE_MAP = 38
    PENDING = 39
    SCRUBBED = 40
    ACCOUNTING = 41
    TOKENS_IN = 50
    TOKENS_OUT = 51
    TOKENS_TOTAL = 52
    CACHE_READ = 53
    CACHE_WRITE = 54
    CACHE_WRITE_5M = 55
    CACHE_WRITE_1H = 56
    REASONING = 57
    AUDIO_IN = 58
    AUDIO_OUT = 59
    IN_DETAILS = 60
    OUT_DETAILS = 61
    AGGREGATED_IN = 62
    AGGREGATED_OUT = 63
    AGGREGATED_READ = 64
    AGGREGATED_WRITE = 65
    AGGREGATED_REASONING = 66
    COUNT = 67


TYPED_KEYS: dict[int, tuple[str, ...]] = {
    Slot.KIND: (
        "telltale.kind", "langfuse.observation.type", "mlflow.spanType", "langsmith.span.kind",
        "gen_ai.operation.name", "openinference.span.kind", "traceloop.span.kind", "llm.request.type",
    ),
    Slot.MODEL_REQUESTED: ("langsmith.metadata.ls_model_name", "gen_ai.request.model", "llm.request.model", "model"),
    Slot.MODEL_ANSWERED: (
        "langfuse.observation.model.name", "mlflow.llm.model", "gen_ai.response.model", "llm.model_name",
        "embedding.model_name", "reranker.model_name", "llm.response.model",
    ),
    Slot.PROVIDER: (
        "mlflow.llm.provider", "langsmith.metadata.ls_provider", "gen_ai.provider.name", "llm.provider", "llm.system",
        "gen_ai.system", "llm.vendor",
    ),
    Slot.RESPONSE_ID: ("gen_ai.response.id", "llm.response.id"),
    Slot.SERVICE_TIER: (
        "gen_ai.response.service_tier", "openai.response.service_tier", "gen_ai.openai.response.service_tier",
        "anthropic.response.service_tier", "telltale.service_tier",
    ),
    Slot.FINISH: (
        "langfuse.observation.metadata.finish_reason", "gen_ai.response.finish_reasons", "llm.finish_reason",
        "gen_ai.response.finish_reason", "llm.response.finish_reason", "llm.response.stop_reason",
        "anthropic.message.stop_reason",
    ),
    Slot.TTFT_SECONDS: (
        "telltale.ttft_seconds", "gen_ai.response.time_to_first_chunk", "gen_ai.client.operation.time_to_first_chunk",
    ),
    Slot.TTFT_IF_STREAMED: ("gen_ai.server.time_to_first_token",),
    Slot.TTFT_AT: ("langfuse.observation.completion_start_time",),
    Slot.STREAMED: ("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming", "llm.request.stream", "stream"),
    Slot.USER: (
        "langfuse.user.id", "mlflow.trace.user", "langsmith.metadata.user_id", "user.id", "enduser.id",
        "gen_ai.request.user", "llm.user", "traceloop.association.properties.user_id", "metadata.user_id", "user_id",
    ),
    Slot.SESSION: (
        "langfuse.session.id", "mlflow.trace.session", "langsmith.metadata.session_id",
        "langsmith.metadata.thread_id", "langsmith.metadata.conversation_id", "langsmith.trace.session_id",
        "gen_ai.conversation.id", "session.id",
        "traceloop.association.properties.session_id", "traceloop.association.properties.chat_id",
        "metadata.session_id", "metadata.thread_id", "session_id",
    ),
    Slot.FEATURE: ("telltale.feature", "app.feature"),
    Slot.ENVIRONMENT: (
        "telltale.environment", "langfuse.environment", "deployment.environment.name", "deployment.environment",
    ),
    Slot.RELEASE: ("telltale.release", "app.release", "service.version", "langfuse.release", "langfuse.version"),
    Slot.SERVICE: ("service.name",),
    Slot.PROMPT_NAME: (
        "telltale.prompt.name", "langfuse.observation.prompt.name", "gen_ai.prompt.name", "llm.prompt_template.name",
        "traceloop.prompt.key",
    ),
    Slot.PROMPT_VERSION: (
        "telltale.prompt.version", "langfuse.observation.prompt.version", "gen_ai.prompt.version",
        "llm.prompt_template.version", "traceloop.prompt.version",
    ),
    Slot.AGENT_NAME: ("gen_ai.agent.name", "agent.name", "agent_name"),
    Slot.WORKFLOW_NAME: ("gen_ai.workflow.name", "traceloop.workflow.name"),
    Slot.TOOL_NAME: ("gen_ai.tool.name", "tool.name"),
    Slot.ERROR_TYPE: ("error.type", "langsmith.error.type"),
    Slot.ERROR_MESSAGE: ("langfuse.observation.status_message", "error.message"),
    Slot.ERROR_STACK: ("error.stack_trace", "error.stack"),
    Slot.LEVEL: ("langfuse.observation.level",),
    Slot.INVOCATION: ("llm.invocation_parameters", "embedding.invocation_parameters"),
    Slot.COST: (
        "telltale.cost_usd", "langfuse.observation.cost_details", "mlflow.llm.cost", "gen_ai.usage.cost",
        "gen_ai.cost.total_cost", "llm.cost.total", "llm.response.cost", "operation.cost",
    ),
    Slot.USAGE_MAP: (
        "langfuse.observation.usage_details", "mlflow.chat.tokenUsage", "langsmith.metadata.usage_metadata",
        "metadata.usage_object", "gen_ai.usage.raw",
    ),
    Slot.PENDING: ("logfire.span_type",),
    Slot.SCRUBBED: ("logfire.scrubbed",),
    Slot.ACCOUNTING: ("telltale.usage.accounting",),
    Slot.TOKENS_IN: (
        "gen_ai.usage.input_tokens", "llm.token_count.prompt", "gen_ai.usage.prompt_tokens", "llm.usage.prompt_tokens",
    ),
    Slot.TOKENS_OUT: (
        "gen_ai.usage.output_tokens", "llm.token_count.completion", "gen_ai.usage.completion_tokens",
        "llm.usage.completion_tokens",
    ),
    Slot.TOKENS_TOTAL: (
        "gen_ai.usage.total_tokens", "llm.token_count.total", "llm.usage.total_tokens", "gen_ai.client.token.usage",
    ),
    Slot.CACHE_READ: (
        "gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached",
        "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens",
    ),
    Slot.CACHE_WRITE: (
        "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens",
        "llm.token_count.prompt_details.cache_write", "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.input_tokens.cache_write", "gen_ai.usage.details.cache_write_tokens",
        "gen_ai.usage.details.cache_creation_input_tokens",
    ),
    Slot.CACHE_WRITE_5M: (
        "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens",
        "anthropic.usage.cache_creation.ephemeral_5m_input_tokens",
    ),
    Slot.CACHE_WRITE_1H: (
        "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens",
    ),
    Slot.REASONING: (
        "gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning_tokens", "gen_ai.usage.details.reasoning_tokens", "llm.usage.reasoning_tokens",
    ),
    Slot.AUDIO_IN: (
        "gen_ai.usage.audio.input_tokens", "llm.token_count.prompt_details.audio",
        "gen_ai.usage.details.input_audio_tokens",
    ),
    Slot.AUDIO_OUT: (
        "gen_ai.usage.audio.output_tokens", "llm.token_count.completion_details.audio",
        "gen_ai.usage.details.output_audio_tokens",
    ),
    Slot.IN_DETAILS: ("gen_ai.usage.input_token_details",),
    Slot.OUT_DETAILS: ("gen_ai.usage.output_token_details",),
    Slot.AGGREGATED_IN: ("gen_ai.aggregated_usage.input_tokens",),
    Slot.AGGREGATED_OUT: ("gen_ai.aggregated_usage.output_tokens",),
    Slot.AGGREGATED_READ: ("gen_ai.aggregated_usage.cache_read.input_tokens",),
    Slot.AGGREGATED_WRITE: (
        "gen_ai.aggregated_usage.cache_creation.input_tokens", "gen_ai.aggregated_usage.cache_write.input_tokens",
    ),
    Slot.AGGREGATED_REASONING: (
        "gen_ai.aggregated_usage.details.reasoning_tokens", "gen_ai.aggregated_usage.reasoning.output_tokens",
    ),
    Slot.TAGS: ("telltale.tags", "langfuse.trace.tags", "tag.tags", "logfire.tags", "langsmith.span.tags"),
    Slot.METADATA_MAP: ("telltale.metadata", "metadata", "langfuse.trace.metadata", "langfuse.observation.metadata"),
}  # fmt: skip

CONTENT_IN_KEYS = (
    "gen_ai.input.messages", "gen_ai.prompt", "input.value", "traceloop.entity.input", "langfuse.observation.input",
    "langfuse.trace.input", "mlflow.spanInputs", "pydantic_ai.all_messages", "all_messages_events", "request_data",
    "gen_ai.tool.call.arguments", "gen_ai.tool.args", "tool_arguments", "gen_ai.retrieval.query.text",
    "reranker.query", "llm.prompts", "input", "telltale.input",
)  # fmt: skip
CONTENT_OUT_KEYS = (
    "gen_ai.output.messages", "gen_ai.completion", "output.value", "traceloop.entity.output",
    "langfuse.observation.output", "langfuse.trace.output", "mlflow.spanOutputs", "final_result", "response_data",
    "gen_ai.tool.call.result", "tool_response", "gen_ai.retrieval.documents", "documents", "llm.completions", "output",
    "telltale.output",
)  # fmt: skip
RAW_KEYS = (
    "gen_ai.system_instructions", "gen_ai.tool.definitions", "gen_ai.tool.type", "gen_ai.tool.call.id",
    "gen_ai.tool.description", "gen_ai.data_source.id", "gen_ai.retrieval.top_k", "input.mime_type",
    "output.mime_type", "llm.prompt_template.template", "llm.prompt_template.variables", "mlflow.chat.tools",
    "tool.parameters", "tool.description", "tool_call.id", "langfuse.observation.model.parameters",
    "model_request_parameters", "reranker.top_k", "gen_ai.output.type", "traceloop.entity.name",
    "telltale.prompt.variables",
    "telltale.state",
)  # fmt: skip
# Families of keys: what the first matching prefix says. Longer prefixes stand before the ones that contain them.
FAMILIES: tuple[tuple[str, int], ...] = (
    ("llm.input_messages.", Slot.CONTENT_IN),
    ("llm.output_messages.", Slot.CONTENT_OUT),
    ("llm.tools.", Slot.RAW),
    ("llm.prompts.", Slot.CONTENT_IN),
    ("llm.completions.", Slot.CONTENT_OUT),
    ("llm.request.functions.", Slot.RAW),
    ("gen_ai.prompt.", Slot.CONTENT_IN),
    ("gen_ai.completion.", Slot.CONTENT_OUT),
    ("gen_ai.request.", Slot.RAW),
    ("retrieval.documents.", Slot.CONTENT_OUT),
    ("reranker.input_documents.", Slot.CONTENT_IN),
    ("reranker.output_documents.", Slot.CONTENT_OUT),
    ("embedding.embeddings.", Slot.CONTENT_IN),
    ("langfuse.trace.metadata.", Slot.METADATA),
    ("langfuse.observation.metadata.", Slot.METADATA),
    ("traceloop.association.properties.", Slot.METADATA),
    ("traceloop.prompt.", Slot.RAW),
    ("langsmith.metadata.", Slot.METADATA),
    ("telltale.metadata.", Slot.METADATA),
    ("metadata.", Slot.METADATA),
    ("mlflow.traceTag.", Slot.TAG),
)
# LiteLLM's raw child span: llm.<provider>.<field>.
_LITELLM = re.compile(r"llm\.\w+\.(messages|input|prompt|choices|content|usage|id|model|stop_reason)\Z")
_LITELLM_SLOTS = {
    "messages": (Slot.CONTENT_IN, 0),
    "input": (Slot.CONTENT_IN, 0),
    "prompt": (Slot.CONTENT_IN, 0),
    "choices": (Slot.CONTENT_OUT, 0),
    "content": (Slot.CONTENT_OUT, 0),
    "usage": (Slot.USAGE_MAP, 50),
    "id": (Slot.RESPONSE_ID, 50),
    "model": (Slot.MODEL_ANSWERED, 50),
    "stop_reason": (Slot.FINISH, 50),
}

KINDS: dict[str, dict[str, Kind]] = {
    "telltale.kind": {kind.name.lower(): kind for kind in Kind} | {"llm": Kind.GENERATION, "retrieval": Kind.RETRIEVER},
    "langfuse.observation.type": {
        "generation": Kind.GENERATION, "embedding": Kind.EMBEDDING, "retriever": Kind.RETRIEVER, "tool": Kind.TOOL,
        "agent": Kind.AGENT, "chain": Kind.CHAIN, "guardrail": Kind.GUARDRAIL, "evaluator": Kind.EVALUATOR,
    },
    "mlflow.spanType": {
        "llm": Kind.GENERATION, "chat_model": Kind.GENERATION, "embedding": Kind.EMBEDDING,
        "retriever": Kind.RETRIEVER, "reranker": Kind.RERANKER, "tool": Kind.TOOL, "agent": Kind.AGENT,
        "chain": Kind.CHAIN, "parser": Kind.CHAIN, "workflow": Kind.CHAIN, "guardrail": Kind.GUARDRAIL,
        "evaluator": Kind.EVALUATOR, "memory": Kind.MEMORY,
    },
    "langsmith.span.kind": {
        "llm": Kind.GENERATION, "embedding": Kind.EMBEDDING, "retriever": Kind.RETRIEVER, "tool": Kind.TOOL,
        "chain": Kind.CHAIN, "parser": Kind.CHAIN, "prompt": Kind.PROMPT,
    },
    "gen_ai.operation.name": {
        "chat": Kind.GENERATION, "text_completion": Kind.GENERATION, "generate_content": Kind.GENERATION,
        "completion": Kind.GENERATION, "acompletion": Kind.GENERATION, "responses": Kind.GENERATION,
        "aresponses": Kind.GENERATION, "atext_completion": Kind.GENERATION,
        "embeddings": Kind.EMBEDDING, "embedding": Kind.EMBEDDING, "aembedding": Kind.EMBEDDING,
        "retrieval": Kind.RETRIEVER, "rerank": Kind.RERANKER, "arerank": Kind.RERANKER, "execute_tool": Kind.TOOL,
        "invoke_agent": Kind.AGENT, "create_agent": Kind.AGENT, "plan": Kind.AGENT, "invoke_workflow": Kind.CHAIN,
        "search_memory": Kind.MEMORY, "create_memory": Kind.MEMORY, "update_memory": Kind.MEMORY,
        "upsert_memory": Kind.MEMORY, "delete_memory": Kind.MEMORY,
    },
    "openinference.span.kind": {
        "llm": Kind.GENERATION, "embedding": Kind.EMBEDDING, "retriever": Kind.RETRIEVER, "reranker": Kind.RERANKER,
        "tool": Kind.TOOL, "agent": Kind.AGENT, "chain": Kind.CHAIN, "guardrail": Kind.GUARDRAIL,
        "evaluator": Kind.EVALUATOR, "prompt": Kind.PROMPT,
    },
    "traceloop.span.kind": {
        "tool": Kind.TOOL, "agent": Kind.AGENT, "workflow": Kind.CHAIN, "task": Kind.CHAIN,
    },
    "llm.request.type": {
        "chat": Kind.GENERATION, "completion": Kind.GENERATION, "embedding": Kind.EMBEDDING, "rerank": Kind.RERANKER,
    },
}  # fmt: skip

# Values that these clients write as JSON text (`"\"TOOL\""`): the quotes come off before the value is read.
QUOTED_PREFIXES = ("mlflow.", "langfuse.")
QUOTED_KEYS = frozenset({"model", "stream"})

Rule = tuple[int, int]
RULES: dict[str, Rule] = {}
for _slot, _keys in TYPED_KEYS.items():
    for _rank, _key in enumerate(_keys):
        RULES[_key] = (_slot, _rank)
RULES |= dict.fromkeys(CONTENT_IN_KEYS, (Slot.CONTENT_IN, 0))
RULES |= dict.fromkeys(CONTENT_OUT_KEYS, (Slot.CONTENT_OUT, 0))
for _key in RAW_KEYS:
    RULES.setdefault(_key, (Slot.RAW, 0))

_REST: Rule = (Slot.REST, 0)
_ROOMS = frozenset(prefix.split(".", 1)[0] for prefix, _ in FAMILIES)
LEARNED: dict[str, Rule] = dict(RULES)
LEARNED_MAX = 20_000


def rule_of(key: str) -> Rule:
    """The slot and rank of an attribute name; what was once asked is remembered up to a size."""
    found = LEARNED.get(key)
    if found is None:
        found = _classify(key)
        if len(LEARNED) >= LEARNED_MAX:
            # Names made up by the hundred thousand (ids inside keys) must not grow the table for ever.
            LEARNED.clear()
            LEARNED.update(RULES)
        if len(key) <= 200 and "\x00" not in key:
            LEARNED[key] = found
    return found


def _classify(key: str) -> Rule:
    if key in RULES:
        return RULES[key]
    if key.split(".", 1)[0] in _ROOMS:
        for prefix, slot in FAMILIES:
            if key.startswith(prefix):
                return (slot, 0)
        matched = _LITELLM.match(key)
        if matched:
            return _LITELLM_SLOTS[matched.group(1)]
    return _REST


def behind_prefix(key: str, slot: int) -> str:
    """What a metadata or tag key is called behind its family's prefix."""
    for prefix, of in FAMILIES:
        if of == slot and key.startswith(prefix):
            return key[len(prefix) :]
    return key
