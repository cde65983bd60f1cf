"""A calibration as pages show it: the sentence, the gate, the table of people against judge, what was missed.

`templates/evals/_gate.html`, `_confusion.html` and `_missed.html` take what is made here, on the judge's page too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from evals.read.calibration import Badge, CalibrationRow
from telltale.lib import format as fmt

HEAT_STEPS = 9
# With fewer answers off the commonest level kappas leave their intervals more often than 1 time in 10.
RARE = 15
MISSED_SHOWN = 8
METRICS = {
    "raw_agreement": "Same score",
    "weighted_kappa": "Weighted kappa",
    "cohen_kappa": "Cohen’s kappa",
    "krippendorff": "Krippendorff’s alpha",
    "gwet_ac1": "Gwet’s AC1",
    "gwet_ac2": "Gwet’s AC2",
    "spearman": "Spearman’s rho",
    "kendall": "Kendall’s tau-b",
}
STATE_CSS = {"proven": "ok", "failed": "bad", "not_proven": "watch", "stale": "watch", "none": ""}
STATE_WORD = {
    "proven": "Proven",
    "failed": "Failed",
    "not_proven": "Not proven",
    "stale": "Stale",
    "none": "Not calibrated",
}
_CHECK = {"proven": ("check", "met", "met"), "failed": ("x", "missed", ""), "not_proven": ("clock", "not proven", "")}


@dataclass(frozen=True, slots=True)
class GateLine:
    """One check of the gate: what is wanted, what was found, and what that says."""

    words: str
    note: str
    value: str
    icon: str
    state: str
    css: str
    is_missed: bool


@dataclass(frozen=True, slots=True)
class GateView:
    """All checks, and how many are met."""

    lines: tuple[GateLine, ...]
    met: str
    need: str


@dataclass(frozen=True, slots=True)
class Cell:
    """How many answers have this pair of levels; `css` is its heat and outline."""

    text: str
    css: str
    said: str


@dataclass(frozen=True, slots=True)
class ConfusionView:
    """People in rows, the judge in columns, every level of the scale."""

    levels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    n: int
    exact: str
    lines: tuple[str, ...]
    missed: str


@dataclass(frozen=True, slots=True)
class MissedLine:
    """A bad answer the judge did not flag."""

    href: str
    question: str
    person: str
    judge: str
    why: str


@dataclass(frozen=True, slots=True)
class MissedView:
    """The first of the missed answers, and where all of them are."""

    title: str
    lines: tuple[MissedLine, ...]
    more: str
    href: str


@dataclass(frozen=True, slots=True)
class FigureLine:
    """One measure: of judge and people, of people alone, the second minus the first, and of a constant judge.

    `traffic` is that of judge and people with each answer weighing as the traffic it stands for.
    """

    name: str
    judge: str
    judge_ci: str
    traffic: str
    traffic_ci: str
    people: str
    people_ci: str
    below: str
    below_ci: str
    constant: str


@dataclass(frozen=True, slots=True)
class FlagLine:
    """A share of the judge's flag, with the counts of answers behind it."""

    name: str
    value: str
    ci: str
    counts: str


@dataclass(frozen=True, slots=True)
class LeanLine:
    """How far the judge lies from people, at one level of theirs."""

    level: str
    n: str
    bias: str
    ci: str


def has_value(found: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether a stored figure is one, and not what it lacks."""
    return bool(found) and found is not None and found.get("value") is not None


def value_words(found: Mapping[str, Any] | None, digits: int = 2) -> str:
    """A stored figure as text."""
    if not has_value(found):
        return too_little(found)
    return number(found["value"], digits)


def number(value: float, digits: int = 2) -> str:
    """A figure with the real minus sign."""
    text = f"{value:.{digits}f}"
    return text.replace("-", fmt.MINUS) if float(text) else f"{0:.{digits}f}"


def signed(value: float, digits: int = 2) -> str:
    """A figure with its sign, +0.12 or −0.12."""
    return ("+" if float(f"{value:.{digits}f}") > 0 else "") + number(value, digits)


def too_little(found: Mapping[str, Any] | None) -> str:
    """What is lacking for a figure."""
    if not found or found.get("need") is None:
        return "none"
    return f"{found['have']} of {found['need']} {found['what']}"


def interval_words(found: Mapping[str, Any] | None, is_share: bool = False) -> str:
    """The interval of a stored figure: "95% CI 0.81–0.89"."""
    if not has_value(found):
        return ""
    low, high = found.get("low"), found.get("high")
    if low is None or high is None:
        return "no interval from so few"
    if is_share:
        return f"95% CI {fmt.share(low)}{fmt.EN_DASH}{fmt.share(high)}"
    dash = " to " if low < 0 else fmt.EN_DASH
    return f"95% CI {number(low)}{dash}{number(high)}"


def gate_view(result: Mapping[str, Any]) -> GateView | None:
    """The gate of a calibration's stored result; None without one."""
    gate = result.get("gate") or {}
    checks = gate.get("checks") or []
    if not checks:
        return None
    lines = tuple(_gate_line(check, gate, result) for check in checks)
    met = sum(1 for check in checks if check["state"] == "proven")
    more = gate.get("need_more")
    return GateView(lines, f"{met} of {len(checks)} met", f"about {more:,} more labels" if more else "")


def _gate_line(check: Mapping[str, Any], gate: Mapping[str, Any], result: Mapping[str, Any]) -> GateLine:
    icon, state, css = _CHECK[check["state"]]
    is_share = check["name"] not in {"agreement", "bias"} or (
        check["name"] == "agreement" and gate.get("metric") == "raw_agreement"
    )
    wanted = fmt.share(check["wanted"]) if is_share else number(check["wanted"])
    limit = f"at {'least' if check['direction'] == 'at_least' else 'most'} {wanted}"
    value = check["value"]
    notes = []
    if value is None:
        notes.append("not measured yet")
    else:
        words = interval_words(check, is_share)
        notes.append(f"{words}, n = {check['n']:,}" if words else f"n = {check['n']:,}")
    notes += _facts(check["name"], result)
    if check.get("by_people"):
        notes.append("met because people agree with each other no better")
    if check["state"] == "not_proven" and value is not None:
        more, most = check.get("need_more"), check.get("need_more_high")
        between = f"about {more:,}" + (f" to {most:,}" if more and most and most > more else "") if more else ""
        if between:
            notes.append(f"{between} more {check['unit']} would decide")
    shown = "unknown" if value is None else fmt.share(value) if is_share else number(value)
    if check["name"] == "bias" and value is not None:
        shown = signed(value)
    return GateLine(
        words=f"{_words(check['name'], gate)}, {limit}",
        note="; ".join(notes),
        value=shown,
        icon=icon,
        state=state,
        css=css,
        is_missed=check["state"] == "failed",
    )


def metric_words(metric: str) -> str:
    """A measure's name within a sentence."""
    name = METRICS.get(metric, "agreement")
    # The others are named after people.
    return name[0].lower() + name[1:] if metric in ("raw_agreement", "weighted_kappa") else name


def _words(name: str, gate: Mapping[str, Any]) -> str:
    metric = metric_words(str(gate.get("metric")))
    return {
        "agreement": f"Agreement with people, {metric}",
        "recall": "Catches bad answers",
        "precision": "Flags that are right",
        "bias": "Lean, in points either way",
        "unusable": "Answers of the judge that cannot be used",
        "self_agreement": "Same score on a second run",
    }[name]


def _facts(name: str, result: Mapping[str, Any]) -> list[str]:
    flag = result.get("flag") or {}
    if name == "recall" and flag.get("bad"):
        return [f"flagged {flag['caught']} of {flag['bad']}"]
    if name == "precision" and flag.get("flagged"):
        return [f"{flag['caught']} of {flag['flagged']}"]
    return []


def confusion_view(result: Mapping[str, Any], version: int) -> ConfusionView | None:
    """The table of a calibration's stored result; None without pairs."""
    counts, levels = result.get("counts") or [], tuple(result.get("levels") or ())
    n = sum(map(sum, counts))
    if not n:
        return None
    most = max(max(row) for row in counts)
    flag = result.get("flag") or {}
    cut = flag.get("level")
    rows = []
    for at, row in enumerate(counts):
        cells = []
        for to, count in enumerate(row):
            is_missed = cut is not None and at <= cut < to and count > 0
            heat = 0 if not count else max(round(HEAT_STEPS * count / most), 1)
            css = f"h{heat}" + (" missed" if is_missed else "")
            said = f"people {levels[at]}, judge {levels[to]}: {count}" + (", missed" if is_missed else "")
            cells.append(Cell(str(count) if count else "·", css, said))
        rows.append((levels[at], tuple(cells)))
    exact = sum(counts[at][at] for at in range(len(counts))) / n
    near = sum(count for at, row in enumerate(counts) for to, count in enumerate(row) if abs(at - to) <= 1) / n
    shares = f"exact {fmt.share(exact)}"
    if len(levels) > 2 and result.get("is_ordered", True):
        shares += f", within 1 {fmt.share(near)}"
    return ConfusionView(levels, tuple(rows), n, shares, _lines(result), _missed_words(result))


def _missed_words(result: Mapping[str, Any]) -> str:
    flag = result.get("flag") or {}
    if not flag.get("bad"):
        return ""
    return f"{flag['missed']} missed"


def _lines(result: Mapping[str, Any]) -> tuple[str, ...]:
    """What the table says, in sentences."""
    lines = []
    flag = result.get("flag") or {}
    if flag.get("bad"):
        lines.append(f"Outlined: people scored {flag['words']}, the judge better.")
    elif flag:
        lines.append(f"People found no answer {flag['words']} yet, so nothing says what the judge misses.")
    bias = result.get("bias") or {}
    if has_value(bias):
        low, high = bias.get("low"), bias.get("high")
        leans = low is not None and high is not None and (low > 0 or high < 0)
        begin = ("It leans up" if bias["value"] > 0 else "It leans down") if leans else "No lean overall"
        lines.append(f"{begin}: judge minus people {signed(bias['value'])} points.")
    people = (result.get("people") or {}).get(str((result.get("gate") or {}).get("metric")))
    if has_value(people):
        lines.append(f"People agree with each other at {number(people['value'])}, the ceiling for any judge.")
    else:
        lines.append("Too few answers were labelled by two people to say how well people agree with each other.")
    return tuple(lines)


def missed_view(
    result: Mapping[str, Any], questions: Mapping[str, str], traces_href: str, review_href: str = ""
) -> MissedView | None:
    """The missed answers of a stored result; `questions` by trace id in hex. None where nothing was missed."""
    missed = result.get("missed") or []
    total = int(result.get("missed_total") or len(missed))
    if not missed:
        return None
    lines = tuple(
        MissedLine(
            href=f"{traces_href}{found['trace_id']}/",
            question=questions.get(found["trace_id"]) or f"Trace {found['trace_id'][:8]}",
            person=found["person"],
            judge=found["judge"],
            why=found.get("note") or found.get("judge_note") or "",
        )
        for found in missed[:MISSED_SHOWN]
    )
    title = "The one it missed" if total == 1 else f"The {total:,} it missed"
    more = f"{len(lines)} of {total:,}" if total > len(lines) else ""
    return MissedView(title, lines, more, review_href)


def figure_lines(result: Mapping[str, Any]) -> tuple[FigureLine, ...]:
    """Each measure of agreement, for judge and people, people alone, and the constant judge."""
    lines = []
    for key, name in METRICS.items():
        judge, traffic, people, below, constant = (
            (result.get(part) or {}).get(key)
            for part in ("agreement", "agreement_of_traffic", "people", "people_minus_judge", "constant")
        )
        if judge is None and people is None:
            continue
        is_share = key == "raw_agreement"
        lines.append(
            FigureLine(
                name=name,
                judge=_shown(judge, is_share),
                judge_ci=interval_words(judge, is_share),
                traffic=_shown(traffic, is_share),
                traffic_ci=interval_words(traffic, is_share),
                people=_shown(people, is_share),
                people_ci=interval_words(people, is_share),
                below=_gap(below, is_share),
                below_ci=_gap_interval(below, is_share),
                constant="undefined" if constant is None else fmt.share(constant) if is_share else number(constant),
            )
        )
    return tuple(lines)


def _shown(found: Mapping[str, Any] | None, is_share: bool) -> str:
    if not has_value(found):
        return too_little(found)
    return fmt.share(found["value"]) if is_share else number(found["value"])


def _gap(found: Mapping[str, Any] | None, is_share: bool) -> str:
    if not has_value(found):
        return "none"
    return f"{signed(100 * found['value'], 0)} points" if is_share else signed(found["value"])


def _gap_interval(found: Mapping[str, Any] | None, is_share: bool) -> str:
    if not has_value(found) or found.get("low") is None or not is_share:
        return interval_words(found)
    return f"95% CI {number(100 * found['low'], 0)} to {number(100 * found['high'], 0)}"


def flag_lines(result: Mapping[str, Any]) -> tuple[FlagLine, ...]:
    """What the judge's flag is worth, share by share; empty where labels have no order."""
    flag = result.get("flag") or {}
    if not flag:
        return ()
    bad, flagged, caught, n = (int(flag.get(name) or 0) for name in ("bad", "flagged", "caught", "n"))
    n = n or int(result.get("n") or 0)
    of = {
        "recall": ("Bad answers that it flags", f"{caught:,} of {bad:,}"),
        "precision": ("Flags that are right", f"{caught:,} of {flagged:,}"),
        "false_flag_share": ("Flags that are false", f"{flagged - caught:,} of {flagged:,}"),
        "false_alarms": ("Good answers that it flags", f"{flagged - caught:,} of {n - bad:,}"),
        "prevalence": ("Bad answers among all", f"{bad:,} of {n:,}"),
    }
    return tuple(
        FlagLine(name, _shown(flag.get(key), True), interval_words(flag.get(key), True), counts)
        for key, (name, counts) in of.items()
    )


def lean_lines(result: Mapping[str, Any]) -> tuple[LeanLine, ...]:
    """Judge minus people at each level that people gave."""
    return tuple(
        LeanLine(
            level=found["level"],
            n=f"{found['n']:,}",
            bias=signed(found["value"]) if found.get("value") is not None else "none",
            ci=interval_words(found),
        )
        for found in result.get("bias_by_level") or []
    )


def headline(row: CalibrationRow | None, version: int) -> str:
    """The page's sentence."""
    if row is None:
        return f"v{version} has not been set against people yet"
    if row.stale:
        return f"v{version}: the calibration no longer holds, {row.stale}"
    flag = row.result.get("flag") or {}
    missed = f"misses {flag.get('missed', 0):,} of the {flag.get('bad', 0):,} bad answers"
    states = {check["name"]: check["state"] for check in (row.result.get("gate") or {}).get("checks") or []}
    if row.verdict == "proven":
        return f"v{version} is proven: it agrees with people and passes all {len(states)} checks"
    if row.verdict == "failed":
        if states.get("recall") == "failed":
            start = "it agrees with people, but " if states.get("agreement") == "proven" else "it "
            return f"v{version} is not ready: {start}{missed}"
        return f"v{version} is not ready: it {' and '.join(row.missed) or 'misses its gate'}"
    more = f": about {row.need_more:,} more labels would decide" if row.need_more else ""
    return f"v{version} is not proven on {row.pairs:,} answers{more}"


def badge_css(badge: Badge) -> str:
    """The class of a badge's colour."""
    return STATE_CSS[badge.state]


def notes(result: Mapping[str, Any]) -> tuple[str, ...]:
    """How the figures were made, and what did not count, in sentences."""
    told = []
    if result.get("is_weighted"):
        told.append(
            "Answers were drawn with known chances; catches, right flags and lean are weighted by them (1/chance)."
        )
    elif result.get("n"):
        told.append("How these answers were picked is not known, so each counts once: figures are of them alone.")
    rare = _beside_the_commonest(result)
    if 0 < rare < RARE:
        told.append(
            f"People put only {rare:,} of these answers anywhere but at their commonest level: kappa, alpha and "
            "correlations of so few are less sure than their intervals say. Gwet’s AC holds up better."
        )
    told += [f"{count:,} left out: {reason}." for reason, count in sorted((result.get("left_out") or {}).items())]
    if result.get("resamples"):
        told.append(
            f"Intervals: 95%, {result['resamples']:,} resamples of {result.get('unit', 'answers')}, "
            f"seed {result.get('seed')}."
        )
    return tuple(told)


def _beside_the_commonest(result: Mapping[str, Any]) -> int:
    rows: list[int] = [sum(row) for row in result.get("counts") or []]
    return sum(rows) - max(rows, default=0)
