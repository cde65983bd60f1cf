"""How far the figures of the overview may be trusted: what arrived, is priced, judged, calibrated, evaluated. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evals.read.estimates import FLAG, Estimates
from telltale.lib import format as fmt
from telltale.web.behind import late_of, silent_for
from telltale.web.front import words
from telltale.web.front.values import Front
from traces.read.accounting import Account

# Beyond these a figure is marked: late charts, and judgements that failed.
LAG_SECONDS, FAILED_SHARE = 60.0, 0.05


@dataclass(frozen=True, slots=True)
class Health:
    """One figure of the strip. `state`: ok, watch, bad or none; `href` is where more of it stands."""

    key: str
    label: str
    value: str
    note: str
    state: str
    href: str


def strip(front: Front, engine_words: str, base: str) -> list[Health]:
    """The figures, in the order in which data go: arrival, price, judging, calibration, evaluation."""
    late = {kind: fmt.span_words(age.total_seconds()) for kind, age in late_of(front.oldest, front.now).items()}
    return [
        _lag(front, late, base),
        _rejected(front.account, base),
        _unpriced(front, base),
        _failures(front.judged, base),
        _coverage(front.judged, late, base),
        _calibrations(front.judged, base),
        _engine(front, engine_words, late, base),
    ]


def _lag(front: Front, late: Mapping[str, str], base: str) -> Health:
    account, traffic = front.account, front.traffic
    behind = traffic.state.lag_seconds if traffic is not None else None
    silent = silent_for(front.oldest, front.now)
    lag = account.spans.lag_mean_ms if account is not None else None
    if silent is not None:
        value = f"{late['charts']} behind" if "charts" in late else "no worker"
        note = f"no worker has shown life for {fmt.span_words(silent.total_seconds())}"
        return Health("lag", "Lag", value, note, "bad", f"{base}accounting/")
    if behind is not None and behind > LAG_SECONDS:
        return Health(
            "lag",
            "Lag",
            f"{fmt.latency(behind * 1000)} behind",
            "charts and monitors wait",
            "watch",
            f"{base}accounting/",
        )
    if lag is None:
        return Health("lag", "Lag", "nothing came", "in the last 24 h", "none", f"{base}accounting/")
    return Health("lag", "Lag", fmt.latency(lag), "from first byte to commit, mean of 24 h", "ok", f"{base}accounting/")


def _rejected(account: Account | None, base: str) -> Health:
    href = f"{base}accounting/"
    if account is None or not account.total.received:
        return Health(
            "rejected", "Rejected", fmt.UNKNOWN if account is None else "nothing came", "in the last 24 h", "none", href
        )
    flow = account.total
    note = f"of {fmt.count(flow.received)} received in 24 h"
    if flow.dropped:
        note += f"; {fmt.count(flow.dropped)} dropped by policy"
    if not account.is_whole:
        return Health("rejected", "Rejected", fmt.count(flow.rejected), f"{note}; the sums do not add up", "bad", href)
    return Health(
        "rejected",
        "Rejected",
        fmt.count(flow.rejected) if flow.rejected else "none",
        note,
        "watch" if flow.rejected else "ok",
        href,
    )


def _unpriced(front: Front, base: str) -> Health:
    href = f"{base}settings/prices/"
    if front.traffic is None or not front.traffic.total.sums.n:
        return Health(
            "unpriced",
            "Without a price",
            fmt.UNKNOWN if front.traffic is None else "nothing came",
            "in the last 24 h",
            "none",
            href,
        )
    sums = front.traffic.total.sums
    n = sums.unpriced_count
    note = f"{words.plural(n, 'call')} in 24 h; costs are at least" if n else "every call of the last 24 h has one"
    return Health("unpriced", "Without a price", fmt.count(n) if n else "none", note, "watch" if n else "ok", href)


def _failures(judged: Estimates | None, base: str) -> Health:
    href = f"{base}judges/"
    if judged is None:
        return Health("judge_failures", "Judge failures", fmt.UNKNOWN, "took too long to read", "none", href)
    states = [coverage.states for coverage in judged.coverage.values()]
    failed = sum(one.get("failed", 0) for one in states)
    ended = sum(coverage.ended for coverage in judged.coverage.values())
    if not ended:
        note = "no judge is live" if not any(each.is_live for each in judged.judges) else "nothing was judged in 24 h"
        return Health("judge_failures", "Judge failures", "none", note, "none", href)
    state = "watch" if failed / ended > FAILED_SHARE else "ok"
    note = f"{fmt.count(failed)} of {fmt.count(ended)} judgements in 24 h"
    return Health("judge_failures", "Judge failures", fmt.share(failed / ended), note, state, href)


def _coverage(judged: Estimates | None, late: Mapping[str, str], base: str) -> Health:
    href = f"{base}quality/"
    found = list(judged.coverage.values()) if judged is not None else []
    covered, taken = sum(each.covered for each in found), sum(each.taken for each in found)
    uncovered = sum(each.uncovered for each in found)
    if not covered and "judging" in late:
        return Health("coverage", "Judged", f"{late['judging']} behind", "answers wait to be judged", "watch", href)
    if not covered:
        return Health("coverage", "Judged", "nothing", "no trace of the last 24 h was drawn", "none", href)
    note = f"{fmt.count(taken)} of {fmt.count(covered)} traces that judges look at, in 24 h"
    if uncovered:
        note += f"; {fmt.count(uncovered)} had no chance"
    if "judging" in late:
        note = f"{late['judging']} behind; {note}"
        return Health("coverage", "Judged", fmt.share(taken / covered), note, "watch", href)
    return Health("coverage", "Judged", fmt.share(taken / covered), note, "ok", href)


def _calibrations(judged: Estimates | None, base: str) -> Health:
    href = f"{base}judges/"
    rows = [row for row in judged.rows if row.of.is_live and row.of.name != FLAG] if judged is not None else []
    badges = {(row.of.version_id, row.of.name): row.badge for row in rows}
    if not badges:
        return Health("calibrations", "Calibrations", "none", "no live judge scored in 24 h", "none", href)
    states = [badge.state for badge in badges.values()]
    proven, stale, failed = (states.count(state) for state in ("proven", "stale", "failed"))
    value = f"{proven} of {len(states)} proven"
    parts = [
        f"{n} {word}"
        for n, word in (
            (stale, "stale"),
            (failed, "failed the gate"),
            (states.count("none"), "never compared with people"),
        )
        if n
    ]
    state = "ok" if proven == len(states) else "watch" if stale or failed else "none"
    return Health("calibrations", "Calibrations", value, "; ".join(parts) or "of criteria of live judges", state, href)


def _engine(front: Front, engine_words: str, late: Mapping[str, str], base: str) -> Health:
    href = f"{base}monitors/"
    if engine_words:
        return Health("engine", "Monitors", "stand still", engine_words, "bad", href)
    if "monitors" in late:
        return Health("engine", "Monitors", f"{late['monitors']} late", "an alarm may come as late", "watch", href)
    live: Sequence[object] = front.watching.live if front.watching is not None else ()
    if not live:
        return Health("engine", "Monitors", "none", "nothing is watched yet", "none", href)
    return Health("engine", "Monitors", "run", f"{words.plural(len(live), 'monitor')} evaluated on time", "ok", href)
