"""Who is speaking: instrumentation scopes and attribute prefixes, as data. New scopes appear every month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traces.canonical.types import Vocabulary

EXACT: dict[str, Vocabulary] = {
    "opentelemetry.instrumentation.openai_v2": Vocabulary.GENAI,
    "opentelemetry.instrumentation.openai.v1": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.anthropic": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.bedrock": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.cohere": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.google_generativeai": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.groq": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.langchain": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.llamaindex": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.mistralai": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.ollama": Vocabulary.OPENLLMETRY,
    "opentelemetry.instrumentation.vertexai": Vocabulary.OPENLLMETRY,
    "traceloop.tracer": Vocabulary.OPENLLMETRY,
    "openlit": Vocabulary.OPENLIT,
    "langfuse-sdk": Vocabulary.LANGFUSE,
    "pydantic-ai": Vocabulary.LOGFIRE,
    "logfire": Vocabulary.LOGFIRE,
    "mlflow.tracing.provider": Vocabulary.MLFLOW,
    "langsmith": Vocabulary.LANGSMITH,
    "litellm": Vocabulary.LITELLM,
    "com.anthropic.sdk.python": Vocabulary.ANTHROPIC,
    "telltale.native": Vocabulary.NATIVE,
}
PREFIXES: tuple[tuple[str, Vocabulary], ...] = (
    ("opentelemetry.instrumentation.genai.", Vocabulary.GENAI),
    ("opentelemetry.util.genai", Vocabulary.GENAI),
    ("openinference.", Vocabulary.OPENINFERENCE),
    ("openlit.", Vocabulary.OPENLIT),
    ("logfire.", Vocabulary.LOGFIRE),
    ("pydantic_ai", Vocabulary.LOGFIRE),
    ("mlflow.", Vocabulary.MLFLOW),
    ("langsmith.", Vocabulary.LANGSMITH),
    ("com.anthropic.sdk.", Vocabulary.ANTHROPIC),
)
HTTP_SCOPES = frozenset(
    f"opentelemetry.instrumentation.{name}"
    for name in (
        "aiohttp_client", "aiohttp_server", "asgi", "django", "fastapi", "flask", "httpx", "requests", "starlette",
        "tornado", "urllib", "urllib3", "wsgi",
    )
)  # fmt: skip
# For scopes that no table knows: the first of these prefixes that an attribute of the span begins with.
ATTRIBUTE_PREFIXES: tuple[tuple[str, Vocabulary], ...] = (
    ("langfuse.", Vocabulary.LANGFUSE),
    ("mlflow.", Vocabulary.MLFLOW),
    ("langsmith.", Vocabulary.LANGSMITH),
    ("openinference.", Vocabulary.OPENINFERENCE),
    ("traceloop.", Vocabulary.OPENLLMETRY),
    ("gen_ai.", Vocabulary.GENAI),
    ("llm.", Vocabulary.OPENINFERENCE),
    ("logfire.", Vocabulary.LOGFIRE),
    ("http.", Vocabulary.HTTP),
)
# Speakers that never show cache counts, so that their absence does not mean 0. The handler's scope is what openai-v2
# writes chats under in its new mode; its successors have scopes of their own.
CACHE_BLIND_SCOPES = frozenset(
    {"opentelemetry.instrumentation.openai_v2", "opentelemetry.util.genai.handler", "logfire.openai"}
)
CACHE_BLIND_VOCABULARIES = frozenset({Vocabulary.LITELLM})


def vocabulary_of_scope(name: str) -> Vocabulary | None:
    """The vocabulary that a scope name tells, None for names that no table knows."""
    found = EXACT.get(name)
    if found is not None:
        return found
    if name in HTTP_SCOPES:
        return Vocabulary.HTTP
    for prefix, vocabulary in PREFIXES:
        if name.startswith(prefix):
            return vocabulary
    return None


def vocabulary_of_attributes(attributes: Mapping[str, Any]) -> Vocabulary:
    """The vocabulary that a span's attribute names tell, `plain` where they tell nothing."""
    if "openinference.span.kind" in attributes:
        return Vocabulary.OPENINFERENCE
    best = len(ATTRIBUTE_PREFIXES)
    for key in attributes:
        if key[:1] in "lmotgh":
            for at in range(best):
                if key.startswith(ATTRIBUTE_PREFIXES[at][0]):
                    best = at
                    break
    return ATTRIBUTE_PREFIXES[best][1] if best < len(ATTRIBUTE_PREFIXES) else Vocabulary.PLAIN
