"""Names that differ by client and mean the same: providers and finish reasons, as data."""

from __future__ import annotations

import re

PROVIDERS: dict[str, str] = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azure-openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "amazon": "aws.bedrock",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertex-ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "google_vertexai": "gcp.vertex_ai",
    "google-vertex": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "google_genai": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google_ai_studio": "gcp.gemini",
    "google_generativeai": "gcp.gemini",
    "gcp.gen_ai": "gcp.gemini",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "mistral-ai": "mistral_ai",
    "xai": "x_ai",
    "x-ai": "x_ai",
    "grok": "x_ai",
    "ibm": "ibm.watsonx.ai",
    "watsonx": "ibm.watsonx.ai",
    "together_ai": "together",
    "togetherai": "together",
    "fireworks_ai": "fireworks",
    "moonshotai": "moonshot_ai",
}
# What some clients write where they do not know, or where a framework stands instead of a provider.
NO_PROVIDERS = frozenset({
    "", "null", "none", "unknown", "_other", "other", "langchain", "llamaindex", "custom", "custom_openai", "litellm",
})  # fmt: skip
# Where no provider is told: the model's name tells it, for those names that only one provider gives.
MODEL_PROVIDERS: tuple[tuple[str, str], ...] = (
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1", "openai"),
    ("o3", "openai"),
    ("o4-", "openai"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("claude", "anthropic"),
    ("gemini-", "gcp.gemini"),
    ("mistral-", "mistral_ai"),
    ("codestral", "mistral_ai"),
    ("ministral", "mistral_ai"),
    ("command-", "cohere"),
    ("embed-english", "cohere"),
    ("embed-multilingual", "cohere"),
    ("deepseek-", "deepseek"),
    ("grok-", "x_ai"),
)
_HOST = re.compile(
    r"(?:\d{1,3}(?:\.\d{1,3}){3}|localhost|[^/]*://.*|.+\.(?:com|net|org|io|dev|local|internal))(?::\d+)?(?:/.*)?\Z"
)

FINISH_REASONS: dict[str, str] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "completed": "stop",
    "complete": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "finish_reason_stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "incomplete": "length",
    "tool_call": "tool_call",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "guardrail_intervened": "content_filter",
    "refusal": "refusal",
    "error": "error",
    "failed": "error",
    "cancelled": "error",
    "malformed_function_call": "error",
}
_seen: dict[str, str | None] = {}


def provider_name(raw: str) -> str | None:
    """The provider as the GenAI conventions name it; None where the text is none (a host, "unknown", a framework)."""
    found = _seen.get(raw, "")
    if found != "":
        return found
    key = raw.strip().lower()
    known = None if key in NO_PROVIDERS or _HOST.match(key) else PROVIDERS.get(key, key)
    if len(_seen) < 1000 and len(raw) <= 100:
        _seen[raw] = known
    return known


def provider_of_model(model: str) -> str | None:
    """The provider that a model's name gives away, None where several serve it."""
    name = model.lower()
    for prefix, provider in MODEL_PROVIDERS:
        if name.startswith(prefix):
            return provider
    return None


def finish_reason(raw: str) -> str:
    """stop, length, tool_call, content_filter, refusal, error, or other."""
    return FINISH_REASONS.get(raw) or FINISH_REASONS.get(raw.strip().lower(), "other")
