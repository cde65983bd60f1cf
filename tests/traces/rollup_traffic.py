"""Random traffic with all that makes sums hard: late roots, repeats, one call told twice, failures, cached tokens."""

from __future__ import annotations

from random import Random

MODELS = ("gpt-4o-mini", "claude-sonnet-4-5", "house-7b", None)
FAILURES = ("openai.RateLimitError", "TimeoutError", None)


def maybe(rng, values, chance=0.7):
    return rng.choice(values) if rng.random() < chance else None


def attributes_of(rng, kind):
    made = {
        "telltale.kind": kind,
        "telltale.feature": maybe(rng, ("search", "returns"), 0.3),
        "telltale.release": maybe(rng, ("v1", "v2"), 0.3),
        "telltale.environment": maybe(rng, ("prod", "test"), 0.2),
        "telltale.prompt.name": maybe(rng, ("order", "greet"), 0.3),
        "telltale.prompt.version": maybe(rng, ("17", "18"), 0.3),
        "user.id": maybe(rng, ("ann", "ben", "cem"), 0.4),
        "session.id": maybe(rng, ("s1", "s2", "s3"), 0.4),
    }
    if kind in {"generation", "embedding"}:
        model = rng.choice(MODELS)
        made |= {"gen_ai.request.model": model, "gen_ai.response.model": maybe(rng, (model,), 0.5)}
        if rng.random() < 0.8:
            made |= {
                "gen_ai.usage.input_tokens": rng.randrange(0, 5000),
                "gen_ai.usage.output_tokens": rng.randrange(0, 900),
                "gen_ai.usage.cache_read.input_tokens": maybe(rng, (0, 100, 4000), 0.6),
                "gen_ai.usage.reasoning.output_tokens": maybe(rng, (0, 50), 0.2),
            }
        if rng.random() < 0.4:
            made |= {"gen_ai.request.stream": True, "gen_ai.response.time_to_first_chunk": rng.random()}
        made["gen_ai.response.finish_reasons"] = maybe(rng, ("stop", "length", "refusal", "content_filter"), 0.6)
        made["gen_ai.response.id"] = maybe(rng, ("r1", "r2", "r3", "r4"), 0.2)
    return {name: value for name, value in made.items() if value is not None}


def make_traffic(otlp, seed, traces=30, days=6.5):
    """OTLP spans of `traces` traces that began in the last `days`, in the order in which they are to arrive."""
    rng = Random(seed)
    spans = []
    for number in range(1, traces + 1):
        trace = f"{seed:08x}{number:024x}"
        began_ms = -rng.random() * days * 86_400_000
        count = rng.choice((1, 3, 5, 9))
        ids = [f"{number:08x}{step:08x}" for step in range(1, count + 1)]
        for step, span in enumerate(ids):
            kind = "chain" if step == 0 else rng.choice(("generation", "generation", "embedding", "tool", "retriever"))
            failed = rng.random() < 0.2
            made = attributes_of(rng, kind)
            if failed and (failure := rng.choice(FAILURES)):
                made["error.type"] = failure
            spans.append(
                otlp.span(
                    trace, span, None if step == 0 else rng.choice(ids[:step]), rng.choice(("a", "b", "look up")),
                    at_ms=began_ms + step * rng.choice((10, 1000, 90_000)), ms=rng.choice((0, 3, 250, 70_000)),
                    attributes=made, **({"status": {"code": 2, "message": "no"}} if failed else {}),
                )
            )  # fmt: skip
    rng.shuffle(spans)
    # Some again, as retrying senders do.
    return spans + rng.sample(spans, len(spans) // 10)


def send(otlp, spans, seed=0):
    """Send in batches of random size, from two scopes and services; yields after each."""
    rng = Random(seed)
    while spans:
        many = rng.randrange(1, 12)
        part, spans = spans[:many], spans[many:]
        otlp.send(*part, scope=rng.choice(("one", "two")), resource={"service.name": rng.choice(("web", "worker"))})
        yield len(part)
