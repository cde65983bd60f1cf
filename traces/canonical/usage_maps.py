"""Usage that comes as one map: Langfuse details, raw provider answers, MLflow, LangSmith, LiteLLM. The keys decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from traces.canonical.usage import ADDITIVE, EXCLUSIVE, INCLUSIVE, UNKNOWN, Counts, to_count

MAX_KEYS = 64
_OPENAI_KEYS = frozenset({"prompt_tokens", "completion_tokens"})
_ANTHROPIC_CACHE = frozenset({"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"})
_GEMINI_IN = ("promptTokenCount", "prompt_token_count")
_IGNORED = frozenset({"total", "total_tokens", "service_tier", "inference_geo", "server_tool_use", "cost"})
# Keys of free maps: each one a bucket of its own.
_ADDITIVE_READ = frozenset({
    "input_cached_tokens", "cache_read_input_tokens", "input_cache_read", "cache_read", "cached", "input_cached",
    "input_cache_read_tokens", "cached_tokens", "input_cache_read_input_tokens",
})  # fmt: skip
_ADDITIVE_WRITE = frozenset({
    "cache_creation_input_tokens", "input_cache_creation", "cache_write", "cache_creation", "input_cache_write",
    "input_cache_creation_tokens", "cache_write_input_tokens",
})  # fmt: skip
_ADDITIVE_5M = frozenset(
    {"input_cache_write_5m", "input_cache_creation_5m", "cache_creation_5m", "ephemeral_5m_input_tokens"}
)
_ADDITIVE_1H = frozenset(
    {"input_cache_write_1h", "input_cache_creation_1h", "cache_creation_1h", "ephemeral_1h_input_tokens"}
)
_ADDITIVE_REASONING = frozenset({"output_reasoning_tokens", "reasoning", "output_reasoning", "reasoning_tokens"})
_ADDITIVE_AUDIO_IN = frozenset({"input_audio_tokens", "input_audio"})
_ADDITIVE_AUDIO_OUT = frozenset({"output_audio_tokens", "output_audio"})


def counts_from_map(usage: Mapping[str, Any], *, inclusive: bool = False) -> Counts:
    """What a usage map says. `inclusive` speakers (MLflow) use Anthropic's names and yet include the cached tokens.

    Raw OpenAI and LangSmith shapes include cached tokens, raw Anthropic names exclude them, raw Gemini names include
    them and put reasoning outside of the output; any other map is additive, each key a bucket of its own.
    """
    if len(usage) > MAX_KEYS:
        usage = dict(list(usage.items())[:MAX_KEYS])
    reader = _Reader(usage)
    if any(key in usage for key in _GEMINI_IN) or "candidatesTokenCount" in usage:
        return reader.gemini()
    if _OPENAI_KEYS & usage.keys() or any(key.endswith(("_details", "_detail")) for key in usage):
        return reader.openai()
    if "input_tokens" in usage or "output_tokens" in usage:
        return reader.anthropic(inclusive)
    return reader.additive()


class _Reader:
    """Takes counts out of a map and remembers whether one of them was none."""

    def __init__(self, usage: Mapping[str, Any]) -> None:
        self.usage = usage
        self.counts = Counts()

    def take(self, *path: str) -> int | None:
        value: Any = self.usage
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return self.count(value)

    def count(self, value: Any) -> int | None:
        if value is None or isinstance(value, Mapping | list):
            return None
        found = to_count(value)
        if found is None:
            self.counts.bad = True
        return found

    def first(self, *paths: tuple[str, ...]) -> int | None:
        for path in paths:
            found = self.take(*path)
            if found is not None:
                return found
        return None

    def gemini(self) -> Counts:
        counts = self.counts
        counts.accounting, counts.reasoning_outside = INCLUSIVE, True
        counts.tokens_in = self.first(("promptTokenCount",), ("prompt_token_count",))
        counts.tokens_out = self.first(("candidatesTokenCount",), ("candidates_token_count",))
        counts.total = self.first(("totalTokenCount",), ("total_token_count",))
        counts.read = self.first(("cachedContentTokenCount",), ("cached_content_token_count",))
        counts.reasoning = self.first(("thoughtsTokenCount",), ("thoughts_token_count",))
        return counts

    def openai(self) -> Counts:
        """Chat completions, responses and LangSmith's usage_metadata: details are subsets of the totals."""
        counts = self.counts
        counts.accounting = INCLUSIVE
        counts.tokens_in = self.first(("prompt_tokens",), ("input_tokens",))
        counts.tokens_out = self.first(("completion_tokens",), ("output_tokens",))
        counts.total = self.take("total_tokens")
        counts.read = self.first(
            ("prompt_tokens_details", "cached_tokens"),
            ("input_tokens_details", "cached_tokens"),
            ("input_token_details", "cache_read"),
            ("cache_read_input_tokens",),
        )
        counts.write = self.first(
            ("prompt_tokens_details", "cache_creation_tokens"),
            ("input_token_details", "cache_creation"),
            ("cache_creation_input_tokens",),
        )
        counts.write_5m = self.first(
            ("input_token_details", "ephemeral_5m_input_tokens"),
            ("prompt_tokens_details", "cache_creation_token_details", "ephemeral_5m_input_tokens"),
            ("cache_creation", "ephemeral_5m_input_tokens"),
        )
        counts.write_1h = self.first(
            ("input_token_details", "ephemeral_1h_input_tokens"),
            ("prompt_tokens_details", "cache_creation_token_details", "ephemeral_1h_input_tokens"),
            ("cache_creation", "ephemeral_1h_input_tokens"),
        )
        counts.reasoning = self.first(
            ("completion_tokens_details", "reasoning_tokens"),
            ("output_tokens_details", "reasoning_tokens"),
            ("output_token_details", "reasoning"),
        )
        counts.audio_in = self.first(
            ("prompt_tokens_details", "audio_tokens"),
            ("input_tokens_details", "audio_tokens"),
            ("input_token_details", "audio"),
        )
        counts.audio_out = self.first(
            ("completion_tokens_details", "audio_tokens"),
            ("output_tokens_details", "audio_tokens"),
            ("output_token_details", "audio"),
        )
        return counts

    def anthropic(self, inclusive: bool) -> Counts:
        counts = self.counts
        counts.tokens_in = self.take("input_tokens")
        counts.tokens_out = self.take("output_tokens")
        counts.total = self.take("total_tokens")
        counts.read = self.take("cache_read_input_tokens")
        counts.write = self.take("cache_creation_input_tokens")
        counts.write_5m = self.take("cache_creation", "ephemeral_5m_input_tokens")
        counts.write_1h = self.first(
            ("cache_creation", "ephemeral_1h_input_tokens"), ("cache_creation_input_tokens_above_1hr",)
        )
        has_cache = bool(_ANTHROPIC_CACHE & self.usage.keys())
        counts.accounting = INCLUSIVE if inclusive else EXCLUSIVE if has_cache else UNKNOWN
        return counts

    def additive(self) -> Counts:
        counts = self.counts
        counts.accounting = ADDITIVE
        for key, value in self.usage.items():
            if key in _IGNORED:
                continue
            found = self.count(value)
            if found is None:
                continue
            field = _additive_field(key)
            if field is not None:
                setattr(counts, field, (getattr(counts, field) or 0) + found)
        counts.total = self.first(("total",), ("total_tokens",))
        return counts


def _additive_field(key: str) -> str | None:
    """The count that a key of a free map adds to; images and documents are plain input, None for what is neither."""
    for keys, field in (
        (_ADDITIVE_READ, "read"),
        (_ADDITIVE_WRITE, "write"),
        (_ADDITIVE_5M, "write_5m"),
        (_ADDITIVE_1H, "write_1h"),
        (_ADDITIVE_REASONING, "reasoning"),
        (_ADDITIVE_AUDIO_IN, "audio_in"),
        (_ADDITIVE_AUDIO_OUT, "audio_out"),
    ):
        if key in keys:
            return field
    if key == "input" or key.startswith(("input_", "prompt_")):
        return "tokens_in"
    if key == "output" or key.startswith(("output_", "completion_")):
        return "tokens_out"
    return None
