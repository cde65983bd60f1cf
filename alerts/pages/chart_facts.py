"""What people decided of a monitor, as its chart's page lists it. Pure."""

from __future__ import annotations

from alerts.monitors.types import Definition, Metric
from alerts.pages import units, words
from alerts.read.monitors import MonitorRow
from telltale.lib import format as fmt


def facts(definition: Definition, metric: Metric | None, monitor: MonitorRow) -> list[tuple[str, str]]:
    """What people decided, as (name, words)."""
    unit = units.unit_of(metric)
    told = [
        ("Metric", f"{metric.title}: {metric.told}" if metric else definition.metric),
        ("Of", words.scope_words(definition.scope)),
        *((name.replace("_", " ").capitalize(), str(value)) for name, value in sorted(definition.params.items())),
        ("Window", f"{words.span(definition.window)}, decided {words.span(definition.lateness)} after its end"),
        ("Late data", f"revise a window for {words.span(definition.grace)}, never a decision"),
        ("Decides by", words.METHODS[monitor.method]),
        ("Alarms", {"both": "both ways", "up": "upward only", "down": "downward only"}[definition.direction]),
        ("Severity", f"P{monitor.severity}, {'pages' if monitor.is_paging else 'notices only'}"),
    ]
    if definition.threshold is not None:
        limit, side = definition.threshold, definition.threshold.side
        words_ = f"{side} {unit.text(limit.limit)}"
        words_ += f", {limit.after} windows in a row" if limit.after > 1 else ""
        words_ += f", ends at {unit.text(limit.release)}" if limit.release is not None else ""
        told.append(("Limit", words_))
    if definition.objective is not None:
        told.append(("Allowed", f"{fmt.share(definition.objective.allowed)} of them, alarmed by burn rate"))
    if definition.composite is not None:
        many = definition.composite
        told.append(
            ("Members", f"{many.least} of {len(many.members)} within {words.span(many.within)}")
            if many.score_over is None
            else ("Members", f"weighted score of {len(many.members)} over {many.score_over:g}")
        )
    if definition.floor is not None:
        told.append(("Floor", unit.text(definition.floor)))
    if definition.ceiling is not None:
        told.append(("Ceiling", unit.text(definition.ceiling)))
    if definition.least_n > 1:
        told.append(("Least n", f"{definition.least_n:,} a window"))
    if definition.no_data is not None:
        told.append(("Without data", f"an alarm after {words.span(definition.no_data)}"))
    return told
