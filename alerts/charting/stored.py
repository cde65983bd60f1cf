"""A chart as JSON and back, equal to the last bit: what a row keeps between rounds.

Two parts stay out, for they have rows of their own: the baseline, and the windows that are being learned from.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.charting.packing import pack, unpack
from alerts.charting.types import Chart, Learning, OpenAlarm, Tally, Waiting
from alerts.detectors.base import Baseline, State
from alerts.monitors.states import Standing


def to_json(chart: Chart) -> dict[str, Any]:
    """What a JSON column holds of a chart."""
    learning, waiting, alarm = chart.learning, chart.waiting, chart.alarm
    return {
        "seed": chart.seed,
        "standing": str(chart.standing),
        "words": chart.words,
        "since": _text(chart.since),
        "learning": learning and _learning(learning),
        "baseline_no": chart.baseline_no,
        "centre": chart.centre,
        "state": chart.state.as_json(),
        "waiting": waiting
        and {
            "start": _text(waiting.start),
            "n": waiting.n,
            "data": base64.b64encode(pack(waiting.data)).decode(),
        },
        "breached": chart.breached,
        "beyond": chart.beyond,
        "tallies": [[_text(one.start), _text(one.end), one.k, one.n] for one in chart.tallies],
        "alarm": alarm
        and {
            "start": _text(alarm.start),
            "direction": alarm.direction,
            "rule": alarm.rule,
            "acknowledged": alarm.acknowledged,
        },
        "quiet": chart.quiet,
        "fresh_from": _text(chart.fresh_from),
        "last_data_at": _text(chart.last_data_at),
        "decided_to": _text(chart.decided_to),
    }


def from_json(stored: Mapping[str, Any], baseline: Baseline | None) -> Chart:
    """The chart that `to_json` gave, with the baseline in force; its collected windows are to be recalled."""
    learning, waiting, alarm = stored["learning"], stored["waiting"], stored["alarm"]
    return Chart(
        seed=stored["seed"],
        standing=Standing(stored["standing"]),
        words=stored["words"],
        since=_moment(stored["since"]),
        learning=learning and _read_learning(learning),
        baseline=baseline,
        baseline_no=stored["baseline_no"],
        centre=stored["centre"],
        state=State.from_json(stored["state"]),
        waiting=waiting
        and Waiting(datetime.fromisoformat(waiting["start"]), waiting["n"], unpack(base64.b64decode(waiting["data"]))),
        breached=stored["breached"],
        beyond=stored["beyond"],
        tallies=tuple(
            Tally(datetime.fromisoformat(start), datetime.fromisoformat(end), k, n)
            for start, end, k, n in stored["tallies"]
        ),
        alarm=alarm and OpenAlarm(**{**alarm, "start": datetime.fromisoformat(alarm["start"])}),
        quiet=stored["quiet"],
        fresh_from=_moment(stored["fresh_from"]),
        last_data_at=_moment(stored["last_data_at"]),
        decided_to=_moment(stored["decided_to"]),
    )


def without_alarm(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored chart whose alarm was ended from outside: what it added up starts again at 0. {} stays {}."""
    if not stored or not stored["alarm"]:
        return dict(stored)
    state = State.from_json(stored["state"]).released()
    again = {"state": state.as_json(), "breached": False, "beyond": 0, "tallies": []}
    return {**stored, "alarm": None, "quiet": 0, "fresh_from": stored["decided_to"], **again}


def _learning(learning: Learning) -> dict[str, Any]:
    return {
        "start": _text(learning.start),
        "end": _text(learning.end),
        "days": learning.days,
        "first": _text(learning.first),
        "windows": learning.windows,
        "next_at": learning.next_at,
        "have": learning.have,
        "need": learning.need,
        "what": learning.what,
        "split_at": _text(learning.split_at),
        "stale": learning.stale,
    }


def _read_learning(stored: Mapping[str, Any]) -> Learning:
    return Learning(
        start=_moment(stored["start"]),
        end=_moment(stored["end"]),
        days=stored["days"],
        first=_moment(stored["first"]),
        windows=stored["windows"],
        next_at=stored["next_at"],
        have=stored["have"],
        need=stored["need"],
        what=stored["what"],
        split_at=_moment(stored["split_at"]),
        stale=stored["stale"],
    )


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
