"""What the easiest requests would have cost with another model: their own tokens at its rates.

Assumes that the other model reads and writes as many tokens, and makes as many calls. Pico-dollars.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from evals.stats.quantiles import t_quantile

LEVEL = 0.95
Rates = tuple[Fraction | None, ...]  # pico-dollars a token, in the order of BUCKETS; None: not known


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. `difficulty` None: not known. `moves`: tokens of its calls by other models than the target, and
    what these cost; `stays_pico` is everything else. `cluster`: those that are not independent, such as a session's."""

    key: Hashable
    difficulty: float | None
    moves_pico: int
    moves_tokens: tuple[int, ...]
    stays_pico: int
    cluster: Hashable
    weight: float = 1.0

    @property
    def pico(self) -> int:
        return self.moves_pico + self.stays_pico


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the bill with its 95 % limits; without limits where everything was read, or nothing can be told."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Routed:
    """`easy` of `n` requests to the target: `change` of the bill (negative: saved). `cut`: the hardest of the easy.

    `unknown` have no difficulty, `unpriceable` use tokens that the target has no rate for: neither moves.
    """

    n: int
    easy: int
    moved: int
    cut: float | None
    before_pico: int
    after_pico: int
    change: Share | None
    unknown: int
    unpriceable: int
    keys: frozenset[Hashable]


def route(requests: Sequence[Asked], rates: Rates, share: float, *, is_complete: bool) -> Routed:
    """Send the easiest `share` of the requests whose difficulty is known to the target. Ties go in the order given."""
    known = sorted((each for each in requests if each.difficulty is not None), key=lambda each: each.difficulty or 0.0)
    easy = known[: round(share * len(known))]
    after: dict[Hashable, int] = {}
    unpriceable = 0
    for each in easy:
        cost = cost_at(each.moves_tokens, rates)
        if cost is None:
            unpriceable += 1
        elif any(each.moves_tokens):
            after[each.key] = cost
    used = known if known else list(requests)
    pairs = [(each, each.stays_pico + after[each.key] if each.key in after else each.pico) for each in used]
    return Routed(
        n=len(used),
        easy=len(easy),
        moved=len(after),
        cut=easy[-1].difficulty if easy else None,
        before_pico=sum(each.pico for each, _ in pairs),
        after_pico=sum(cost for _, cost in pairs),
        change=change_of(
            [(each.pico, cost - each.pico, each.cluster, each.weight) for each, cost in pairs], is_complete
        ),
        unknown=len(requests) - len(known),
        unpriceable=unpriceable,
        keys=frozenset(each.key for each in easy),
    )


def cost_at(tokens: Sequence[int], rates: Rates) -> int | None:
    """What tokens cost at some rates; None where a bucket has tokens and no rate."""
    total = Fraction(0)
    for count, rate in zip(tokens, rates, strict=True):
        if count:
            if rate is None:
                return None
            total += count * rate
    return round(total)


def change_of(rows: Sequence[tuple[int, int, Hashable, float]], is_complete: bool) -> Share | None:
    """The change as a share of the bill, from (bill, change, cluster, weight) of each; None where nothing was spent.

    A ratio of sums, its interval by linearising, between clusters (Särndal et al. 1992, section 5.6): t with one less
    than the clusters. Needs two clusters. Of a complete reading there is none: it is what it was.
    """
    bill = math.fsum(weight * spent for spent, _, _, weight in rows)
    if not bill:
        return None
    ratio = math.fsum(weight * moved for _, moved, _, weight in rows) / bill
    if is_complete:
        return Share(ratio, None, None)
    rests: dict[Hashable, float] = {}
    for spent, moved, cluster, weight in rows:
        rests[cluster] = rests.get(cluster, 0.0) + weight * (moved - ratio * spent)
    n = len(rests)
    if n < 2:
        return Share(ratio, None, None)
    error = math.sqrt(n / (n - 1) * math.fsum(rest * rest for rest in rests.values())) / bill
    half = t_quantile(LEVEL, n - 1) * error
    return Share(ratio, ratio - half, ratio + half)
