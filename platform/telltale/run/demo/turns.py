"""The spans of one answer, as the shop's own OpenTelemetry instrumentation would send them.

    chat.turn > guard.input, router.classify, policies.search > embed, orders.lookup, answer.generate, guard.output
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from telltale.run.demo.models import (
    EMBEDDER,
    ERRORS,
    MODELS,
    PROMPTS,
    ROUTER,
    Model,
    Prompt,
    choose_model,
    count_tokens,
)
from telltale.run.demo.texts import Passage, Product, Topic, passages, products_of
from telltale.run.demo.values import CLIENT, MS, SERVER, DemoSpan, DemoTrace, Event, Value

SEARCHES = {"product-search": "catalogue.search", "returns": "policies.search", "sizing-advice": "sizes.search"}
BLOCKED = "I can only help with questions about the shop."
REFUSED = "I’m sorry, I can’t help with that request."
BROKEN = "Something went wrong on our side. Please try again in a moment."
BLIND = "I cannot see orders at the moment; please try again in a few minutes."


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
    has_outage: bool
    has_own_model: bool


def make_trace(ask: Ask, rng: Random) -> tuple[DemoTrace, str]:
    """The trace of one question, and what the shopper was told."""
    turn = _Turn(ask, rng)
    told = turn.run()
    return turn.trace, told


class _Turn:
    """One answer in the making; `now` is where its clock stands."""

    def __init__(self, ask: Ask, rng: Random) -> None:
        self.ask = ask
        self.rng = rng
        self.trace = DemoTrace(ask.trace_id, ask.release, ask.environment)
        self.now = int(ask.at.timestamp() * 1_000_000) * 1000
        self.root = self.trace.add("chat.turn", self.now, self.now, {})
        self.root.otel_kind = SERVER

    def run(self) -> str:
        ask = self.ask
        self.wait(2, 6)
        is_blocked = self.rng.random() < 0.004
        self.guard("guard.input", ask.question, "blocked: off topic" if is_blocked else "passed")
        told, error = (BLOCKED, "") if is_blocked else self.answer()
        self.wait(1, 4)
        root = self.root
        root.end_ns = self.now
        metadata = {"language": ask.language, "channel": ask.channel, "turn": len(ask.history) + 1}
        root.attributes = {
            "telltale.kind": "chain",
            "telltale.feature": ask.topic.feature,
            "user.id": ask.user_id,
            "session.id": ask.session_id,
            "telltale.metadata": _json(metadata),
            "telltale.tags": [ask.language],
            "input.value": ask.question,
        }
        if error:
            root.error = error
            root.attributes |= {"error.type": error, "http.response.status_code": 502}
        else:
            root.attributes |= {"output.value": told, "http.response.status_code": 200}
        return told

    def answer(self) -> tuple[str, str]:
        """Route, look things up, generate; what was told, and the type of the error that ended it."""
        ask, feature = self.ask, self.ask.topic.feature
        self.route()
        found: list[dict[str, Any]] = []
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
        if not error:
            self.guard("guard.output", answered, "passed")
        return (BROKEN, error) if error else (answered, "")

    def route(self) -> None:
        model = MODELS[ROUTER]
        told = _json({"feature": self.ask.topic.feature})
        tokens_in = 214 + count_tokens(self.ask.question)
        self.wait(1, 3)
        span = self.model_span("router.classify", model, self.ms(150, 0.25), tokens_in, 9)
        span.attributes |= {
            "gen_ai.request.max_tokens": 20,
            "gen_ai.request.temperature": 0.0,
            "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.input.messages": _messages([("user", self.ask.question)]),
            "gen_ai.output.messages": _messages([("assistant", told)], "stop"),
        }

    def search(self, name: str) -> list[dict[str, Any]]:
        ask = self.ask
        self.wait(1, 3)
        start = self.now
        span = self.trace.add(name, start, start, {}, self.root)
        self.now += 2 * MS
        embed = self.model_span("embed", MODELS[EMBEDDER], self.ms(58, 0.3), count_tokens(ask.question), 0, span)
        embed.attributes["gen_ai.operation.name"] = "embeddings"
        embed.attributes["gen_ai.embeddings.dimension.count"] = 1536
        self.wait(20, 70)
        found = self.found_products() if ask.topic.feature == "product-search" else self.found_passages()
        span.end_ns = self.now
        span.attributes = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": name.split(".")[0],
            "gen_ai.retrieval.query.text": ask.question,
            "gen_ai.retrieval.top_k": 5,
            "gen_ai.retrieval.documents": _json(found),
        }
        return found

    def found_passages(self) -> list[dict[str, Any]]:
        wanted = list(self.ask.topic.passages)
        others = [passage for passage in passages().values() if passage.place.split("/")[0] == _folder(wanted)]
        more = [passage for passage in self.rng.sample(others, min(2, len(others))) if passage not in wanted]
        # The new prompt came with a stricter search: fewer passages, less alike.
        chosen, top = (wanted[:1], 0.6) if self.ask.is_worse else (wanted + more, 0.83)
        scores = sorted((top - self.rng.uniform(0.0, 0.09) * (at + 1) for at in range(len(chosen))), reverse=True)
        return [
            {"id": passage.id, "content": passage.text, "score": round(score, 3), "metadata": {"source": passage.place}}
            for passage, score in zip(chosen, scores, strict=True)
        ]

    def found_products(self) -> list[dict[str, Any]]:
        kin = [product for product in products_of(self.ask.topic.kind) if product is not self.ask.product]
        chosen = [self.ask.product, *self.rng.sample(kin, min(3, len(kin)))]
        score = self.rng.uniform(0.8, 0.9)
        found = []
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
            self.tool("orders.lookup", given, None, 90, 160, "503 Service Unavailable")
            self.wait(40, 60)
            if self.rng.random() < 0.08:
                self.tool("orders.lookup (retry)", given, None, 1800, 2100, "503 Service Unavailable")
                return False
            self.tool("orders.lookup (retry)", given, found, 70, 140)
        else:
            self.tool("orders.lookup", given, found, 60, 140)
        return True

    def generate(self, answer: str, found: list[dict[str, Any]]) -> tuple[str, str]:
        """The model call that answers: what it said, and the type of its error."""
        ask, rng = self.ask, self.rng
        model = choose_model(ask.topic.feature, ask.has_own_model, rng)
        prompt = _prompt(ask)
        is_overloaded = ask.has_outage and model.provider == "anthropic" and rng.random() < 0.4
        refuses = rng.random() < 0.01
        answer = REFUSED if refuses else answer
        messages: list[tuple[str, str]] = []
        for question, told in ask.history:
            messages += [("user", question), ("assistant", told)]
        messages.append(("user", ask.question))
        passages_text = "\n".join(str(item["content"]) for item in found)
        system = f"{prompt.text}\n\n{passages_text}".strip()
        self.wait(2, 5)
        request: dict[str, Value] = {
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 400,
            "gen_ai.request.stream": True,
            "gen_ai.prompt.name": prompt.name,
            "gen_ai.prompt.version": prompt.version,
            "gen_ai.system_instructions": _json([{"type": "text", "content": system}]),
            "gen_ai.input.messages": _messages(messages),
        }
        if is_overloaded or rng.random() < 0.011:
            return "", self.fail(model, request, is_overloaded)
        tokens_in = prompt.tokens + count_tokens(passages_text) + sum(count_tokens(text) + 4 for _, text in messages)
        tokens_out = count_tokens(answer)
        is_cut = ask.is_worse and rng.random() < 0.03
        if is_cut:
            answer, tokens_out = answer[: len(answer) * 2 // 3], 400
        first = self.ms(model.first_token_ms, 0.28)
        took = first + int(tokens_out / (model.tokens_per_s * rng.uniform(0.8, 1.15)) * 1e9)
        span = self.model_span("answer.generate", model, took, tokens_in, tokens_out)
        finish = "refusal" if refuses else "length" if is_cut else "stop"
        span.attributes |= request | self.cached(model, prompt)
        span.attributes |= {
            "gen_ai.response.time_to_first_chunk": first / 1e9,
            "gen_ai.response.finish_reasons": [finish],
            "gen_ai.output.messages": _messages([("assistant", answer)], finish),
        }
        span.events.append(Event("gen_ai.first_token", span.start_ns + first, {}))
        return answer, ""

    def fail(self, model: Model, request: dict[str, Value], is_overloaded: bool) -> str:
        kinds = ERRORS[model.provider]
        kind, message = kinds[0] if is_overloaded else self.rng.choice(kinds)
        took = 20_000 * MS if "timed out" in message else self.ms(700, 0.6)
        span = self.model_span("answer.generate", model, took, None, None)
        span.attributes |= request | {"error.type": kind}
        span.error = message
        place = 'Traceback (most recent call last):\n  File "/app/shop/answer.py", line 88, in generate'
        stack = f"{place}\n{kind}: {message}"
        told: dict[str, Value] = {
            "exception.type": kind, "exception.message": message, "exception.stacktrace": stack,
        }  # fmt: skip
        span.events.append(Event("exception", span.end_ns, told))
        return kind

    def cached(self, model: Model, prompt: Prompt) -> dict[str, Value]:
        """What of the prompt came from the provider's cache, or went into it."""
        read = written = 0
        if model.cache_tokens and prompt.tokens >= model.cache_tokens:
            draw = self.rng.random()
            if draw < 0.7:
                read = prompt.tokens // 128 * 128
            elif draw < 0.92 and model.provider == "anthropic":
                written = prompt.tokens
        counts: dict[str, Value] = {"gen_ai.usage.cache_read.input_tokens": read}
        if model.provider == "anthropic":
            counts["gen_ai.usage.cache_creation.ephemeral_5m_input_tokens"] = written
        return counts

    def model_span(
        self,
        name: str,
        model: Model,
        took_ns: int,
        tokens_in: int | None,
        tokens_out: int | None,
        parent: DemoSpan | None = None,
    ) -> DemoSpan:
        told: dict[str, Value] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": model.provider,
            "gen_ai.request.model": model.name,
            "server.address": model.host,
        }
        span = self.trace.add(name, self.now, self.now + took_ns, told, parent or self.root)
        span.otel_kind = CLIENT
        if tokens_in is not None:
            told["gen_ai.response.model"] = model.name
            told["gen_ai.usage.input_tokens"] = tokens_in
            if model.id_prefix:
                digest = hashlib.blake2b(span.span_id, digest_size=12).hexdigest()
                told["gen_ai.response.id"] = model.id_prefix + digest
                told["gen_ai.usage.cache_read.input_tokens"] = 0
        if tokens_out:
            told["gen_ai.usage.output_tokens"] = tokens_out
        self.now = span.end_ns
        return span

    def tool(self, name: str, given: object, result: object, low_ms: int, high_ms: int, error: str = "") -> None:
        self.wait(1, 3)
        told: dict[str, Value] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name.split(" ")[0],
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.arguments": _json(given),
        }
        took = int(self.rng.uniform(low_ms, high_ms) * MS)
        span = self.trace.add(name, self.now, self.now + took, told, self.root)
        span.otel_kind = CLIENT
        if error:
            span.error = error
            told |= {"error.type": "503", "http.response.status_code": 503}
        else:
            told["gen_ai.tool.call.result"] = _json(result)
        self.now = span.end_ns

    def guard(self, name: str, text: str, verdict: str) -> None:
        self.wait(1, 3)
        took = int(self.rng.uniform(14, 46) * MS)
        told: dict[str, Value] = {"telltale.kind": "guardrail", "input.value": text, "output.value": verdict}
        self.now = self.trace.add(name, self.now, self.now + took, told, self.root).end_ns

    def wait(self, low_ms: float, high_ms: float) -> None:
        self.now += int(self.rng.uniform(low_ms, high_ms) * MS)

    def ms(self, median: float, sigma: float) -> int:
        """A latency in nanoseconds around `median` milliseconds, with a long tail."""
        return int(median * self.rng.lognormvariate(0, sigma) * MS)


def _prompt(ask: Ask) -> Prompt:
    if ask.topic.feature == "returns":
        return PROMPTS["v18" if ask.has_new_prompt else "v17"]
    return PROMPTS[ask.topic.feature]


def _folder(wanted: list[Passage]) -> str:
    return wanted[0].place.split("/")[0] if wanted else "policies"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _messages(pairs: list[tuple[str, str]], finish: str = "") -> str:
    rows: list[dict[str, Any]] = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in pairs]
    if finish:
        rows[-1]["finish_reason"] = finish
    return _json(rows)
