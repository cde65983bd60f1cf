"""Why a bill changed: the difference of two periods split exactly into volume, models, prices, tokens and cache.

Source: telescoping along a chain of bills: each step changes one factor from its value in the period before to its
value now and keeps those already changed; a part is the difference of two neighbours in the chain, so the parts sum to
the whole difference whatever the data. The order matters for the parts and is fixed: `ORDER`.

With n calls of a model, its share w of all N calls, i input tokens a call of which s_b in bucket b, o output tokens a
call of which q_b in bucket b, and rates r_b = cost / tokens of the bucket:

    bill = sum over models of  N · w · ( i · sum_b s_b r_b  +  o · sum_b q_b r_b  +  u )

where u is what a call cost beyond its tokens (machines priced by the hour). Whatever does not exist before (a new
model, a bucket that was empty) takes its value of now before the chain begins, and the other way round; so a new model
is wholly in the mix, and a bucket that was empty is wholly in tokens or cache, never in the price. Everything is exact:
fractions of whole pico-dollars, rounded at the end by largest remainder.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from traces.canonical.types import BUCKETS

INPUTS = 5  # the first five buckets are input
# Beyond this many models the smallest are taken together: exact still, and a page's time is bounded.
MODELS_MAX = 100


class Part(StrEnum):
    """What a bill changed by, in the order of the chain."""

    VOLUME = "volume"
    MIX = "mix"
    PRICE = "price"
    INPUT = "input"
    OUTPUT = "output"
    CACHE = "cache"
    HOURLY = "hourly"  # machines by the hour: how long they ran, and at what rate
    NEWLY_PRICED = "newly_priced"  # models without any price in one of the periods
    JUDGING = "judging"


ORDER = tuple(Part)


@dataclass(frozen=True, slots=True)
class ModelBill:
    """One model in one period: `calls` are counted calls of known usage, `unpriced` those of them without a price.

    `tokens` and `parts` (pico-dollars) are in the order of `BUCKETS`; `pico` may exceed the sum of `parts`: the rest
    was charged by the hour.
    """

    model: str
    calls: int
    tokens: tuple[int, ...]
    parts: tuple[int, ...]
    pico: int
    unpriced: int = 0
    is_judging: bool = False

    @property
    def is_without_price(self) -> bool:
        """Whether none of its calls could be priced."""
        return not self.pico and self.calls > 0 and self.unpriced >= self.calls


@dataclass(frozen=True, slots=True)
class PartOfChange:
    """One part in whole pico-dollars, and the models that made it, the largest first: (model, pico)."""

    part: Part
    pico: int
    models: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A bill before and now, and the parts that lead from one to the other: before + sum(parts) == now."""

    before_pico: int
    now_pico: int
    parts: tuple[PartOfChange, ...]
    calls_before: int
    calls_now: int
    unpriced_before: int  # calls apart: they are in no bill
    unpriced_now: int

    @property
    def pico(self) -> int:
        return self.now_pico - self.before_pico

    def part(self, wanted: Part) -> int:
        """The pico-dollars of one part, 0 where it does not occur."""
        return next((part.pico for part in self.parts if part.part is wanted), 0)


@dataclass(slots=True)
class _Chain:
    """Sums of the parts so far, whole and by model."""

    total: dict[Part, Fraction] = field(default_factory=dict)
    models: dict[Part, dict[str, Fraction]] = field(default_factory=dict)

    def add(self, part: Part, model: str, amount: Fraction | int) -> None:
        if amount:
            self.total[part] = self.total.get(part, Fraction(0)) + amount
            held = self.models.setdefault(part, {})
            held[model] = held.get(model, Fraction(0)) + amount


def decompose(before: Iterable[ModelBill], now: Iterable[ModelBill]) -> Change:
    """The change from the bills of one period to those of another, model by model.

    Bills of one name are added up. The parts of `ORDER` up to the cache always occur, the others where they are not 0.
    """
    old, new = _by_model(before), _by_model(now)
    chain = _Chain()
    pairs: list[tuple[ModelBill, ModelBill]] = []
    for key in sorted(old.keys() | new.keys(), key=lambda key: (key[0], key[1])):
        empty = ModelBill(key[0], 0, _NOTHING, _NOTHING, 0)
        a, b = old.get(key, empty), new.get(key, empty)
        if key[1]:
            chain.add(Part.JUDGING, a.model, b.pico - a.pico)
        elif a.is_without_price or b.is_without_price:
            # In no volume and no mix either: a call that is in no bill must not make others look rarer.
            chain.add(Part.NEWLY_PRICED, a.model, b.pico - a.pico)
        elif a.calls or b.calls or a.pico or b.pico:
            pairs.append((a, b))
    _follow(chain, _bounded(pairs))
    return Change(
        before_pico=sum(bill.pico for bill in old.values()),
        now_pico=sum(bill.pico for bill in new.values()),
        parts=_rounded(chain),
        calls_before=sum(a.calls for a, _ in pairs),
        calls_now=sum(b.calls for _, b in pairs),
        unpriced_before=sum(bill.unpriced for bill in old.values()),
        unpriced_now=sum(bill.unpriced for bill in new.values()),
    )


_NOTHING = (0,) * len(BUCKETS)


def _follow(chain: _Chain, pairs: Sequence[tuple[ModelBill, ModelBill]]) -> None:
    """Add the parts of every pair to the chain."""
    calls_a, calls_b = sum(a.calls for a, _ in pairs), sum(b.calls for _, b in pairs)
    if not calls_a or not calls_b:
        # Nothing before or nothing now: the whole bill is volume.
        for a, b in pairs:
            chain.add(Part.VOLUME, a.model, b.pico - a.pico)
        return
    growth = Fraction(calls_b, calls_a)
    for a, b in pairs:
        level = a.pico * growth
        chain.add(Part.VOLUME, a.model, level - a.pico)
        # The bill at the calls of now and all else as before; a model that is new, or gone, has no "as before", or no
        # "now": all of it is mix.
        if not a.calls or not b.calls:
            chain.add(Part.MIX, a.model, b.pico - level)
            continue
        scale = Fraction(b.calls, a.calls)
        chain.add(Part.MIX, a.model, a.pico * scale - level)
        _follow_model(chain, a, b, scale)


def _follow_model(chain: _Chain, a: ModelBill, b: ModelBill, scale: Fraction) -> None:
    """Prices, tokens and cache of one model that has calls in both periods; `scale` is its calls now by before."""
    # What its tokens of before would cost at the rates of now; a bucket empty now has no rate of now.
    priced = [
        Fraction(cost_b * t_a, t_b) if t_b else Fraction(cost_a)
        for t_a, t_b, cost_a, cost_b in zip(a.tokens, b.tokens, a.parts, b.parts, strict=True)
    ]
    priced_in, priced_out = sum(priced[:INPUTS], Fraction(0)), sum(priced[INPUTS:], Fraction(0))
    parts_a, parts_b = sum(a.parts), sum(b.parts)
    chain.add(Part.PRICE, a.model, (priced_in + priced_out - parts_a) * scale)
    in_a, in_b = sum(a.tokens[:INPUTS]), sum(b.tokens[:INPUTS])
    bill_in, bill_out = sum(b.parts[:INPUTS]), sum(b.parts[INPUTS:])
    # As many input tokens as now, in the buckets as before. No input before: as now. None now: nothing is left.
    more_in = priced_in * Fraction(in_b, in_a) if in_a else Fraction(bill_in) + priced_in * scale
    chain.add(Part.INPUT, a.model, more_in - priced_in * scale)
    chain.add(Part.OUTPUT, a.model, bill_out - priced_out * scale)
    chain.add(Part.CACHE, a.model, bill_in - more_in)
    chain.add(Part.HOURLY, a.model, (b.pico - parts_b) - (a.pico - parts_a) * scale)


def _rounded(chain: _Chain) -> tuple[PartOfChange, ...]:
    """The parts as whole pico-dollars that sum to what the exact ones sum to (which is whole)."""
    wanted = [part for part in ORDER if part in chain.total or ORDER.index(part) <= ORDER.index(Part.CACHE)]
    whole = largest_remainder([chain.total.get(part, Fraction(0)) for part in wanted])
    return tuple(
        PartOfChange(part, pico, _largest(chain.models.get(part, {}))) for part, pico in zip(wanted, whole, strict=True)
    )


def largest_remainder(amounts: Sequence[Fraction]) -> list[int]:
    """Whole numbers next to `amounts` whose sum is the sum of `amounts`, rounded; ties go to the first."""
    floors = [amount.numerator // amount.denominator for amount in amounts]
    missing = round(sum(amounts, Fraction(0))) - sum(floors)
    by_remainder = sorted(range(len(amounts)), key=lambda at: (floors[at] - amounts[at], at))
    for at in by_remainder[:missing]:
        floors[at] += 1
    return floors


def _largest(models: dict[str, Fraction], most: int = 3) -> tuple[tuple[str, int], ...]:
    ranked = sorted(models.items(), key=lambda item: (-abs(item[1]), item[0]))[:most]
    return tuple((model, round(amount)) for model, amount in ranked if round(amount))


def _by_model(bills: Iterable[ModelBill]) -> dict[tuple[str, bool], ModelBill]:
    found: dict[tuple[str, bool], ModelBill] = {}
    for bill in bills:
        key = (bill.model, bill.is_judging)
        found[key] = _added(found[key], bill, bill.model) if key in found else bill
    return found


def _added(a: ModelBill, b: ModelBill, model: str) -> ModelBill:
    return ModelBill(
        model,
        a.calls + b.calls,
        tuple(x + y for x, y in zip(a.tokens, b.tokens, strict=True)),
        tuple(x + y for x, y in zip(a.parts, b.parts, strict=True)),
        a.pico + b.pico,
        a.unpriced + b.unpriced,
        a.is_judging,
    )


def _bounded(pairs: list[tuple[ModelBill, ModelBill]]) -> list[tuple[ModelBill, ModelBill]]:
    """At most `MODELS_MAX` pairs: the smallest bills are taken as one model."""
    if len(pairs) <= MODELS_MAX:
        return pairs
    ranked = sorted(pairs, key=lambda pair: (-max(pair[0].pico, pair[1].pico), pair[0].model))
    kept, rest = ranked[: MODELS_MAX - 1], ranked[MODELS_MAX - 1 :]
    name = "everything else"
    a = b = ModelBill(name, 0, _NOTHING, _NOTHING, 0)
    for old, new in rest:
        a, b = _added(a, old, name), _added(b, new, name)
    return [*kept, (a, b)]
