"""The lines of the waterfall: name, time, and a bar as SVG geometry; a slice of them at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from traces.canonical.types import MODEL_KINDS, Kind, SpanFlag, SpanStatus
from traces.forms import Pair
from traces.pages.words import KINDS
from traces.read import Label, Steps
from traces.tree import Bar, Fold, Line, Note, Scale, Step, Tree
from traces.wire.ids import hex_span_id

# Lines on the first screen and in each further slice.
SLICE = 300
# Deeper lines are not indented further; they say their level instead.
DEPTH_MAX = 16
# Below this a bar would be too thin to see and gets a fixed width.
THIN_PCT = 0.9
# A letter of a label takes about this much of the lane at the narrowest it gets (260 px), with its gap to the bar.
LETTER_PCT = 2.5
# A label cut shorter than this says nothing.
LABEL_LETTERS_MIN = 8
_PENDING = int(SpanFlag.PENDING)
_UNITS = ((172_800_000.0, "d"), (7_200_000.0, "h"), (120_000.0, "min"), (1000.0, "s"), (1.0, "ms"))


@dataclass(frozen=True, slots=True)
class LineView:
    """One line as the table writes it. Geometry is in percent of the lane."""

    href: str
    span_id: str
    depth: int
    level: int
    has_guide: bool
    is_deep: bool
    is_selected: bool
    is_fold: bool
    name: str
    icon: str
    css: str
    word: str
    duration_ms: float | None
    is_error: bool
    note: str
    # Geometry comes as text: Django formats each number anew, at a third of the cost of the row.
    x: str
    wait: str
    body_x: str
    body_width: str
    label: str
    label_x: str
    label_side: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Some lines, where they are among all, and the addresses of the slices before and after."""

    lines: tuple[LineView, ...]
    first: int
    total: int
    before: str
    after: str

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1

    @property
    def has_wait(self) -> bool:
        """Whether any bar shows the wait for the first token."""
        return any(line.wait for line in self.lines)

    @property
    def left(self) -> int:
        """How many lines come after."""
        return self.total - self.last


def place_of_slice(asked: int | None, total: int, selected: int | None) -> int:
    """The first line to show: the one asked for, else such that the selected line is in sight."""
    if asked is not None:
        return min(max(asked, 0), max(total - 1, 0))
    if selected is not None and selected >= SLICE:
        return max(selected - 20, 0)
    return 0


def view_slice(
    tree: Tree,
    lines: list[Line],
    first: int,
    scale: Scale,
    labels: Mapping[int, Label],
    selected: int | None,
    keep: list[Pair],
    opened: list[int],
) -> Slice:
    """The lines from `first` on, ready to write. `keep` are the pairs that every address carries."""
    suffix = "&" + urlencode(keep) if keep else ""
    open_pairs = [("open", hex_span_id(tree.steps[place].span_id)) for place in opened]
    views = []
    depth_before = -1 if first == 0 else lines[first - 1].depth
    for line in lines[first : first + SLICE]:
        if line.fold is not None:
            views.append(_fold_view(tree, line, keep, open_pairs))
        else:
            step = tree.steps[line.place]
            opens = "&" + urlencode(open_pairs) if open_pairs else ""
            label = labels.get(step.span_id)
            is_selected = line.place == selected
            views.append(
                _line_view(
                    step, line, tree.notes.get(line.place), scale, label, is_selected, suffix + opens, depth_before
                )
            )
        depth_before = line.depth
    after = before = ""
    if first + SLICE < len(lines):
        after = "?" + urlencode([("from", first + SLICE), *keep, *open_pairs])
    if first > 0:
        before = "?" + urlencode([("from", max(first - SLICE, 0)), *keep, *open_pairs])
    return Slice(tuple(views), first + 1, len(lines), before, after)


def slice_span_ids(tree: Tree, lines: list[Line], first: int) -> list[int]:
    """The spans whose labels a slice needs."""
    return [tree.steps[line.place].span_id for line in lines[first : first + SLICE] if line.fold is None]


def _line_view(
    step: Step,
    line: Line,
    note: Note | None,
    scale: Scale,
    label: Label | None,
    is_selected: bool,
    suffix: str,
    depth_before: int,
) -> LineView:
    hex_id = hex_span_id(step.span_id)
    word, icon, css = KINDS[Kind(step.kind)]
    is_error = step.status == SpanStatus.ERROR
    bar = scale.bar(step.started_us, step.duration_ns, label.ttft_ns if label else None)
    text = _label(step, label, is_error)
    text, x, side = place_label(text, bar)
    is_thin = bar.width < THIN_PCT
    is_pending = bool(step.flags & _PENDING)
    notes = [note.value] if note else []
    if is_pending:
        notes.append("not finished")
    if line.depth > DEPTH_MAX:
        notes.append(f"level {line.depth + 1}")
    return LineView(
        href=f"?span={hex_id}{suffix}",
        span_id=hex_id,
        depth=min(line.depth, DEPTH_MAX),
        level=line.depth + 1,
        has_guide=line.depth > 0,
        is_deep=depth_before >= line.depth,
        is_selected=is_selected,
        is_fold=False,
        name=step.name or "(no name)",
        icon=icon,
        css="err" if is_error else css,
        word=word,
        duration_ms=None if step.duration_ns is None else step.duration_ns / 1e6,
        is_error=is_error,
        note=", ".join(notes),
        # SVG lengths: percent of the lane, or pixels for a bar too thin to see.
        x=f"{bar.x}%",
        wait="" if is_thin or not bar.wait else f"{bar.wait}%",
        body_x=f"{round(bar.x + bar.wait, 3)}%",
        body_width="3" if is_thin else f"{round(bar.width - bar.wait, 3)}%",
        label=text,
        label_x=f"{x}%",
        label_side=side,
    )


def _fold_view(tree: Tree, line: Line, keep: list[Pair], open_pairs: list[Pair]) -> LineView:
    hex_id = hex_span_id(tree.steps[line.place].span_id)
    if line.fold is Fold.HTTP:
        name = f"{line.n:,} HTTP call{'' if line.n == 1 else 's'} folded"
    else:
        name = f"{line.n:,} more “{line.name}” folded"
    href = "?" + urlencode([*keep, *open_pairs, ("open", hex_id), ("span", hex_id)])
    return LineView(
        href, "", min(line.depth, DEPTH_MAX), line.depth + 1, True, True, False, True, name, "chev", "", "Folded", None,
        False, "", "", "", "", "", "", "", "",
    )  # fmt: skip


def _label(step: Step, label: Label | None, is_error: bool) -> str:
    if label is None:
        return ""
    if is_error:
        return (label.error_type or "error").rsplit(".", 1)[-1][:40]
    if Kind(step.kind) in MODEL_KINDS and label.model:
        return label.model[:40]
    if label.tool_name and label.tool_name != step.name:
        return label.tool_name[:40]
    return ""


def place_label(text: str, bar: Bar) -> tuple[str, float, str]:
    """The label, cut to the room beside its bar; where it is tied to the bar, and on which side, right if it fits."""
    right, left = int((100.0 - bar.end) / LETTER_PCT), int(bar.x / LETTER_PCT)
    is_right = len(text) <= right or right >= left
    room = right if is_right else left
    if not text or room < min(len(text), LABEL_LETTERS_MIN):
        return "", 0.0, ""
    if len(text) > room:
        text = text[: room - 1].rstrip() + "…"
    return text, round(bar.end, 3) if is_right else bar.x, "right" if is_right else "left"


@dataclass(frozen=True, slots=True)
class TickView:
    """A mark of the time line with its words; the outer ones stay inside."""

    x: float
    word: str
    anchor: str


def view_ticks(scale: Scale) -> tuple[TickView, ...]:
    """The marks of the time line, in the unit that keeps their numbers short."""
    last = scale.ticks[-1].at_ms if scale.ticks else 0.0
    size, unit = next(((size, unit) for size, unit in _UNITS if last >= size), (0.001, "µs"))
    anchors = {0.0: "start", 100.0: "end"}
    return tuple(
        TickView(tick.x, f"{tick.at_ms / size:.4g} {unit}" if tick.at_ms else "0", anchors.get(tick.x, "middle"))
        for tick in scale.ticks
    )


def headline(tree: Tree, steps: Steps, duration_ms: float | None) -> str:
    """What the waterfall shows, in a sentence: which single call took most of the time."""
    if not duration_ms or len(steps.steps) < 2:
        return ""
    # Waiting for what is below is not the work of a step: a leaf is.
    leaves = [
        step
        for at, step in enumerate(steps.steps)
        if at in tree.parents and at not in tree.children and step.duration_ns
    ]
    longest = max(leaves, key=lambda step: step.duration_ns or 0, default=None)
    if longest is None or longest.duration_ns is None:
        return ""
    share = longest.duration_ns / 1e6 / duration_ms
    if not 0.3 <= share <= 1.0:
        return ""
    article = {Kind.GENERATION: "one model call", Kind.TOOL: "one tool call", Kind.RETRIEVER: "one retrieval"}
    what = article.get(Kind(longest.kind), "one step")
    return f"{share * 100:.0f}% of the time is {what}."
