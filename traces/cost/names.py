"""Names as price rows and spans write them: providers, models with prefixes and date suffixes, service tiers, globs.

Everything here is linear in the length of the name: models are text that anybody may send.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache

MAX_NAME = 1024

# Spellings of one provider, as semantic conventions, instrumentors and gateways write it -> the key used for matching.
_PROVIDERS = {
    "az.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azureopenai": "azure",
    "microsoft": "azure",
    "amazon": "aws",
    "amazon_bedrock": "aws",
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "googleai": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "fireworks_ai": "fireworks",
    "meta_llama": "meta",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "moonshot_ai": "moonshotai",
    "pplx": "perplexity",
    "together_ai": "together",
    "togetherai": "together",
    "together_computer": "together",
    "voyage": "voyageai",
    "voyage_ai": "voyageai",
    "xai": "x_ai",
}
# Where people run models themselves, or where a model's price is not its maker's: never priced by the model's name.
_NOT_THE_MAKER = frozenset({
    "cerebras", "deepinfra", "fireworks", "groq", "huggingface", "llama_cpp", "llamacpp", "lm_studio", "lmstudio",
    "local", "localai", "nvidia", "nvidia_nim", "ollama", "sambanova", "self_hosted", "sglang", "tgi", "together",
    "triton", "vllm", "xinference",
})  # fmt: skip
# Names that only their makers serve (or sell through a cloud): who made them. Open weights are left out on purpose.
_MAKERS: tuple[tuple[str, str], ...] = (
    ("chatgpt-", "openai"), ("codex-", "openai"), ("ft:gpt-", "openai"), ("gpt-", "openai"), ("o1", "openai"),
    ("o3", "openai"), ("o4-", "openai"), ("text-embedding-3", "openai"), ("text-embedding-ada", "openai"),
    ("claude", "anthropic"), ("gemini", "google"), ("command", "cohere"), ("embed-", "cohere"),
    ("codestral", "mistral"), ("magistral-medium", "mistral"), ("mistral-embed", "mistral"),
    ("mistral-large", "mistral"), ("mistral-medium", "mistral"), ("mistral-small-latest", "mistral"),
    ("pixtral-large", "mistral"), ("deepseek-chat", "deepseek"), ("deepseek-reasoner", "deepseek"),
    ("grok-", "x_ai"), ("voyage-", "voyageai"), ("sonar", "perplexity"),
)  # fmt: skip
_OPEN_WEIGHTS = ("gpt-oss", "gpt-2", "gpt-j", "gpt-neo", "openai/gpt-oss")

# Path segments in front of a model that name its provider or a collection, not the model.
_SEGMENTS = frozenset({
    "accounts", "anthropic", "azure", "bedrock", "cerebras", "cohere", "converse", "deepseek", "fireworks", "google",
    "groq", "locations", "meta", "mistral", "models", "moonshotai", "openai", "openrouter", "perplexity", "projects",
    "publishers", "together", "voyageai", "x_ai", "xai", "aws",
})  # fmt: skip
_DOTTED = re.compile(
    r"(?:(?:global|us-gov|us|eu|apac|jp|au|ca|in|regional)\.)?"
    r"(?:(?:ai21|amazon|anthropic|cohere|deepseek|google|meta|mistral|moonshotai|openai|qwen|writer|zai)\.)?"
)
_VERSION = re.compile(r"(?:-v[0-9]{1,2})?:[0-9]{1,2}(?::[0-9]{1,4}k)?\Z")
_DATE = re.compile(r"[-@](?:20[0-9]{2}-[01][0-9]-[0-3][0-9]|20[0-9]{2}[01][0-9][0-3][0-9])\Z")


class Tier(StrEnum):
    """The service tiers that have prices of their own."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"


_TIERS = {
    "batch": Tier.BATCH,
    "batches": Tier.BATCH,
    "flex": Tier.FLEX,
    "priority": Tier.PRIORITY,
    "fast": Tier.PRIORITY,
}


def tier_of(text: str | None) -> Tier:
    """The price tier a sender's service tier means; what is not known to have its own price is standard."""
    return _TIERS.get(text.strip().lower(), Tier.STANDARD) if text else Tier.STANDARD


def is_own_hosting(provider: str) -> bool:
    """Whether a provider's name is where people run models themselves, or somebody runs open ones for them."""
    return provider.strip().casefold() in _NOT_THE_MAKER


def fold(model: str) -> str:
    """A model name as it is compared: case and surrounding space do not matter."""
    return model[:MAX_NAME].strip().casefold()


@lru_cache(maxsize=1024)
def provider_key(provider: str | None) -> str | None:
    """One spelling for each provider, None where there is none."""
    if not provider or not provider.strip():
        return None
    key = provider[:MAX_NAME].strip().casefold().replace("-", "_").replace(" ", "_")
    return _PROVIDERS.get(key, key)


def makers(provider: str | None, folded_model: str) -> list[str]:
    """Whose prices a model's name stands for where the provider named has none; empty where that is a guess."""
    if provider in _NOT_THE_MAKER:
        return []
    *path, rest = folded_model.split("/")
    hints = [key for key in map(provider_key, path) if key is not None]
    hosts = [key for key in hints if key in _NOT_THE_MAKER]
    if hosts:
        return hosts[:1]
    found = [key for key in hints[-1:] if key != provider]
    name = _DOTTED.sub("", rest, count=1)
    if not name.startswith(_OPEN_WEIGHTS):
        found += [owner for prefix, owner in _MAKERS if name.startswith(prefix) and owner != provider]
    return list(dict.fromkeys(found))


def stripped(folded_model: str) -> list[str]:
    """Other names for a model: without its provider prefix, without its version or date suffix, without both."""
    bare = _without_prefix(folded_model)
    names: list[str] = []
    for name in (bare, _without_suffix(folded_model), _without_suffix(bare)):
        if name and name != folded_model and name not in names:
            names.append(name)
    return names


def _without_prefix(name: str) -> str:
    head, _, tail = name.rpartition("/")
    # Everything between known words, such as a project's id, belongs to the path: the first and the last word decide.
    if head:
        words = head.split("/")
        if provider_key(words[0]) not in _SEGMENTS or provider_key(words[-1]) not in _SEGMENTS:
            return name
    matched = _DOTTED.match(tail)
    return tail[matched.end() :] if matched else tail


def _without_suffix(name: str) -> str:
    return _DATE.sub("", _VERSION.sub("", name))


class Glob:
    """A name pattern with `*` for any text, anchored at both ends. Matches in time linear in the name for each part."""

    __slots__ = ("_first", "_last", "_middle", "literal", "text")

    def __init__(self, text: str) -> None:
        self.text = fold(text)
        parts = self.text.split("*")
        self._first, self._middle, self._last = parts[0], [part for part in parts[1:-1] if part], parts[-1]
        self.literal = len(self.text) - self.text.count("*")

    def matches(self, folded: str) -> bool:
        """Whether the whole of a folded name fits."""
        if "*" not in self.text:
            return folded == self.text
        end = len(folded) - len(self._last)
        at = len(self._first)
        if end < at or not folded.startswith(self._first) or not folded.endswith(self._last):
            return False
        for part in self._middle:
            found = folded.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True
