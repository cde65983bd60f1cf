"""The steps of one answer, as the shop's assistant takes them.

chat.turn > guard.input, router.classify, policies.search > embed, orders.lookup, answer.generate, guard.output
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from random import Random

from telltale.run.demo.models import (
    CACHE_HITS,
    EMBEDDER,
    ERRORS,
    MODELS,
    PROMPTS,
    ROUTER,
    ROUTER_TOKENS,
    Model,
    Prompt,
    choose_model,
    count_tokens,
)
from telltale.run.demo.texts import Product, Topic, passages, products_of
from telltale.run.demo.values import MS, Call, DemoSpan, DemoTrace, Failure, Search, Value

SEARCHES = {
    "product-search": "catalogue.search",
    "returns": "policies.search",
    "sizing-advice": "sizes.search",
    "checkout-help": "policies.search",
}
BLOCKED = "I can only help with questions about the shop."
REFUSED = "I’m sorry, I can’t help with that request."
BROKEN = "Something went wrong on our side. Please try again in a moment."
BLIND = "I cannot see orders at the moment; please try again in a few minutes."
# One answer in 250 ends with an error; twice as many calls fail, and half of those are tried again with success.
FAILING_SHARE = 0.008
RETRIED_SHARE = 0.5
REFUSED_SHARE = 0.03
Message = dict[str, object]


@dataclass(frozen=True, slots=True)
class Ask:
    """One question, all that its answer depends on but chance."""

    trace_id: bytes
    at: datetime
    topic: Topic
    question: str
    answer: str
    is_worse: bool
    product: Product
    order: str
    history: tuple[tuple[str, str], ...]
    user_id: str
    session_id: str
    language: str
    channel: str
    environment: str
    release: str
    has_new_prompt: bool
    has_new_index: bool
    has_new_rules: bool
    has_new_model: bool
    has_outage: bool


def make_trace(ask: Ask, rng: Random) -> tuple[DemoTrace, str]:
    """The trace of one question, and what the shopper was told."""
    turn = _Turn(ask, rng)
    told = turn.run()
    return turn.trace, told


def user_says(text: str) -> Message:
    """A message of the shopper's."""
    return {"role": "user", "content": text}


def assistant_says(text: str) -> Message:
    """A message of the assistant's."""
    return {"role": "assistant", "content": text}


def conversation(system: str, history: tuple[tuple[str, str], ...], question: str) -> list[Message]:
    """What the model is sent: instructions with passages, what was said before, the question."""
    said: list[Message] = [{"role": "system", "content": system}]
    for asked, told in history:
        said += [user_says(asked), assistant_says(told)]
    return [*said, user_says(question)]


class _Turn:
    """One answer in the making; `now` is where its clock stands."""

    def __init__(self, ask: Ask, rng: Random) -> None:
        self.ask = ask
        self.rng = rng
        metadata: dict[str, Value] = {"language": ask.language, "channel": ask.channel, "turn": len(ask.history) + 1}
        self.trace = DemoTrace(
            ask.trace_id, ask.release, ask.environment, ask.user_id, ask.session_id, ask.topic.feature,
            [ask.language], metadata, ask.is_worse,
        )  # fmt: skip
        self.now = int(ask.at.timestamp() * 1_000_000) * 1000
        self.root = self.trace.add("chat.turn", "chain", self.now, self.now)

    def run(self) -> str:
        root = self.root
        self.wait(2, 6)
        is_blocked = self.rng.random() < 0.004
        self.guard("guard.input", self.ask.question, "blocked: off topic" if is_blocked else "passed")
        told, error = (BLOCKED, None) if is_blocked else self.answer()
        self.wait(1, 4)
        root.end_ns = self.now
        root.input = self.ask.question
        root.attributes["http.response.status_code"] = 200 if error is None else 502
        root.error = error
        if error is None:
            root.output = told
        return told

    def answer(self) -> tuple[str, Failure | None]:
        """Route, look things up, generate; what was told, and the error that ended it."""
        ask, feature = self.ask, self.ask.topic.feature
        self.route()
        found: list[dict[str, object]] = []
        answer = ask.answer
        if feature in SEARCHES:
            found = self.search(SEARCHES[feature])
        if feature == "product-search":
            stock = {"in_stock": True, "pieces": self.rng.randrange(2, 60)}
            self.tool("stock.check", {"product": ask.product.id}, stock, 18, 45)
        needs_order = feature == "order-status" or (feature == "returns" and self.rng.random() < 0.35)
        if needs_order and not self.look_up_order() and feature == "order-status":
            answer = BLIND
        answered, error = self.generate(answer, found)
        if error is None:
            self.guard("guard.output", answered, "passed")
        return (BROKEN, error) if error is not None else (answered, None)

    def route(self) -> None:
        model = MODELS[ROUTER]
        self.wait(1, 3)
        tokens = ROUTER_TOKENS + count_tokens(self.ask.question)
        span = self.model_span("router.classify", "generation", model, self.ms(195, 0.2), tokens, 5)
        span.input = [user_says(self.ask.question)]
        span.output = assistant_says(self.ask.topic.feature)
        if span.call is not None:
            span.call.parameters = {"max_tokens": 20, "temperature": 0.0}
            span.call.finish_reason = "end_turn"

    def search(self, name: str) -> list[dict[str, object]]:
        ask = self.ask
        self.wait(1, 3)
        span = self.trace.add(name, "retriever", self.now, self.now, self.root)
        self.now += 2 * MS
        tokens = count_tokens(ask.question)
        embed = self.model_span("embed", "embedding", MODELS[EMBEDDER], self.ms(72, 0.3), tokens, 0, span)
        embed.input = ask.question
        self.wait(12, 50)
        found = self.found_products() if ask.topic.feature == "product-search" else self.found_passages()
        span.end_ns = self.now
        span.search = Search(ask.question, found, name.split(".")[0])
        return found

    def found_passages(self) -> list[dict[str, object]]:
        wanted = list(self.ask.topic.passages)
        others = [passage for passage in passages().values() if passage.folder == wanted[0].folder]
        more = [passage for passage in self.rng.sample(others, min(3, len(others))) if passage not in wanted]
        # The rebuilt index lacks most of what it had on gifts: one passage, little alike.
        is_bare = self.ask.topic.is_gift and self.ask.has_new_index
        chosen, top = (wanted[:1], 0.6) if is_bare else (wanted + more, 0.83)
        scores = sorted((top - self.rng.uniform(0.0, 0.09) * (at + 1) for at in range(len(chosen))), reverse=True)
        return [
            {"id": passage.id, "content": passage.text, "score": round(score, 3), "metadata": {"source": passage.place}}
            for passage, score in zip(chosen, scores, strict=True)
        ]

    def found_products(self) -> list[dict[str, object]]:
        kin = [product for product in products_of(self.ask.topic.kind) if product is not self.ask.product]
        chosen = [self.ask.product, *self.rng.sample(kin, min(3, len(kin)))]
        score = self.rng.uniform(0.8, 0.9)
        found: list[dict[str, object]] = []
        for product in chosen:
            text = f"{product.name}, ${product.price}. {product.about}"
            kind = {"kind": product.kind}
            found.append({"id": product.id, "content": text, "score": round(score, 3), "metadata": kind})
            score -= self.rng.uniform(0.02, 0.1)
        return found

    def look_up_order(self) -> bool:
        """Whether the order was found; the first try fails now and then, the second hardly ever."""
        given = {"order": self.ask.order}
        found = {"order": self.ask.order, "items": [self.ask.product.id], "state": self.rng.choice(("sent", "packed"))}
        if self.rng.random() < 0.06:
            self.tool("orders.lookup", given, None, 90, 160, is_down=True)
            self.wait(40, 60)
            if self.rng.random() < 0.08:
                self.tool("orders.lookup (retry)", given, None, 1800, 2100, is_down=True)
                return False
            self.tool("orders.lookup (retry)", given, found, 70, 140)
        else:
            self.tool("orders.lookup", given, found, 60, 140)
        return True

    def generate(self, answer: str, found: list[dict[str, object]]) -> tuple[str, Failure | None]:
        """The model call that answers, tried again where it fails: what it said, and the error of the last try."""
        ask, rng = self.ask, self.rng
        model = choose_model(ask.topic.feature, ask.question, ask.has_new_rules, ask.has_new_model, rng)
        prompt = _prompt(ask)
        refuses = rng.random() < REFUSED_SHARE
        answer = REFUSED if refuses else answer
        passages_text = "\n".join(str(item["content"]) for item in found)
        messages = conversation(f"{prompt.text}\n\n{passages_text}".strip(), ask.history, ask.question)
        self.wait(2, 5)
        is_overloaded = ask.has_outage and model.provider == "anthropic" and rng.random() < 0.4
        if is_overloaded or rng.random() < FAILING_SHARE:
            error = self.fail(model, prompt, messages, is_overloaded)
            if rng.random() > RETRIED_SHARE:
                return "", error
            self.wait(400, 900)
        said = sum(count_tokens(str(message["content"])) + 4 for message in messages[1:])
        tokens_in = prompt.tokens + count_tokens(passages_text) + said
        tokens_out = count_tokens(answer)
        is_cut = not refuses and rng.random() < (0.039 if prompt.version == "v18" else 0.012)
        if is_cut:
            answer, tokens_out = answer[: len(answer) * 2 // 3], 400
        first = self.ms(model.first_token_ms, 0.13)
        # One call in fourteen meets a busy machine; a long answer would then take minutes, and people would leave.
        is_slow = rng.random() < 0.07 and not is_cut
        pace = rng.uniform(0.12, 0.35) if is_slow else rng.uniform(0.6, 1.15)
        took = first + int(tokens_out / (model.tokens_per_s * pace) * 1e9)
        span = self.model_span("answer.generate", "generation", model, took, tokens_in, tokens_out)
        span.input, span.output = messages, assistant_says(answer)
        if span.call is not None:
            self.tell_call(span.call, prompt)
            span.call.ttft_ns = first
            words = ("end_turn", "max_tokens") if model.provider == "anthropic" else ("stop", "length")
            span.call.finish_reason = "refusal" if refuses else words[is_cut]
            span.call.cache_read, span.call.cache_written = self.cached(model, prompt)
        return answer, None

    def tell_call(self, call: Call, prompt: Prompt) -> None:
        call.parameters = {"temperature": 0.2, "max_tokens": 400, "stream": True}
        call.prompt = (prompt.name, prompt.version)

    def fail(self, model: Model, prompt: Prompt, messages: list[Message], is_overloaded: bool) -> Failure:
        kinds = ERRORS[model.provider]
        kind, message = kinds[0] if is_overloaded else self.rng.choice(kinds)
        took = 20_000 * MS if "timed out" in message else self.ms(700, 0.5)
        span = self.model_span("answer.generate", "generation", model, took, None, None)
        span.input = messages
        if span.call is not None:
            self.tell_call(span.call, prompt)
        place = 'Traceback (most recent call last):\n  File "/app/shop/answer.py", line 88, in generate'
        span.error = Failure(kind, message, f"{place}\n{kind}: {message}")
        return span.error

    def cached(self, model: Model, prompt: Prompt) -> tuple[int, int | None]:
        """What of the prompt came from the provider's cache, and what went into it (None where that costs nothing)."""
        written = 0 if model.provider == "anthropic" else None
        if not model.cache_tokens or prompt.tokens < model.cache_tokens:
            return 0, written
        if self.rng.random() < CACHE_HITS.get(prompt.name, 0.7):
            return (prompt.tokens if model.provider == "anthropic" else 1024), written
        if model.provider == "anthropic" and self.rng.random() < 0.6:
            return 0, prompt.tokens
        return 0, written

    def model_span(
        self,
        name: str,
        kind: str,
        model: Model,
        took_ns: int,
        tokens_in: int | None,
        tokens_out: int | None,
        parent: DemoSpan | None = None,
    ) -> DemoSpan:
        span = self.trace.add(name, kind, self.now, self.now + took_ns, parent or self.root)
        span.attributes["server.address"] = model.host
        span.call = Call(model.name, model.provider, tokens_in, tokens_out or None)
        if tokens_in is not None and model.id_prefix:
            digest = hashlib.blake2b(span.span_id, digest_size=12).hexdigest()
            span.call.response_id = model.id_prefix + digest
            span.call.cache_read = 0
        self.now = span.end_ns
        return span

    def tool(
        self, name: str, given: object, result: object, low_ms: int, high_ms: int, *, is_down: bool = False
    ) -> None:
        self.wait(1, 3)
        took = int(self.rng.uniform(low_ms, high_ms) * MS)
        span = self.trace.add(name, "tool", self.now, self.now + took, self.root)
        span.input, span.output = given, result
        if is_down:
            span.error = Failure("ServiceUnavailable", "503 Service Unavailable")
            span.attributes["http.response.status_code"] = 503
        self.now = span.end_ns

    def guard(self, name: str, text: str, verdict: str) -> None:
        self.wait(1, 3)
        took = int(self.rng.uniform(14, 46) * MS)
        span = self.trace.add(name, "guardrail", self.now, self.now + took, self.root)
        span.input, span.output = text, verdict
        self.now = span.end_ns

    def wait(self, low_ms: float, high_ms: float) -> None:
        self.now += int(self.rng.uniform(low_ms, high_ms) * MS)

    def ms(self, median: float, sigma: float) -> int:
        """A latency in nanoseconds around `median` milliseconds, with a long tail."""
        return int(median * self.rng.lognormvariate(0, sigma) * MS)


def _prompt(ask: Ask) -> Prompt:
    if ask.topic.feature == "returns":
        return PROMPTS["v18" if ask.has_new_prompt else "v17"]
    return PROMPTS[ask.topic.feature]
