"""How old what a page shows may be, in words: each page by the work it stands on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.read.waiting import Oldest
from telltale.lib.format import span_words

# A worker writes a row every 10 s.
SILENT = timedelta(seconds=60)
# What is taken in within seconds while a worker keeps up. Calls of judges are paced and repeated, and a round of
# monitors that learn anew may take its three minutes.
LIMITS = {
    "account": timedelta(seconds=60),
    "charts": timedelta(seconds=60),
    "behaviour": timedelta(seconds=60),
    "samples": timedelta(minutes=5),
    "judging": timedelta(minutes=5),
    "monitors": timedelta(seconds=200),
}
WORDS = {
    "account": "The account of ingest holds what came until {} ago.",
    "charts": "Charts and sums hold what came until {} ago. Traces themselves are listed at once.",
    "behaviour": "What users did is known of traces and signals that came until {} ago.",
    "samples": "Drift is reckoned of what came until {} ago.",
    "judging": "Judging is behind: the oldest answer that is due has waited for {}.",
    "monitors": "Monitors are evaluated late: the oldest look is due for {}. An alarm may come as late.",
}
# What the pages of a section stand on, by the first part of their address below the project; "": the overview. A
# section without a name here shows rows as they were written; one with no kinds needs a worker alone.
STANDS_ON: dict[str, tuple[str, ...]] = {
    "": ("charts", "judging", "monitors"),
    "accounting": ("account",),
    "changes": ("charts",),
    "cost": ("charts",),
    "datasets": (),
    "drift": ("samples", "monitors"),
    "experiments": (),
    "inbox": ("judging", "monitors"),
    "incidents": ("charts", "judging", "monitors"),
    "judges": ("judging",),
    "models": ("charts",),
    "monitors": ("charts", "judging", "monitors"),
    "outcomes": ("behaviour", "charts"),
    "performance": ("charts",),
    "probes": ("monitors",),
    "quality": ("judging",),
    "questions": ("monitors",),
    "retrieval": ("judging",),
    "review": ("judging",),
    "sessions": ("charts", "behaviour"),
    "signals": ("behaviour",),
    "users": ("charts",),
}


@dataclass(frozen=True, slots=True)
class Behind:
    """What a page says of its own age: a title, and a sentence for each work that is late. `kinds` are those."""

    title: str
    lines: tuple[str, ...]
    kinds: tuple[str, ...]


def late_of(oldest: Oldest, now: datetime) -> dict[str, timedelta]:
    """The kinds of work that wait for longer than their limit, and for how long."""
    since = {kind: getattr(oldest, kind) for kind in LIMITS}
    return {kind: now - at for kind, at in since.items() if at is not None and now - at > LIMITS[kind]}


def silent_for(oldest: Oldest, now: datetime) -> timedelta | None:
    """For how long no worker has shown life, where that is too long; None where one has, or none ever did."""
    age = None if oldest.life_at is None else now - oldest.life_at
    return age if age is not None and age > SILENT else None


def behind(section: str, oldest: Oldest, now: datetime, *, searches: bool = False) -> Behind | None:
    """What a page of `section` has to say; None where all is in time, or where it stands on nothing of the kind.

    `searches`: the page shows what a search found, which says itself how far the index is behind.
    """
    kinds = STANDS_ON.get(section)
    if kinds is None:
        if not searches:
            return None
        kinds = ()
    late = {kind: age for kind, age in late_of(oldest, now).items() if kind in kinds}
    silent = silent_for(oldest, now)
    lines = [WORDS[kind].format(span_words(age.total_seconds())) for kind, age in late.items()]
    if silent is not None:
        lines.insert(0, f"No worker has shown life for {span_words(silent.total_seconds())}: until one runs again, "
                        "nothing is added up, indexed, judged or evaluated.")  # fmt: skip
    if not lines:
        return None
    if late:
        title = f"Data is {span_words(max(late.values()).total_seconds())} old"
    else:
        title = f"Data may be {span_words(max(silent or SILENT, SILENT).total_seconds())} old"
    return Behind(title, tuple(lines), tuple(late))
