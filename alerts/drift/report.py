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

from alerts.drift.fields import BY_KEY, Side
from alerts.drift.grouping import NOTHING, About, Group, Pair, groups_of
from alerts.drift.map import Plane, plane_of
from alerts.drift.reference import Facts, Reference
from alerts.drift.shifts import FieldShift, Moved, Q, compare, compare_values, stated
from alerts.stats.mmd import ROWS_MIN, KernelTest, kernel_test
from alerts.stats.pvalues import benjamini_hochberg
from alerts.stats.topics import TopicDrift, assign, topic_drift
from evals.stats.results import TooLittle

Floats = NDArray[np.float64]

PERMUTATIONS = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """A window of `n` vectors against the reference. `mmd2` None: too few, `lacking` says how many are needed.

    `estimated`: how many traces the sample stands for, by 1/pi. `plane`: some of the vectors, to be drawn.
    `scored_by`: the criterion of the groups' scores, "" without any.
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
    scored_by: str = ""

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
            Group(
                **{
                    **g,
                    **{name: tuple(g[name]) for name in ("reference_traces", "current_traces")},
                    # A report from before these were counted has none.
                    **{name: Pair(**g.get(name, {})) for name in ("passages", "score")},
                }
            )
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


def make_report(
    reference: Reference, current: Current, side: Side, *, seed: int, with_plane: bool = False, about: About = NOTHING
) -> Report:
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
        groups = groups_of(reference, current.rows, current.traces, drift, about)
        is_new = assign(reference.topics.centres, current.rows)[1] > reference.topics.radius
        plane = plane_of(reference.rows, current.rows, is_new) if with_plane else None
    fields = [
        compare(key, side, reference.facts, current.facts)
        for key in dict.fromkeys([*reference.facts.categories, *current.facts.categories])
        if not (key in BY_KEY and BY_KEY[key].is_number)
    ]
    fields += [
        compare_values(key, side, reference.facts, current.facts)
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
                (stated(each, p) for each, p in zip(fields, adjusted[2:], strict=True)),
                key=lambda each: (-(each.psi or 0.0), order.get(each.key, 99), each.key),
            )
        ),
        lacking=f"{kernel.have} of {kernel.need} {kernel.what}" if isinstance(kernel, TooLittle) else "",
        seed=seed,
        plane=plane,
        scored_by=about.scored_by,
    )


def adjust(ps: Sequence[float | None]) -> list[float | None]:
    """Each p within its family (Benjamini-Hochberg); None where there was no test."""
    tested = [p for p in ps if p is not None]
    adjusted = iter(float(p) for p in benjamini_hochberg(tested)) if tested else iter(())
    return [None if p is None else next(adjusted) for p in ps]
