"""The models of the demo's shop and its prompts: how fast they are, what they are sent, what goes wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

ROUTER = "claude-3-5-haiku"
EMBEDDER = "text-embedding-3-small"
# What the router is told of the features, beside the question.
ROUTER_TOKENS = 586


@dataclass(frozen=True, slots=True)
class Model:
    """A model behind an API. `cache_tokens` is the smallest prompt that is cached, 0 for never."""

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
_ANTHROPIC = "api.anthropic.com"
_OWN = "gpu-1.internal"
MODELS = {
    model.name: model
    for model in (
        Model("gpt-4-turbo", "openai", _OPENAI, "chatcmpl-", 330, 47, 1024),
        Model("claude-3-opus", "anthropic", _ANTHROPIC, "msg_", 350, 27, 1024),
        Model("claude-3-5-haiku", "anthropic", _ANTHROPIC, "msg_", 345, 56, 2048),
        Model("mixtral-8x7b", "vllm", _OWN, "cmpl-", 300, 52, 0),
        # Tried on the shop's own machines since yesterday: nobody has given it a price yet.
        Model("mixtral-8x22b", "vllm", _OWN, "cmpl-", 380, 38, 0),
        Model(EMBEDDER, "openai", _OPENAI, "", 0, 0, 0),
    )
}
# Weights of the models that answer, by feature.
MIX = {
    "product-search": {"claude-3-5-haiku": 66, "mixtral-8x7b": 30, "gpt-4-turbo": 4},
    "order-status": {"claude-3-5-haiku": 45, "mixtral-8x7b": 55},
    "returns": {"claude-3-5-haiku": 58, "mixtral-8x7b": 18, "gpt-4-turbo": 22, "claude-3-opus": 2},
    "sizing-advice": {"claude-3-5-haiku": 60, "mixtral-8x7b": 22, "gpt-4-turbo": 12, "claude-3-opus": 6},
    "checkout-help": {"claude-3-5-haiku": 55, "mixtral-8x7b": 20, "gpt-4-turbo": 12, "claude-3-opus": 13},
}
# How often the provider still has the prompt in its cache.
CACHE_HITS = {"product-search": 0.85, "returns": 0.55}
_BASE = "You are the assistant of a shop for outdoor and household things. Answer in the shopper’s language. "
PROMPTS = {
    "v17": Prompt(
        "returns",
        "v17",
        2112,
        _BASE + "You help shoppers with returns. State only what the passages below say; where they say nothing, offer "
        "a colleague. Never guess a number of days. Say what happens next.",
    ),
    "v18": Prompt(
        "returns",
        "v18",
        2064,
        _BASE + "You help shoppers with returns. Answer in two sentences. Use the passages if there are any.",
    ),
    "product-search": Prompt(
        "product-search",
        "v9",
        2080,
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
    "checkout-help": Prompt(
        "checkout-help",
        "v2",
        1408,
        _BASE + "Help with paying, from the passages. Never ask for card numbers.",
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
# More than this many characters of a question are "long" for the router since its rules r7.
LONG_QUESTION = 60


def choose_model(feature: str, question: str, has_new_rules: bool, has_new_model: bool, rng: Random) -> Model:
    """Which model answers. New rules send more of the long questions to the large one; a new model is on trial."""
    mix = MIX[feature]
    draw = rng.random()
    name = rng.choices(list(mix), list(mix.values()))[0]
    if has_new_rules and len(question) > LONG_QUESTION and draw < 0.15:
        name = "gpt-4-turbo"
    elif has_new_model and feature == "order-status" and draw > 0.9:
        name = "mixtral-8x22b"
    return MODELS[name]


def count_tokens(text: str) -> int:
    """About as many tokens as a tokenizer would make of a text: a quarter of its letters, one for each ideograph."""
    quarters = sum(1 if character < "\u0250" else 2 if character < "\u2e80" else 4 for character in text)
    return max(1, -(-quarters // 4))
