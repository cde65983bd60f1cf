"""One window against a frozen reference: the test of all vectors, groups that grew, and fields that moved.

All of it is a report, looked at once: its tests are one family held to a false discovery rate (Benjamini-Hochberg, q =
.1). Nothing here pages; a monitor of the same vectors does, by its part of the alert budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.drift.fields import BY_KEY, OWN, Side
from alerts.drift.groups import new_groups
from alerts.drift.map import Plane, plane_of
from alerts.drift.reference import Counts, Facts, Reference
from alerts.stats.categories import compare_categories, residual
from alerts.stats.distances import compare_numbers
from alerts.stats.mmd import ROWS_MIN, KernelTest, kernel_test
from alerts.stats.pvalues import benjamini_hochberg
from alerts.stats.topics import EXAMPLES, OUTSIDE, TopicDrift, assign, topic_drift
from evals.stats.results import TooLittle
from telltale.stats.proportions import newcombe, wilson

Floats = NDArray[np.float64]

Q = 0.1
PERMUTATIONS = 1_000
# Under this a shift that is real is a small one; the marks of the scale that people know (Siddiqi 2006).
PSI_SMALL, PSI_LARGE = 0.10, 0.25
UNKNOWN = "unknown"
MOVED_MOST = 5
# A group has grown where its count lies so far beyond what chance gives.
GROWN = 3.0
STATES = ("stable", "small", "shifted", "too_little")


@dataclass(frozen=True, slots=True)
class Group:
    """A topic of the reference, a group of inputs that lie outside of all of them, or what else lies outside.

    `key`: "topic:0", "new:0", "outside". Shares 0..1, the difference with its 95 % limits; `residual` about N(0, 1) by
    chance. Examples are ids of traces, the most central first.
    """

    key: str
    name: str
    n_reference: int
    n_current: int
    share_reference: float
    share_current: float
    low: float | None
    high: float | None
    residual: float | None
    reference_traces: tuple[str, ...] = ()
    current_traces: tuple[str, ...] = ()

    @property
    def is_new(self) -> bool:
        return self.key.startswith("new:")

    @property
    def change(self) -> float:
        return self.share_current - self.share_reference


@dataclass(frozen=True, slots=True)
class Moved:
    """One value of a field, then and now."""

    name: str
    share_reference: float
    share_current: float


@dataclass(frozen=True, slots=True)
class FieldShift:
    """One field then and now: effect sizes beside a test. None where there is too little, and `lacking` says of what.

    `kl` in nats, reference against current; `js` a distance, 0..sqrt(ln 2); `psi_by_chance` is what noise alone gives;
    of numbers also `ks`, `wasserstein` in the field's unit and in the reference's standard deviations.
    """

    key: str
    title: str
    side: Side
    state: str
    n_reference: int
    n_current: int
    test: str = ""
    statistic: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    psi: float | None = None
    psi_by_chance: float | None = None
    kl: float | None = None
    js: float | None = None
    tvd: float | None = None
    ks: float | None = None
    wasserstein: float | None = None
    wasserstein_sds: float | None = None
    unit: str = ""
    moved: tuple[Moved, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    lacking: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A window of `n` vectors against the reference. `mmd2` None: too few, `lacking` says how many are needed.

    `estimated`: how many traces the sample stands for, by 1/pi. `plane`: some of the vectors, to be drawn.
    """

    n: int
    n_samples: int
    estimated: float
    mmd2: float | None
    p: float | None
    p_adjusted: float | None
    chance_99: float | None
    topic_p: float | None
    topic_p_adjusted: float | None
    groups: tuple[Group, ...]
    fields: tuple[FieldShift, ...]
    lacking: str
    seed: int
    plane: Plane | None = None

    @property
    def has_moved(self) -> bool:
        """Whether the vectors, or their division among topics, moved beyond chance."""
        return any(p is not None and p <= Q for p in (self.p_adjusted, self.topic_p_adjusted))

    def called(self, names: Sequence[str]) -> Report:
        """The same with the topics' names as they are now."""
        called = {f"topic:{at}": name for at, name in enumerate(names)}
        groups = tuple(replace(group, name=called.get(group.key, group.name)) for group in self.groups)
        return replace(self, groups=groups)

    def as_json(self) -> dict[str, Any]:
        """What a JSON column holds of it."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Report:
        """The report that `as_json` gave."""
        groups = tuple(
            Group(**{**g, **{name: tuple(g[name]) for name in ("reference_traces", "current_traces")}})
            for g in told["groups"]
        )
        fields = tuple(
            FieldShift(
                **{
                    **f,
                    "moved": tuple(Moved(**each) for each in f["moved"]),
                    "new": tuple(f["new"]),
                    "gone": tuple(f["gone"]),
                }
            )
            for f in told["fields"]
        )
        plane = told.get("plane")
        if plane is not None:
            sides = {name: tuple(tuple(each) for each in plane[name]) for name in ("reference", "current", "new")}
            plane = Plane(**sides, shown=plane["shown"])
        return cls(**{**told, "groups": groups, "fields": fields, "plane": plane})


@dataclass(frozen=True)
class Current:
    """A window's sample: vectors (n, d) with their traces (hex), and the facts of all samples, with or without one."""

    rows: Floats = field(repr=False)
    traces: tuple[str, ...] = field(repr=False)
    facts: Facts
    estimated: float


def make_report(reference: Reference, current: Current, side: Side, *, seed: int, with_plane: bool = False) -> Report:
    """Everything a page says of a window. The same seed gives the same report."""
    n = int(current.rows.shape[0])
    kernel: KernelTest | TooLittle = TooLittle(n, ROWS_MIN, "vectors")
    drift: TopicDrift | None = None
    groups: tuple[Group, ...] = ()
    plane: Plane | None = None
    if n:
        kernel = kernel_test(
            reference.rows, current.rows, seed=seed, bandwidth=reference.bandwidth, permutations=PERMUTATIONS
        )
        drift = topic_drift(reference.topics, current.rows)
        groups = _groups(reference, current, drift)
        is_new = assign(reference.topics.centres, current.rows)[1] > reference.topics.radius
        plane = plane_of(reference.rows, current.rows, is_new) if with_plane else None
    fields = [
        _compare(key, side, reference.facts, current.facts)
        for key in dict.fromkeys([*reference.facts.categories, *current.facts.categories])
        if not (key in BY_KEY and BY_KEY[key].is_number)
    ]
    fields += [
        _compare_numbers(key, side, reference.facts, current.facts)
        for key in dict.fromkeys([*reference.facts.numbers, *current.facts.numbers])
    ]
    test = drift.test if drift is not None else None
    topic_p = None if test is None or isinstance(test, TooLittle) else test.p
    mmd_p = None if isinstance(kernel, TooLittle) else kernel.p
    adjusted = adjust([mmd_p, topic_p, *(each.p for each in fields)])
    order = {key: at for at, key in enumerate(BY_KEY)}
    return Report(
        n=n,
        n_samples=current.facts.n,
        estimated=current.estimated,
        mmd2=None if isinstance(kernel, TooLittle) else kernel.mmd2,
        p=mmd_p,
        p_adjusted=adjusted[0],
        chance_99=None if isinstance(kernel, TooLittle) else kernel.chance_99,
        topic_p=topic_p,
        topic_p_adjusted=adjusted[1],
        groups=groups,
        fields=tuple(
            sorted(
                (_stated(each, p) for each, p in zip(fields, adjusted[2:], strict=True)),
                key=lambda each: (-(each.psi or 0.0), order.get(each.key, 99), each.key),
            )
        ),
        lacking=f"{kernel.have} of {kernel.need} {kernel.what}" if isinstance(kernel, TooLittle) else "",
        seed=seed,
        plane=plane,
    )


def adjust(ps: Sequence[float | None]) -> list[float | None]:
    """Each p within its family (Benjamini-Hochberg); None where there was no test."""
    tested = [p for p in ps if p is not None]
    adjusted = iter(float(p) for p in benjamini_hochberg(tested)) if tested else iter(())
    return [None if p is None else next(adjusted) for p in ps]


def _groups(reference: Reference, current: Current, drift: TopicDrift) -> tuple[Group, ...]:
    # Topics keep the counts they were frozen with.
    frozen, n, m = reference.topics.n, reference.n, int(current.rows.shape[0])
    found = []
    for moved in drift.topics:
        if moved.topic is None:
            continue
        found.append(
            _group(
                f"topic:{moved.topic}",
                reference.names[moved.topic],
                (moved.n_reference, frozen),
                (moved.n_current, m),
                [reference.traces[at] for at in reference.topics.central[moved.topic]],
                [current.traces[at] for at in moved.examples],
            )
        )
    new = new_groups(reference.topics, reference.rows, current.rows)
    before_left, now_left = reference.topics.outside, next(t.n_current for t in drift.topics if t.topic is None)
    for at, group in enumerate(new):
        before_left -= len(group.reference)
        now_left -= len(group.current)
        found.append(
            _group(
                f"new:{at}",
                f"New group {at + 1}",
                (len(group.reference), n),
                (len(group.current), m),
                [reference.traces[row] for row in group.reference[:EXAMPLES]],
                [current.traces[row] for row in group.current[:EXAMPLES]],
            )
        )
    outside = next(t for t in drift.topics if t.topic is None)
    named = {row for group in new for row in group.current}
    left = [current.traces[row] for row in outside.examples if row not in named]
    found.append(_group(OUTSIDE, "Unlike any other", (max(0, before_left), frozen), (max(0, now_left), m), [], left))
    return tuple(sorted(found, key=lambda group: (-group.change, group.key)))


def _group(
    key: str, name: str, before: tuple[int, int], now: tuple[int, int], then: list[str], today: list[str]
) -> Group:
    limits = newcombe(wilson(*now), wilson(*before)) if now[1] and before[1] else None
    return Group(
        key=key,
        name=name,
        n_reference=before[0],
        n_current=now[0],
        share_reference=before[0] / before[1],
        share_current=now[0] / now[1] if now[1] else 0.0,
        low=None if limits is None else limits.low,
        high=None if limits is None else limits.high,
        residual=residual(before[0], before[1], now[0], now[1]) if now[1] else None,
        reference_traces=tuple(then),
        current_traces=tuple(today),
    )


def _title(key: str) -> str:
    return BY_KEY[key].title if key in BY_KEY else key.removeprefix(OWN)


def _named(counts: Counts) -> dict[str, int]:
    """Counts with a name for what is not known; a value of that name is not mixed with it."""
    named: dict[str, int] = {}
    for value, count in counts.items():
        name = UNKNOWN if value is None else f"“{UNKNOWN}”" if value == UNKNOWN else value
        named[name] = named.get(name, 0) + count
    return named


def _compare(key: str, side: Side, then: Facts, now: Facts) -> FieldShift:
    before, after = _named(then.categories.get(key, {})), _named(now.categories.get(key, {}))
    n, m = sum(before.values()), sum(after.values())
    if set(before) | set(after) <= {UNKNOWN}:
        return FieldShift(key, _title(key), side, "too_little", n, m, lacking="nothing is told of it")
    found = compare_categories(before, after)
    if isinstance(found, TooLittle):
        # Too few for a test; what was never seen before is an event all the same.
        new = sorted((name for name in after if name not in before and after[name]), key=lambda name: -after[name])
        return FieldShift(
            key,
            _title(key),
            side,
            "too_little",
            n,
            m,
            new=tuple(new[:MOVED_MOST]) if n else (),
            lacking=f"{found.have} of {found.need} {found.what}",
        )
    names = sorted(
        set(before) | set(after), key=lambda name: (-abs(after.get(name, 0) / m - before.get(name, 0) / n), name)
    )
    return FieldShift(
        key=key,
        title=_title(key),
        side=side,
        state="stable",
        n_reference=n,
        n_current=m,
        test="chi-square",
        statistic=found.statistic,
        p=found.p,
        psi=found.distances.psi,
        psi_by_chance=found.distances.psi_by_chance,
        kl=found.distances.kl,
        js=found.distances.js,
        tvd=found.distances.tvd,
        moved=tuple(Moved(name, before.get(name, 0) / n, after.get(name, 0) / m) for name in names[:MOVED_MOST]),
        new=tuple(each.name for each in found.new[:MOVED_MOST]),
        gone=found.gone[:MOVED_MOST],
    )  # fmt: skip


def _compare_numbers(key: str, side: Side, then: Facts, now: Facts) -> FieldShift:
    before, after = then.numbers.get(key, ()), now.numbers.get(key, ())
    unit = BY_KEY[key].unit if key in BY_KEY else ""
    if min(len(before), len(after)) < ROWS_MIN:
        what = "reference values" if len(before) < ROWS_MIN else "current values"
        lacking = f"{min(len(before), len(after))} of {ROWS_MIN} {what}"
        return FieldShift(
            key, _title(key), side, "too_little", len(before), len(after), unit=unit, lacking=lacking
        )  # fmt: skip
    found = compare_numbers(before, after)
    if isinstance(found, TooLittle):
        raise AssertionError("both sides have values")
    return FieldShift(
        key=key,
        title=_title(key),
        side=side,
        state="stable",
        n_reference=found.n_reference,
        n_current=found.n_current,
        test="Kolmogorov-Smirnov",
        statistic=found.ks,
        p=found.ks_p,
        psi=found.binned.psi,
        psi_by_chance=found.binned.psi_by_chance,
        kl=found.binned.kl,
        js=found.binned.js,
        tvd=found.binned.tvd,
        ks=found.ks,
        wasserstein=found.wasserstein,
        wasserstein_sds=found.wasserstein_sds,
        unit=unit,
        moved=_quantiles(before, after),
    )


def _quantiles(before: Sequence[float], after: Sequence[float]) -> tuple[Moved, ...]:
    """The middle and the outer tenths, then and now: here the two numbers are values, not shares."""
    return tuple(
        Moved(name, float(np.quantile(before, q)), float(np.quantile(after, q)))
        for name, q in (("p10", 0.1), ("p50", 0.5), ("p90", 0.9))
    )


def _stated(shift: FieldShift, adjusted: float | None) -> FieldShift:
    """The shift with its p within the family and its state in a word."""
    values = {name: getattr(shift, name) for name in FieldShift.__dataclass_fields__}
    values["p_adjusted"] = adjusted
    if shift.lacking:
        return FieldShift(**values)
    if adjusted is None or adjusted > Q:
        values["state"] = "stable"
    elif shift.psi is not None and shift.psi >= PSI_SMALL:
        values["state"] = "shifted"
    else:
        values["state"] = "small"
    return FieldShift(**values)
