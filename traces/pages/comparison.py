"""Two traces or two spans side by side, as values: facts with their differences, aligned steps, what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from telltale.lib import format as fmt
from traces.canonical.types import Kind
from traces.compare import Aligned, Effort, Piece, align, compare_texts, pair_up
from traces.pages.content import ContentView, Turn, view_content
from traces.pages.trace import default_place
from traces.pages.words import COSTS, KINDS
from traces.read import Label, SpanDetail, TraceRow, get_span, list_spans, read_labels
from traces.read.money import PICO
from traces.tree import Tree, build_tree
from traces.wire.ids import hex_span_id

# Spans of a trace that are looked at, lines that are shown: what a person compares by eye is far below.
STEPS_MAX = 20_000
LINES_MAX = 300
# So much of a stretch that both texts have is written around what differs.
CONTEXT_CHARS = 200
NONE = "none"


@dataclass(frozen=True, slots=True)
class Fact:
    """One property of both: as words, and the difference where there is one to tell."""

    key: str
    label: str
    a: str
    b: str
    difference: str
    is_different: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """One line of the aligned trees; the words of a side that has no such step are empty."""

    depth: int
    name_a: str
    name_b: str
    span_a: str
    span_b: str
    word: str
    icon: str
    css: str
    a: tuple[str, str, str]  # time, tokens, cost
    b: tuple[str, str, str]
    model_a: str
    model_b: str
    is_error_a: bool
    is_error_b: bool
    is_chosen: bool

    @property
    def only(self) -> str:
        """Which side alone has it: a, b, or neither alone."""
        return "" if self.span_a and self.span_b else "a" if self.span_a else "b"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of both. `state` is same, changed, gone, new, or replaced (too different to tell word by word)."""

    who: str
    state: str
    a: tuple[Piece, ...]
    b: tuple[Piece, ...]
    is_cut: bool  # some of it is too long to be compared


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a trace, its tree, and the chosen span."""

    trace: TraceRow
    tree: Tree
    is_whole: bool
    detail: SpanDetail | None

    @property
    def place(self) -> str:
        """How an address names it."""
        return self.trace.hex_id if self.detail is None else f"{self.trace.hex_id}:{self.detail.span.hex_id}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that a page or REST shows of two sides."""

    a: Side
    b: Side
    facts: tuple[Fact, ...]
    steps: tuple[StepLine, ...]
    is_all_steps: bool
    span_facts: tuple[Fact, ...]
    said: tuple[Said, ...]

    @property
    def is_same_said(self) -> bool:
        return all(each.state == "same" for each in self.said)


def read_side(project_id: int, trace: TraceRow, span_id: int | None) -> Side | None:
    """A side with the span asked for, else the likeliest one; None where the trace has no such span."""
    steps = list_spans(project_id, trace, STEPS_MAX)
    tree = build_tree(steps.steps)
    if span_id is None:
        place = default_place(tree)
        span_id = None if place is None else tree.steps[place].span_id
        return Side(trace, tree, steps.is_whole, None if span_id is None else get_span(project_id, trace, span_id))
    detail = get_span(project_id, trace, span_id)
    return None if detail is None else Side(trace, tree, steps.is_whole, detail)


def compare(project_id: int, a: Side, b: Side) -> Comparison:
    """Both sides compared; what is too long or too different to compare says so."""
    aligned, is_all = align(a.tree, b.tree, LINES_MAX)
    return Comparison(
        a=a,
        b=b,
        facts=_facts(trace_values(a.trace), trace_values(b.trace)),
        steps=_steps(project_id, a, b, aligned),
        is_all_steps=is_all and a.is_whole and b.is_whole,
        span_facts=_facts(span_values(a.detail), span_values(b.detail)) if a.detail and b.detail else (),
        said=_said(view_content(a.detail.content), view_content(b.detail.content)) if a.detail and b.detail else (),
    )


# A value to compare: (key, label, value, how it is written). Numbers get a difference, texts are equal or not.
Value = tuple[str, str, Any, Callable[[Any], str]]


def _plain(value: Any) -> str:
    return NONE if value is None or value == "" else str(value)


def _count(value: int | None) -> str:
    return fmt.count(value, missing="unknown")


def _time(value: float | None) -> str:
    return fmt.latency(value, missing="unknown")


def _money(value: Decimal | None) -> str:
    return fmt.cost(value, missing="unknown")


def trace_values(row: TraceRow) -> list[Value]:
    """What of a trace is compared."""
    cost_word = COSTS[row.cost.state][1]
    prompt = " ".join(part for part in (row.prompt_name, row.prompt_version) if part)
    return [
        ("duration_ms", "Latency", row.duration_ms, lambda v: fmt.latency(v, missing="not ended")),
        ("ttft_ms", "First token", row.ttft_ms, _time),
        ("input_tokens", "Tokens in", row.tokens_in, _count),
        ("cached_tokens", "of them cached", row.cached_tokens if row.has_tokens else None, _count),
        ("output_tokens", "Tokens out", row.tokens_out, _count),
        ("cost_usd", "Cost", row.cost.usd, lambda v: fmt.cost(v, missing=cost_word or "unknown")),
        ("spans", "Spans", row.span_count, _count),
        ("errors", "Errors", row.error_count, _count),
        ("models", "Models", ", ".join(row.models), _plain),
        ("prompt", "Prompt", prompt, _plain),
        ("feature", "Feature", row.feature, _plain),
        ("release", "Release", row.release, _plain),
        ("environment", "Environment", row.environment, _plain),
        ("finish_reason", "Finish", row.finish_reason, _plain),
        ("error_type", "Error", row.error_type, _plain),
    ]


def span_values(detail: SpanDetail) -> list[Value]:
    """What of a span is compared."""
    span, usage = detail.span, detail.span.usage
    prompt = " ".join(part for part in (span.prompt_name, span.prompt_version) if part)
    values: list[Value] = [
        ("name", "Name", span.name, _plain),
        ("duration_ms", "Latency", span.duration_ms, lambda v: fmt.latency(v, missing="not ended")),
        ("ttft_ms", "First token", span.ttft_ms, _time),
        ("input_fresh", "Tokens in, fresh", usage and usage.input_fresh, _count),
        ("input_cache_read", "Tokens in, cached", usage and usage.input_cache_read, _count),
        ("output_text", "Tokens out", usage and usage.output_text, _count),
        ("output_reasoning", "Reasoning tokens", usage and usage.output_reasoning, _count),
        ("cost_usd", "Cost", span.cost_usd, _money),
        ("model", "Model", span.model, _plain),
        ("model_requested", "Model asked for", span.model_requested, _plain),
        ("provider", "Provider", span.provider, _plain),
        ("prompt", "Prompt", prompt, _plain),
        ("finish_reason", "Finish", span.finish_reason, _plain),
        ("status", "Status", span.status.name.lower(), _plain),
        ("error_type", "Error", span.error_type, _plain),
    ]
    parameters = detail.content.parameters or {}
    values += [(f"parameter.{key}", str(key), str(value)[:200], _plain) for key, value in list(parameters.items())[:20]]
    return values


def _facts(first: Sequence[Value], second: Sequence[Value]) -> tuple[Fact, ...]:
    """What at least one of the two knows, in the order of the first."""
    other = {value[0]: value for value in second}
    keys = {value[0]: value for value in [*first, *second]}
    mine = {value[0]: value for value in first}
    facts = []
    for key, (_, label, _, _) in keys.items():
        a, b = mine.get(key), other.get(key)
        x, y = (side[2] if side else None for side in (a, b))
        if x in (None, "") and y in (None, ""):
            continue
        words = [side[3](side[2]) if side else NONE for side in (a, b)]
        facts.append(Fact(key, label, words[0], words[1], difference(x, y, keys[key][3]), x != y))
    return tuple(facts)


def difference(a: Any, b: Any, write: Callable[[Any], str]) -> str:
    """ "+1,200 (+35%)" of two numbers; "" where they are equal or no numbers."""
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None or a == b:
        return ""
    change = b - a
    share = "" if not a or abs(change) > abs(a) * 100 else f" ({fmt.change_pct(a, b)})"
    return f"{'+' if change > 0 else fmt.MINUS}{write(abs(change))}{share}"


def _steps(project_id: int, a: Side, b: Side, aligned: Iterable[Aligned]) -> tuple[StepLine, ...]:
    lines = list(aligned)
    places_a = [line.a for line in lines if line.a is not None]
    places_b = [line.b for line in lines if line.b is not None]
    labels_a = read_labels(project_id, a.trace, [a.tree.steps[place].span_id for place in places_a])
    labels_b = read_labels(project_id, b.trace, [b.tree.steps[place].span_id for place in places_b])
    chosen = tuple(side.detail.span.span_id if side.detail else None for side in (a, b))
    return tuple(_step(line, a.tree, b.tree, labels_a, labels_b, chosen) for line in lines)


def _step(
    line: Aligned,
    tree_a: Tree,
    tree_b: Tree,
    labels_a: dict[int, Label],
    labels_b: dict[int, Label],
    chosen: tuple[int | None, ...],
) -> StepLine:
    a = None if line.a is None else tree_a.steps[line.a]
    b = None if line.b is None else tree_b.steps[line.b]
    step = a or b
    assert step is not None  # noqa: S101 - a line is of one of them at least
    word, icon, css = KINDS[Kind(step.kind)]
    label_a, label_b = (labels.get(each.span_id) if each else None for labels, each in ((labels_a, a), (labels_b, b)))
    return StepLine(
        depth=min(line.depth, 16),
        name_a=a.name or "(no name)" if a else "",
        name_b=b.name or "(no name)" if b else "",
        span_a=hex_span_id(a.span_id) if a else "",
        span_b=hex_span_id(b.span_id) if b else "",
        word=word,
        icon=icon,
        css=css,
        a=_figures(a.duration_ns, label_a) if a else ("", "", ""),
        b=_figures(b.duration_ns, label_b) if b else ("", "", ""),
        model_a=(label_a.model or "") if label_a else "",
        model_b=(label_b.model or "") if label_b else "",
        is_error_a=bool(a and a.status == 2),
        is_error_b=bool(b and b.status == 2),
        is_chosen=chosen == (a and a.span_id, b and b.span_id),
    )


def _figures(duration_ns: int | None, label: Label | None) -> tuple[str, str, str]:
    """Time, tokens and cost of one step; empty where it has none."""
    time = "open" if duration_ns is None else fmt.latency(duration_ns / 1e6)
    if label is None or not label.is_counted:
        return time, "", ""
    total = (
        None
        if label.tokens_in is None and label.tokens_out is None
        else (label.tokens_in or 0) + (label.tokens_out or 0)
    )
    tokens = "" if total is None else fmt.count(total, short=True)
    return time, tokens, "" if label.cost_pico is None else fmt.cost(Decimal(label.cost_pico) / PICO)


def _said(first: ContentView, second: ContentView) -> tuple[Said, ...]:
    """The messages of both, those of one speaker paired off: first the ones that are equal, then in order."""
    effort = Effort()
    turns = pair_up(_turns(first), _turns(second), (lambda turn: turn, lambda turn: turn.who))
    return tuple(_compared(a, b, effort) for a, b in turns)


@dataclass(frozen=True, slots=True)
class _Text:
    """One message as one text."""

    who: str
    text: str
    total: int  # its whole length where it was cut, else 0


def _turns(view: ContentView) -> list[_Text]:
    turns = list(map(_text_of, view.turns))
    if view.query is not None:
        turns.insert(0, _Text("Query", view.query.text, view.query.total))
    turns += [
        _Text("Document", f"{source.title}\n{source.body.text}".strip(), source.body.total) for source in view.sources
    ]
    return turns


def _text_of(turn: Turn) -> _Text:
    parts = []
    for block in turn.blocks:
        title = {"call": f"Calls {block.title}", "result": f"Result of {block.title}" if block.title else ""}
        parts += [title.get(block.kind, ""), "(not captured)" if block.kind == "missing" else block.body.text]
        if block.kind == "media":
            parts.append(block.title)
    return _Text(turn.who, "\n".join(part for part in parts if part), sum(block.body.total for block in turn.blocks))


def _compared(a: _Text | None, b: _Text | None, effort: Effort) -> Said:
    is_cut = bool((a and a.total) or (b and b.total))
    if a is None or b is None:
        one = a or b
        assert one is not None  # noqa: S101 - of a pair one is there
        piece = (Piece("gone" if a else "new", one.text),)
        return Said(one.who, "gone" if a else "new", piece if a else (), piece if b else (), is_cut)
    if a == b:
        return Said(a.who, "same", (Piece("same", a.text),), (), is_cut)
    pieces, is_searched = compare_texts(a.text, b.text, effort)
    short = [_shortened(piece) for piece in pieces]
    left = tuple(piece for piece in short if piece.op != "new")
    right = tuple(piece for piece in short if piece.op != "gone")
    return Said(a.who, "changed" if is_searched else "replaced", left, right, is_cut)


def _shortened(piece: Piece) -> Piece:
    """A long stretch that both have, as its beginning and end."""
    text = piece.text
    if piece.op != "same" or len(text) < 4 * CONTEXT_CHARS:
        return piece
    left_out = len(text) - 2 * CONTEXT_CHARS
    return Piece("same", f"{text[:CONTEXT_CHARS]} … {left_out:,} characters alike … {text[-CONTEXT_CHARS:]}")
