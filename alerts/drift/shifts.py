"""One field then and now: effect sizes beside a test, and a state in a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.drift.fields import BY_KEY, OWN, Side
from alerts.drift.reference import Counts, Facts
from alerts.stats.categories import compare_categories
from alerts.stats.distances import compare_numbers
from alerts.stats.mmd import ROWS_MIN
from evals.stats.results import TooLittle

# False discoveries of one family of tests.
Q = 0.1
# Under this a shift that is real is a small one; the marks of the scale that people know (Siddiqi 2006).
PSI_SMALL, PSI_LARGE = 0.10, 0.25
UNKNOWN = "unknown"
MOVED_MOST = 5
STATES = ("stable", "small", "shifted", "too_little")


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


def _title(key: str) -> str:
    return BY_KEY[key].title if key in BY_KEY else key.removeprefix(OWN)


def _named(counts: Counts) -> dict[str, int]:
    """Counts with a name for what is not known; a value of that name is not mixed with it."""
    named: dict[str, int] = {}
    for value, count in counts.items():
        name = UNKNOWN if value is None else f"“{UNKNOWN}”" if value == UNKNOWN else value
        named[name] = named.get(name, 0) + count
    return named


def compare(key: str, side: Side, then: Facts, now: Facts) -> FieldShift:
    """The shift of a field of categories, its state not told yet."""
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


def compare_values(key: str, side: Side, then: Facts, now: Facts) -> FieldShift:
    """The shift of a field of numbers, its state not told yet."""
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


def stated(shift: FieldShift, adjusted: float | None) -> FieldShift:
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
