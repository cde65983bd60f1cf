"""What scope found, as it is kept and said: slices as JSON, the finding and a draft of the sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.stats.scope import Scope, Slice
from telltale.lib import format as fmt

Json = dict[str, Any]

SLICES_MOST, UNCLEAR_MOST = 30, 12
# Attributes as people call them; others as they are, "meta." left out.
TITLES: Mapping[str, str] = {
    "prompt_version": "prompt version",
    "finish_reason": "finish reason",
    "input_tokens": "input tokens",
    "output_tokens": "output tokens",
    "name": "request",
    "key": "API key",
    "passages": "passages found",
}


def title_of(attribute: str) -> str:
    """What an attribute is called."""
    return TITLES.get(attribute, attribute.removeprefix("meta."))


def slice_name(parts: Sequence[Sequence[str]]) -> str:
    """ "feature returns and prompt version v18"."""
    return " and ".join(f"{title_of(name)} {value}" for name, value in parts)


def slice_json(one: Slice, n: int, bad: int) -> Json:
    """A slice of `n` responses of which `bad` are bad, as JSON."""
    return {
        "name": slice_name(one.parts),
        "parts": [list(part) for part in one.parts],
        "n": one.n,
        "bad": one.bad,
        "share_of_bad": one.bad / bad if bad else None,
        "share_of_all": one.n / n if n else None,
        "n_eff": one.n_eff,
        "rate": one.rate,
        "rate_low": one.rate_low,
        "rate_high": one.rate_high,
        "rate_outside": one.rate_outside,
        "excess": one.excess,
        "share_of_excess": one.share_of_excess,
        "ratio": one.ratio,
        "ratio_low": one.ratio_low,
        "ratio_high": one.ratio_high,
        "difference": one.difference,
        "difference_low": one.difference_low,
        "difference_high": one.difference_high,
        "p": one.p,
        "p_adjusted": one.p_adjusted,
        "shift": one.shift,
        "shift_low": one.shift_low,
        "shift_high": one.shift_high,
        "was_always_bad": one.was_always_bad,
        "is_proposed": one.is_proposed and not one.was_always_bad,
        "like": one.like,
        "also": list(one.also),
        "through": one.through,
    }


def scope_json(found: Scope) -> Json:
    """What was found, as JSON: at most `SLICES_MOST` slices and `UNCLEAR_MOST` that are not over-represented."""
    return {
        "n": found.n,
        "bad": found.bad,
        "rate": found.rate,
        "rate_baseline": found.rate_baseline,
        "tested": found.tested,
        "pairs": found.pairs,
        "too_few": found.too_few,
        "left_out": found.left_out,
        "q": found.q,
        "slices": [slice_json(one, found.n, found.bad) for one in found.slices[:SLICES_MOST]],
        "more_slices": max(0, len(found.slices) - SLICES_MOST),
        "unclear": [slice_json(one, found.n, found.bad) for one in found.unclear[:UNCLEAR_MOST]],
        "more_unclear": max(0, len(found.unclear) - UNCLEAR_MOST),
    }


def proposed(body: Mapping[str, Any]) -> list[Json]:
    """The slices that a page may name, the likeliest first; not those that a pair of theirs speaks for."""
    return [one for one in body.get("slices", []) if one["is_proposed"] and not one["through"]]


def finding(body: Mapping[str, Any]) -> str:
    """One sentence of what was found, and of what was not."""
    lacking = body.get("too_little")
    if lacking:
        return f"Too little to compare: {lacking['have']} {lacking['what']}, {lacking['need']} are needed."
    named = proposed(body)[:2]
    if named:
        told = [f"{one['name']} ({fmt.times_as_likely(one['ratio'])})" for one in named]
        verb = "Over-represented among what grew" if body.get("is_mix") else "More likely to be affected than the rest"
        return f"{verb}: {', and '.join(told)}."
    slices = body.get("slices", [])
    if slices and all(one["was_always_bad"] for one in slices):
        return "No part stands out that did not before: those below were as much worse in the baseline."
    if slices:
        return "Nothing stands out beyond chance. What is listed below may be one of many that were looked at."
    return "No part of the traffic stands out: all that was compared is affected alike, or nothing is."


def draft(body: Mapping[str, Any]) -> str:
    """A first sentence for the person who writes the scope; "" where nothing is proposed."""
    named = proposed(body)[:1]
    if not named or body.get("too_little"):
        return ""
    one = named[0]
    name = one["name"][:1].upper() + one["name"][1:]
    if body.get("is_mix"):
        return (
            f"{name}: {fmt.share(one['share_of_bad'])} of responses now, "
            f"{fmt.share(_before(one))} in the baseline."
        )  # fmt: skip
    told = (
        f"{name}: {fmt.share(one['rate'])} of {fmt.count(one['n'])} responses affected "
        f"({fmt.share(one['rate_low'])}{fmt.EN_DASH}{fmt.share(one['rate_high'])}), "
        f"{fmt.share(one['rate_outside'])} elsewhere"
    )
    part = one["share_of_excess"]
    return f"{told}; {fmt.share(part)} of all the excess." if part is not None else f"{told}."


def _before(one: Mapping[str, Any]) -> float | None:
    """Of a comparison of two stretches: the slice's share of the baseline."""
    return one.get("share_before")
