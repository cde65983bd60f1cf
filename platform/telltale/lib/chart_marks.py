"""Marks of moments on a figure that is drawn already: a dotted line for each, with a name where there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from telltale.lib.chart_shapes import Figure, Rule, Text

# Real pixels: lines nearer than this are one; a letter of a name is about so wide; between two names stays so much.
NEAR = 7.0
LETTER = 6.3
GAP = 8.0
NAME_MAX = 22


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on the time axis (seconds since 1970) with its name."""

    at: float
    text: str


def with_marks(figure: Figure, marks: Sequence[Mark], start: float, end: float) -> Figure:
    """The figure with a dotted line at each mark within [start, end), which its time axis runs over from edge to edge.

    Marks that would lie on each other are one line with their number; a name that would run into another one is left
    out. Needs a figure with grid lines, which tell where its axis lies; others come back as they are.
    """
    grid = [rule for rule in figure.picture.rules if rule.y1 == rule.y2 and rule.x2 > rule.x1]
    inside = sorted((mark for mark in marks if start <= mark.at < end), key=lambda mark: mark.at)
    if not grid or not inside or end <= start:
        return figure
    left, right = min(rule.x1 for rule in grid), max(rule.x2 for rule in grid)
    top, bottom = min(rule.y1 for rule in grid), max(rule.y1 for rule in grid)
    groups: list[tuple[float, list[Mark]]] = []
    for mark in inside:
        x = round(left + (right - left) * (mark.at - start) / (end - start), 1)
        if groups and x - groups[-1][0] < NEAR:
            groups[-1][1].append(mark)
        else:
            groups.append((x, [mark]))
    rules = [Rule(x, top, x, bottom, "c-event") for x, _ in groups]
    texts = []
    taken = left - GAP
    for at, (x, same) in enumerate(groups):
        # A release that reaches two environments within the day is one name.
        name = same[0].text if len({mark.text for mark in same}) == 1 else f"{len(same)} changes"
        name = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
        wide = len(name) * LETTER
        room = groups[at + 1][0] if at + 1 < len(groups) else right
        if x >= taken and x + 4 + wide <= min(room, right):
            texts.append(Text(x + 4, top + 8, name))
            taken = x + 4 + wide + GAP
        elif x - 4 - wide >= taken:
            texts.append(Text(x - 4, top + 8, name, anchor="end"))
            taken = x + GAP
        else:
            taken = max(taken, x + GAP)
    picture = replace(
        figure.picture, rules=(*figure.picture.rules, *rules), texts=(*figure.picture.texts, *texts)
    )  # fmt: skip
    noun = "change" if len(inside) == 1 else "changes"
    return replace(figure, picture=picture, sentence=f"{figure.sentence} {len(inside)} {noun} marked.")
