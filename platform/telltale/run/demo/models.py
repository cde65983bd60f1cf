"""The models of the demo's shop and its prompts: how fast they are, what they are sent, what goes wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

ROUTER = "gpt-4o-mini"
EMBEDDER = "text-embedding-3-small"


@dataclass(frozen=True, slots=True)
class Model:
    """A model behind an API. `cache_tokens` is the smallest prompt its provider caches, 0 for never."""

    name: str
    provider: str
    host: str
    id_prefix: str
    first_token_ms: float
    tokens_per_s: float
    cache_tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A system prompt; `tokens` are those of its text, its examples and the tools' schemas together."""

    name: str
    version: str
    tokens: int
    text: str


_OPENAI = "api.openai.com"
MODELS = {
    model.name: model
    for model in (
        Model("gpt-4-turbo", "openai", _OPENAI, "chatcmpl-", 620, 41, 0),
        Model("gpt-4o-mini", "openai", _OPENAI, "chatcmpl-", 340, 92, 1024),
        Model("claude-3-5-haiku", "anthropic", "api.anthropic.com", "msg_", 410, 68, 2048),
        # Runs on the shop's own machine: no price list knows it.
        Model("alpine-8b-sizes", "vllm", "gpu-1.internal", "cmpl-", 130, 55, 0),
        Model(EMBEDDER, "openai", _OPENAI, "", 0, 0, 0),
    )
}
_BASE = "You are the assistant of a shop for outdoor and household things. Answer in the shopper’s language. "
PROMPTS = {
    "v17": Prompt(
        "returns",
        "v17",
        2112,
        _BASE + "You help shoppers with returns. Answer in two sentences. State only what the passages below say; "
        "where they say nothing, offer a colleague. Never guess a number of days.",
    ),
    "v18": Prompt(
        "returns",
        "v18",
        2304,
        _BASE + "You help shoppers with returns. Be warm and generous, reassure the shopper and explain everything in "
        "detail. Use the passages if there are any. Mention our flexible 60-day promise where it helps.",
    ),
    "product-search": Prompt(
        "product-search",
        "v9",
        1536,
        _BASE + "Recommend one article and one alternative out of the search results, with prices. Do not invent "
        "properties.",
    ),
    "order-status": Prompt(
        "order-status",
        "v4",
        1152,
        _BASE + "Tell where the order is, from what the tools return. If a tool fails, say so.",
    ),
    "sizing-advice": Prompt(
        "sizing-advice",
        "v6",
        1280,
        _BASE + "Recommend one size. Use the size tables in the passages.",
    ),
}
ERRORS = {
    "openai": (
        ("RateLimitError", "429 Rate limit reached for requests per minute. Please try again in 6 s."),
        ("APITimeoutError", "Request timed out after 20 s."),
    ),
    "anthropic": (
        ("OverloadedError", "529 overloaded_error: Overloaded"),
        ("APIConnectionError", "Connection error: server disconnected without sending a response."),
    ),
    "vllm": (("InternalServerError", "500 CUDA out of memory while allocating 512 MiB."),),
}


def choose_model(feature: str, has_own_model: bool, rng: Random) -> Model:
    """Which model answers: the large one for some of the returns, the shop's own for half of the sizes."""
    draw = rng.random()
    if feature == "returns":
        return MODELS["gpt-4-turbo" if draw < 0.3 else "claude-3-5-haiku"]
    if feature == "product-search":
        return MODELS["gpt-4o-mini" if draw < 0.72 else "claude-3-5-haiku"]
    if feature == "sizing-advice":
        return MODELS["alpine-8b-sizes" if has_own_model and draw < 0.5 else "claude-3-5-haiku"]
    return MODELS["gpt-4o-mini"]


def count_tokens(text: str) -> int:
    """About as many tokens as a tokenizer would make of a text: a quarter of its letters, one for each ideograph."""
    quarters = sum(1 if character < "\u0250" else 2 if character < "\u2e80" else 4 for character in text)
    return max(1, -(-quarters // 4))
