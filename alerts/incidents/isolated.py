"""What isolate found, as it is kept and said: where it began, changes by fit, versions and texts side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alerts.stats.isolate import Contrast, Fit, Ranking
from telltale.lib import format as fmt
from traces.compare.words import GONE, NEW, Effort, Piece, compare_texts

Json = dict[str, Any]

PIECES_MOST = 400
KEPT_AROUND = 160
DETAILS_MOST, DETAIL_CHARS = 30, 400
PLACES = {
    "inside": "inside",
    "shortly before": "shortly before",
    "outside": "outside",
    "after": "after it began",
}
OVERLAPS = {
    "same": "touches what is affected",
    "all": "touches everything",
    "unknown": "not known: the scope is open",
    "other": "touches other parts",
}
MATCHES = {"strong": "Strong", "possible": "Possible", "weak": "Weak", "none": "Not proposed"}


def fit_json(fit: Fit) -> Json:
    """How a change fits, as JSON; lags None without an onset."""
    known = fit.match != "none"
    return {
        "id": fit.id,
        "place": fit.place if known else None,
        "lag_seconds": fit.lag if known else None,
        "lag_low_seconds": fit.lag_low if known else None,
        "lag_high_seconds": fit.lag_high if known else None,
        "overlap": fit.overlap,
        "shared": list(fit.shared),
        "says": fit.contrast,
        "match": fit.match,
        "score": fit.score,
    }


def contrast_json(one: Contrast) -> Json:
    """Two versions at the same time, as JSON."""
    return {
        "new_rate": one.new, "old_rate": one.old, "difference": one.value, "low": one.low, "high": one.high,
        "windows": one.windows, "n_new": one.n_new, "n_old": one.n_old, "level": one.level, "method": one.method,
    }  # fmt: skip


def told_apart(ranking: Ranking, titles: Mapping[int, str]) -> str:
    """What can and cannot be told of the changes: one sentence, "" where one alone lies inside."""
    if len(ranking.together) > 1:
        names = _listed([titles.get(one, f"change {one}") for one in ranking.together])
        return f"{names} cannot be told apart by time."
    if len(ranking.inside) > 1 and ranking.fits and ranking.fits[0].contrast == "worse":
        return f"{len(ranking.inside)} changes lie inside the interval; versions side by side tell them apart."
    if len(ranking.inside) > 1:
        return f"{len(ranking.inside)} changes lie inside the interval; whom they touched tells them apart."
    return ""


def finding(body: Mapping[str, Any]) -> str:
    """One sentence: what it began with, or that nothing is proposed."""
    changes = body.get("changes", [])
    if body["onset"]["at"] is None:
        why = body["onset"]["words"]
        return f"{why[:1].upper()}{why[1:]}. No change is proposed." if why else "No clear start."
    best = changes[0] if changes else None
    if best is None:
        return "No change is in the log in the two weeks before it began."
    if body.get("apart"):
        return str(body["apart"])
    if best["match"] == "strong":
        return f"It coincides with {best['title']}."
    if best["match"] == "possible":
        return f"It may have begun with {best['title']}; the fit is not strong."
    return "No change of the log fits well."


def difference(first: str, second: str, effort: Effort) -> Json:
    """What makes `second` of `first`, as JSON: pieces (op, text), long stretches without change shortened."""
    pieces, is_exact = compare_texts(first, second, effort)
    kept = [_shortened(piece, at == 0, at == len(pieces) - 1) for at, piece in enumerate(pieces[:PIECES_MOST])]
    return {
        "pieces": [[piece.op, piece.text] for piece in kept],
        "is_same": all(piece.op not in {GONE, NEW} for piece in pieces),
        "is_exact": is_exact,
        "is_cut": len(pieces) > PIECES_MOST,
    }


def settings_difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Json]:
    """The keys that say something else: [{key, before, after}], None where a side has none."""
    keys = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    return [
        {"key": str(key)[:120], "before": _value(before.get(key)), "after": _value(after.get(key))}
        for key in keys[:DETAILS_MOST]
    ]


def lag_words(seconds: float | None) -> str:
    """ "6 h 10 min before", "at the same time", "2 h after"."""
    if seconds is None:
        return fmt.UNKNOWN
    minutes = round(abs(seconds) / 60)
    if minutes == 0:
        return "at the same time"
    hours, rest = divmod(minutes, 60)
    if minutes < 60:
        told = f"{minutes} min"
    elif hours < 24:
        told = f"{hours} h {rest} min" if rest else f"{hours} h"
    else:
        told = f"{round(hours / 24, 1):g} days" if hours >= 48 else f"{hours} h"
    return f"{told} {'before' if seconds > 0 else 'after'}"


def _shortened(piece: Piece, is_first: bool, is_last: bool) -> Piece:
    if piece.op in {GONE, NEW} or len(piece.text) <= 2 * KEPT_AROUND:
        return piece
    head = "" if is_first else piece.text[:KEPT_AROUND]
    tail = "" if is_last else piece.text[-KEPT_AROUND:]
    return Piece(piece.op, f"{head} … {tail}")


def _value(value: object) -> str | None:
    return None if value is None else str(value)[:DETAIL_CHARS]


def _listed(names: Sequence[str]) -> str:
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return f"{', '.join(names[:-1])} and {names[-1]}"
