"""The charts of the performance page: each point with the address of the traces behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.stats.proportions import wilson
from telltale.stats.sketch import Sketch
from traces.hosts import HostLine
from traces.performance_view import (
    Links,
    Point,
    full_moment,
    interval_words,
    per,
    points_of,
    preset_note,
    rate,
    rate_words,
    share_words,
    step_words,
    tick_words,
)
from traces.presets import presets_of
from traces.read.performance import Performance, quantile_of

HOST_LINES_MAX = 5
TICKS_MAX = 6
_RATE = charts.Unit(lambda value, step: f"{value:,g}", lambda value: fmt.UNKNOWN if value is None else rate(value))


class Pictures:
    """Makes the page's figures."""

    def __init__(self, found: Performance, zone: ZoneInfo, links: Links) -> None:
        self._found = found
        self._zone = zone
        self._links = links
        self._x_range = (found.start.timestamp(), found.end.timestamp())
        edges = found.calls.edges
        self._calls = points_of(edges, found.calls.points())
        self._requests = points_of(edges, found.requests.points()) if found.requests is not None else []
        self._step = found.calls.step

    def all(self) -> list[charts.Figure]:
        """Every figure there are data for, in the order of the page."""
        return [figure for figure in (
            self.latency(), self.rate(), self.errors(), self.first_token(), self.token_time(), self.throughput(),
            self.length(), *self.hosts(),
        ) if figure is not None]  # fmt: skip

    def latency(self) -> charts.Figure | None:
        """p50, p95 with its band, p99: of requests, or of model calls where requests are not told apart."""
        if self._found.requests is not None:
            return self._quantiles("Latency of requests", "duration", self._requests, "latency_p95", self._of_requests)
        return self._quantiles("Latency of model calls", "duration", self._calls, "latency_p95", self._of_calls)

    def first_token(self) -> charts.Figure | None:
        return self._quantiles("Time to first token", "ttft", self._calls, "ttft_p95", self._of_calls)

    def token_time(self) -> charts.Figure | None:
        return self._quantiles("Time per output token", "tpot", self._calls, "tpot_p95", self._of_calls)

    def _of_requests(self, point: Point) -> str:
        return self._links.requests(point.start, point.end)

    def _of_calls(self, point: Point) -> str:
        return self._links.calls(point.start, point.end)

    def _quantiles(
        self, name: str, sketch: str, points: Sequence[Point], figure: str, link: Callable[[Point], str]
    ) -> charts.Figure | None:
        known = [point.row.sketch(sketch) for point in points]
        n = sum(part.n for part in known)
        if not n:
            return None
        middle = [quantile_of(part, 0.5)[0] for part in known]
        tail = [quantile_of(part, 0.95) for part in known]
        far = [quantile_of(part, 0.99)[0] for part in known]
        xs = self._xs(points)
        p95 = [value for value, _, _ in tail]
        presets = presets_of(figure)
        lines = [
            charts.Line(xs, middle, "c-line grey", end="p50"),
            charts.Line(xs, far, "c-line grey", is_dashed=True, end="p99"),
            charts.Line(xs, p95, "c-line", low=[low for _, low, _ in tail], high=[high for _, _, high in tail],
                        end="p95", end_css="t-1"),
        ]  # fmt: skip
        shown = [value for value in (*p95, *far) if value is not None]
        limits = [
            charts.Limit(preset.value, preset.words) for preset in presets if preset.value <= max(shown, default=0) * 3
        ]
        picture = charts.line_picture(
            lines, self._ticks(), charts.MS, x_range=self._x_range, size=charts.HALF, right=44, limits=limits,
            spots=self._spots(points, link, lambda p: f"p95 {fmt.latency(quantile_of(p.row.sketch(sketch), 0.95)[0])}"),
        )  # fmt: skip
        rows = tuple(
            charts.Row(
                (
                    full_moment(point.start, self._step, self._zone),
                    fmt.latency(mid, missing="none"),
                    fmt.latency(value, missing="none"),
                    interval_words(low, high, part.n),
                    fmt.latency(top, missing="none"),
                ),
                link(point),
            )
            for point, part, mid, (value, low, high), top in zip(points, known, middle, tail, far, strict=True)
            if part.n
        )
        whole = Sketch.merged(known)
        value, low, high = quantile_of(whole, 0.95)
        finding = f"{name}: 95 of 100 within {fmt.latency(value)}"
        note = f"{step_words(self._step).capitalize()}; band: 95% CI of p95. {preset_note(presets)}".strip()
        sentence = f"{name} {step_words(self._step)}: p95 {fmt.latency(value)}, {interval_words(low, high, whole.n)}."
        head = ("Time", "p50", "p95", "Interval of p95", "p99")
        return charts.Figure(finding, note, sentence, picture, head, rows, is_fit=True)

    def rate(self) -> charts.Figure | None:
        """Requests (or model calls) a second, those with errors apart."""
        points, noun, link = self._population()
        if not any(point.row.sums.n for point in points):
            return None
        most = max(points, key=lambda p: p.row.sums.n / (p.end - p.start).total_seconds())
        peak = most.row.sums.n / (most.end - most.start).total_seconds()
        unit, words = per(peak)
        seconds = [(point.end - point.start).total_seconds() / unit for point in points]
        good = [(p.row.sums.n - p.row.sums.errors) / s for p, s in zip(points, seconds, strict=True)]
        bad = [p.row.sums.errors / s for p, s in zip(points, seconds, strict=True)]
        picture = charts.bar_picture(
            [charts.Stack("without errors", good, "f1"), charts.Stack("with errors", bad, "f2")], self._labels(points),
            _RATE, size=charts.HALF,
            spots=[(link(p), self._title(p, f"{p.row.sums.n:,} {noun}")) for p in points],
        )  # fmt: skip
        finding = f"At most {rate(peak * unit)} {noun} {words}, {full_moment(most.start, self._step, self._zone)}"
        rows = tuple(
            charts.Row(
                (
                    full_moment(p.start, self._step, self._zone), f"{p.row.sums.n:,}", f"{p.row.sums.errors:,}",
                    rate(p.row.sums.n / s),
                ),
                link(p),
            )
            for p, s in zip(points, seconds, strict=True)
        )  # fmt: skip
        note = f"{noun.capitalize()} {words}, {step_words(self._step)}"
        head = ("Time", noun.capitalize(), "With errors", words.capitalize())
        return charts.Figure(
            finding, note, f"{note}. {finding}.", picture, head, rows,
            legend=(("s1", "without errors"), ("s2", "with errors")), is_fit=True,
        )  # fmt: skip

    def errors(self) -> charts.Figure | None:
        """The share with errors, with its band."""
        points, noun, link = self._population()
        shares = [wilson(p.row.sums.errors, p.row.sums.n) for p in points]
        if not any(found.n for found in shares):
            return None
        presets = presets_of("error_share")
        picture = charts.line_picture(
            [charts.Line(self._xs(points), [f.share for f in shares], "c-line", low=[f.low for f in shares],
                         high=[f.high for f in shares])],
            self._ticks(), charts.SHARE, x_range=self._x_range, size=charts.HALF,
            limits=[charts.Limit(preset.value, preset.words) for preset in presets],
            spots=self._spots(points, link, lambda p: f"{p.row.sums.errors:,} of {p.row.sums.n:,} with errors"),
        )  # fmt: skip
        whole = wilson(sum(f.k for f in shares), sum(f.n for f in shares))
        rows = tuple(
            charts.Row(
                (full_moment(p.start, self._step, self._zone), f"{f.k:,} of {f.n:,}", share_words(f)),
                link(p),
            )
            for p, f in zip(points, shares, strict=True)
            if f.n
        )
        finding = f"{share_words(whole)} of {noun} have errors"
        note = f"{step_words(self._step).capitalize()}; band: 95% CI. {preset_note(presets)}"
        return charts.Figure(
            finding, note, f"Share of {noun} with errors. {finding}.", picture,
            ("Time", "With errors", "Share"), rows, is_fit=True,
        )  # fmt: skip

    def throughput(self) -> charts.Figure | None:
        """Output tokens a second of all model calls together."""
        seconds = [(p.end - p.start).total_seconds() for p in self._calls]
        most = max((p.row.sums.output_tokens / s for p, s in zip(self._calls, seconds, strict=True)), default=0.0)
        if not most:
            return None
        unit, words = per(most)
        values = [p.row.sums.output_tokens * unit / s for p, s in zip(self._calls, seconds, strict=True)]
        picture = charts.bar_picture(
            [charts.Stack(f"output tokens {words}", values)], self._labels(self._calls), _RATE, size=charts.HALF,
            spots=[
                (self._of_calls(p), self._title(p, f"{p.row.sums.output_tokens:,} output tokens")) for p in self._calls
            ],
        )  # fmt: skip
        total = sum(p.row.sums.output_tokens for p in self._calls)
        finding = f"{rate_words(total / self._found.seconds)} on average".replace(" ", " output tokens ", 1)
        rows = tuple(
            charts.Row(
                (full_moment(p.start, self._step, self._zone), f"{p.row.sums.output_tokens:,}", rate(value)),
                self._of_calls(p),
            )
            for p, value in zip(self._calls, values, strict=True)
        )
        note = f"All model calls together, {step_words(self._step)}; calls that tell no tokens are not in it"
        head = ("Time", "Output tokens", words.capitalize())
        return charts.Figure(finding, note, f"{note}. {finding}.", picture, head, rows, is_fit=True)

    def length(self) -> charts.Figure | None:
        """How long answers are, in output tokens a call."""
        parts = [p.row.sketch("length") for p in self._calls]
        whole = Sketch.merged(parts)
        if not whole.n:
            return None

        def at(part: Sketch, q: float) -> float | None:
            found = part.quantile(q)
            return None if found is None else found.value

        xs = self._xs(self._calls)
        picture = charts.line_picture(
            [charts.Line(xs, [at(part, 0.95) for part in parts], "c-line grey", end="p95"),
             charts.Line(xs, [at(part, 0.5) for part in parts], "c-line", end="p50", end_css="t-1")],
            self._ticks(), charts.COUNT, x_range=self._x_range, size=charts.HALF, right=44,
            spots=self._spots(self._calls, self._of_calls, lambda p: f"{p.row.sketch('length').n:,} answers"),
        )  # fmt: skip
        middle = whole.quantile(0.5)
        words = "no answers" if middle is None else f"{round(middle.value):,} tokens"
        rows = tuple(
            charts.Row(
                (full_moment(p.start, self._step, self._zone), f"{part.n:,}", charts.COUNT.text(at(part, 0.5)),
                 charts.COUNT.text(at(part, 0.95))),
                self._of_calls(p),
            )
            for p, part in zip(self._calls, parts, strict=True)
            if part.n
        )  # fmt: skip
        finding = f"Half of answers are within {words}"
        note = f"Output tokens a model call, {step_words(self._step)}"
        return charts.Figure(
            finding, note, f"{note}. {finding}.", picture, ("Time", "Answers", "p50", "p95"), rows, is_fit=True
        )

    def hosts(self) -> list[charts.Figure]:
        """A figure for each measure that hosts tell."""
        by_measure: dict[str, list[HostLine]] = {}
        for line in self._found.hosts.lines:
            by_measure.setdefault(line.measure.key, []).append(line)
        return [self._host_figure(lines) for lines in by_measure.values()]

    def _host_figure(self, lines: Sequence[HostLine]) -> charts.Figure:
        measure = lines[0].measure
        kept = sorted(lines, key=lambda line: (-line.mean, line.host))[:HOST_LINES_MAX]
        unit = charts.SHARE if measure.unit == "share" else charts.COUNT
        step = self._found.hosts.step.total_seconds()
        drawn = []
        for at, line in enumerate(kept):
            xs: list[float] = []
            ys: list[float | None] = []
            for point in line.points:
                x = point.bucket.timestamp() + step / 2
                if xs and x - xs[-1] > step * 1.5:
                    xs.append(x - step)
                    ys.append(None)
                xs.append(x)
                ys.append(_drawable(point.value, measure.unit))
            css = "c-line" if at == 0 else "c-line grey"
            drawn.append(charts.Line(xs, ys, css, end=_short(line.host) if len(kept) > 1 else ""))
        presets = presets_of(f"{measure.key}_share")
        picture = charts.line_picture(
            drawn, self._ticks(), unit, x_range=self._x_range, size=charts.HALF, right=88 if len(kept) > 1 else 16,
            limits=[charts.Limit(preset.value, preset.words) for preset in presets],
        )  # fmt: skip
        top = max(kept, key=lambda line: line.highest.value)
        when = full_moment(top.highest.bucket, self._step, self._zone)
        value = unit.text(_drawable(top.highest.value, measure.unit))
        finding = f"{measure.label}: at most {value} on {top.host}, {when}"
        more = f" {len(lines) - len(kept)} more hosts are quieter." if len(lines) > len(kept) else ""
        minutes = round(step / 60)
        width = "hour" if minutes == 60 else f"{minutes} minutes"
        note = f"Mean by {width}, from {kept[0].source}.{more} {preset_note(presets)}".strip()
        rows = tuple(
            charts.Row((line.host, line.source, unit.text(_drawable(line.mean, measure.unit)),
                        unit.text(_drawable(line.highest.value, measure.unit))))
            for line in kept
        )  # fmt: skip
        return charts.Figure(
            finding, note, f"{finding}.", picture, ("Host", "Metric", "Mean", "Highest"), rows, is_fit=True
        )

    def _population(self) -> tuple[list[Point], str, Callable[[Point], str]]:
        if self._found.requests is not None:
            return self._requests, "requests", self._of_requests
        return self._calls, "model calls", self._of_calls

    def _xs(self, points: Sequence[Point]) -> list[float]:
        return [(point.start.timestamp() + point.end.timestamp()) / 2 for point in points]

    def _labels(self, points: Sequence[Point]) -> list[str]:
        words = tick_words(self._found.calls.edges, self._zone, TICKS_MAX)
        return [words.get(at, "") for at in range(len(points))]

    def _ticks(self) -> list[tuple[float, str]]:
        edges = self._found.calls.edges
        return [(edges[at].timestamp(), word) for at, word in tick_words(edges, self._zone, TICKS_MAX).items()]

    def _title(self, point: Point, words: str) -> str:
        return f"{full_moment(point.start, self._step, self._zone)}: {words}"

    def _spots(
        self, points: Sequence[Point], link: Callable[[Point], str], words: Callable[[Point], str]
    ) -> list[charts.Spot]:
        return [
            charts.Spot(p.start.timestamp(), p.end.timestamp(), link(p), self._title(p, words(p)))
            for p in points
            if p.row.sums.n
        ]


def _drawable(value: float, unit: str) -> float:
    """A value that an axis can hold: what a sender claims of a share may be anything."""
    return min(max(value, 0.0), 1.0 if unit == "share" else 1e12)


def _short(text: str, most: int = 12) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


