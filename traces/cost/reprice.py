"""What another price book would change: old costs against new ones, summed exactly, model by model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from traces.canonical.types import CostStatus


@dataclass(frozen=True, slots=True)
class Priced:
    """One span's cost. `model` is what its sender named (answered, else requested), so that it is the same before and
    after; spans that are not counted enter no sum."""

    model: str | None
    status: CostStatus | None
    cost_pico: int | None
    price_id: int | None = None
    counted: bool = True


@dataclass(frozen=True, slots=True)
class StatusChange:
    """How many counted spans of a model went from one status to another."""

    before: CostStatus | None
    after: CostStatus | None
    spans: int


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """What becomes of one model: counted spans, known costs before and after, spans whose cost is not known."""

    model: str | None
    spans: int
    changed: int
    old_pico: int
    new_pico: int
    old_unknown: int
    new_unknown: int
    status_changes: tuple[StatusChange, ...] = ()

    @property
    def delta_pico(self) -> int:
        """New minus old, of what is known on each side."""
        return self.new_pico - self.old_pico


@dataclass(frozen=True, slots=True)
class Difference:
    """What re-pricing changes over some spans; `models` by the size of their change. `uncounted` spans are re-priced
    too (their pages show a cost) but change no total."""

    models: tuple[ModelDifference, ...] = ()
    spans: int = 0
    changed: int = 0
    uncounted: int = 0
    old_pico: int = 0
    new_pico: int = 0
    old_unknown: int = 0
    new_unknown: int = 0

    @property
    def delta_pico(self) -> int:
        """New minus old, of what is known on each side."""
        return self.new_pico - self.old_pico


class _Sum:
    """Running sums of one model."""

    def __init__(self) -> None:
        self.spans = self.changed = self.old_pico = self.new_pico = self.old_unknown = self.new_unknown = 0
        self.statuses: Counter[tuple[CostStatus | None, CostStatus | None]] = Counter()

    def add(self, old: Priced, new: Priced) -> None:
        self.spans += 1
        self.changed += is_changed(old, new)
        self.old_pico += old.cost_pico or 0
        self.new_pico += new.cost_pico or 0
        self.old_unknown += old.cost_pico is None
        self.new_unknown += new.cost_pico is None
        if old.status is not new.status:
            self.statuses[old.status, new.status] += 1

    def absorb(self, part: ModelDifference) -> None:
        self.spans += part.spans
        self.changed += part.changed
        self.old_pico += part.old_pico
        self.new_pico += part.new_pico
        self.old_unknown += part.old_unknown
        self.new_unknown += part.new_unknown
        for change in part.status_changes:
            self.statuses[change.before, change.after] += change.spans

    def result(self, model: str | None) -> ModelDifference:
        changes = sorted(self.statuses.items(), key=lambda item: (item[0][0] or 0, item[0][1] or 0))
        return ModelDifference(
            model=model,
            spans=self.spans,
            changed=self.changed,
            old_pico=self.old_pico,
            new_pico=self.new_pico,
            old_unknown=self.old_unknown,
            new_unknown=self.new_unknown,
            status_changes=tuple(StatusChange(before, after, count) for (before, after), count in changes),
        )


def is_changed(old: Priced, new: Priced) -> bool:
    """Whether a span has to be written: its cost, its status or the row behind them is another one."""
    return (old.cost_pico, old.status, old.price_id) != (new.cost_pico, new.status, new.price_id)


def difference(old: Iterable[Priced], new: Iterable[Priced]) -> Difference:
    """What changes from `old` to `new`, which tell the same spans in the same order; ValueError if one is longer."""
    sums: dict[str | None, _Sum] = {}
    uncounted = 0
    for before, after in zip(old, new, strict=True):
        if before.counted:
            sums.setdefault(before.model, _Sum()).add(before, after)
        else:
            uncounted += 1
    return _total(sums, uncounted)


def merge(parts: Iterable[Difference]) -> Difference:
    """The difference over several sets of spans that share none: a long job adds up its slices."""
    sums: dict[str | None, _Sum] = {}
    uncounted = 0
    for part in parts:
        uncounted += part.uncounted
        for model in part.models:
            sums.setdefault(model.model, _Sum()).absorb(model)
    return _total(sums, uncounted)


def _total(sums: dict[str | None, _Sum], uncounted: int) -> Difference:
    models = sorted(
        (of_model.result(model) for model, of_model in sums.items()),
        key=lambda each: (-abs(each.delta_pico), -each.changed, each.model or ""),
    )
    return Difference(
        models=tuple(models),
        spans=sum(each.spans for each in models),
        changed=sum(each.changed for each in models),
        uncounted=uncounted,
        old_pico=sum(each.old_pico for each in models),
        new_pico=sum(each.new_pico for each in models),
        old_unknown=sum(each.old_unknown for each in models),
        new_unknown=sum(each.new_unknown for each in models),
    )
