"""Figures beside their bars, as a table for people and JSON for scripts."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

WORDS = {True: "holds", False: "MISSES", None: ""}


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. `bar` is required, `aim` hoped for; `is_floor` where more is better."""

    name: str
    value: float
    unit: str
    bar: float | None = None
    aim: float | None = None
    is_floor: bool = False
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the bar is held; None where there is none."""
        if self.bar is None or math.isnan(self.value):
            return None if self.bar is None else False
        return self.value >= self.bar if self.is_floor else self.value <= self.bar


@dataclass(slots=True)
class Report:
    """What one benchmark found."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        value: float,
        unit: str,
        bar: float | None = None,
        aim: float | None = None,
        *,
        is_floor: bool = False,
        note: str = "",
    ) -> None:
        """Keep a figure and say it at once."""
        figure = Figure(name, value, unit, bar, aim, is_floor, note)
        self.figures.append(figure)
        print(line(figure), flush=True)

    def say(self, note: str) -> None:
        """Keep a remark and say it at once."""
        self.notes.append(note)
        print(f"  {note}", flush=True)

    @property
    def holds(self) -> bool:
        """Whether no bar is missed."""
        return all(figure.holds is not False for figure in self.figures)

    def finish(self, path: Path | None) -> int:
        """Print the summary, write JSON to `path` if given; the exit status."""
        missed = [figure.name for figure in self.figures if figure.holds is False]
        print(
            f"{self.title}: " + (f"{len(missed)} bar(s) missed: {', '.join(missed)}" if missed else "every bar holds")
        )
        if path:
            figures = [asdict(figure) | {"holds": figure.holds} for figure in self.figures]
            body = {"title": self.title, "machine": machine(), "figures": figures, "notes": self.notes}
            path.write_text(json.dumps(body, indent=1) + "\n")
        return 1 if missed else 0


def line(figure: Figure) -> str:
    """A figure as one line of a table."""
    parts = [f"{figure.name:52s}", f"{number(figure.value):>12s} {figure.unit:10s}"]
    if figure.bar is not None:
        sign = ">=" if figure.is_floor else "<="
        aim = "" if figure.aim is None else f", aim {number(figure.aim)}"
        parts.append(f"{WORDS[figure.holds]:6s} ({sign} {number(figure.bar)}{aim})")
    if figure.note:
        parts.append(figure.note)
    return " ".join(parts).rstrip()


def number(value: float) -> str:
    """Three significant digits, or whole with separators from a hundred on."""
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, object]:
    """Where and when the figures were made."""
    model = ""
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        if entry.startswith("model name"):
            model = entry.partition(":")[2].strip()
            break
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": model,
        "memory_gib": round(memory_kib / 2**20, 1),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }
