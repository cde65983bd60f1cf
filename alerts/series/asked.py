"""What is asked of the readers of series, and what they answer when they cannot."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.monitors.types import Definition, Metric


@dataclass(frozen=True, slots=True)
class Asked:
    """One series: a metric with the scope and params of a definition. Its other fields play no part."""

    metric: Metric
    definition: Definition


class SeriesFault(Exception):
    """A series that cannot be read: in words for people. `is_passing`: it may work later (too slow just now)."""

    def __init__(self, words: str, *, is_passing: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.is_passing = is_passing
