"""`telltale demo`: a project full of made-up traffic, sent through the public endpoints; or its removal."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TextIO

from django.conf import settings

from telltale.lib import clock
from telltale.run.demo.account import Address, SendError, read_account
from telltale.run.demo.around import set_budgets, set_channel, set_probes
from telltale.run.demo.changes import tell_changes
from telltale.run.demo.judging import set_up_judges
from telltale.run.demo.labels import make_labels, send_labels, wait_for_judge
from telltale.run.demo.monitors import define_monitors
from telltale.run.demo.progress import Progress
from telltale.run.demo.project import SLUG, DemoError, DemoProject, ensure_project, remove_project
from telltale.run.demo.questions import write_questions
from telltale.run.demo.shop import Desk, define_outcomes
from telltale.run.demo.story import make_day, sessions_for
from telltale.run.demo.values import DemoTrace, Totals

SPANS_A_TRACE = 7.3
# About so many are drawn for the stand-in.
JUDGED_SHARE = 0.125
SDK = "telltale_sdk"
STAND_IN_SECONDS = 10.0
# Longer would reach beyond what a new project keeps.
DAYS_MAX = 85
TRACES_MAX = 200_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options."""
    parser.add_argument("--url", default="", help="where Telltale answers; this installation's own address by default")
    parser.add_argument("--days", type=_within(1, DAYS_MAX), default=28, help="of history, today included (28)")
    parser.add_argument(
        "--traces", type=_within(1, TRACES_MAX), default=10_000, help="about how many in all these days (10000)"
    )
    parser.add_argument("--stand-in", default="", help="address of a `telltale stand-in`, for a judge that calls it")
    parser.add_argument("--stand-in-file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--remove", action="store_true", help="remove the demo project and everything in it")
    parser.add_argument("--project", default=SLUG, help="with --remove: its slug, where it was changed")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Fill or remove; 1 where that cannot be, or where not everything that was sent is accounted for."""
    try:
        if options.remove:
            return _remove(options.project, out)
        stand_in = _read_address(options.stand_in_file) if options.stand_in_file else options.stand_in
        return _fill(options.url or own_address(), options.days, options.traces, stand_in, out)
    except (DemoError, SendError) as error:
        print(error, file=out)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What was sent is kept; `telltale demo` sends the rest.", file=sys.stderr)
        return 130


def _read_address(path: Path) -> str:
    """What the stand-in wrote there when it was ready; "" where it does not within some seconds."""
    deadline = time.monotonic() + STAND_IN_SECONDS
    while time.monotonic() < deadline:
        if path.exists() and (address := path.read_text().strip()):
            return address
        time.sleep(0.1)
    return ""


def _fill(url: str, days: int, traces: int, stand_in: str, out: TextIO) -> int:
    if importlib.util.find_spec(SDK) is None:
        raise SendError("The demo is sent by Telltale's own SDK, which is not installed: pip install ./sdk/python")
    from telltale.run.demo.hosts import FLEET, make_readings, send_readings
    from telltale.run.demo.play import play

    now = clock.now()
    demo = ensure_project()
    set_up_judges(demo.id, stand_in)
    address = Address(url, demo.secret)
    # Whole hours on both sides, so that everything sent in between is inside.
    start = (now - timedelta(hours=1)).isoformat()
    before = read_account(address, demo.key_id, start, (now + timedelta(hours=1)).isoformat())
    define_outcomes(address)
    totals = Totals()
    worse: dict[str, bool] = {}
    desk = Desk(now)
    made = _counted(_traces(demo, days, traces, now), totals, worse, desk)
    progress = Progress(sys.stderr, "Demo", "spans", round(traces * SPANS_A_TRACE))
    sent = play(address, made, progress.tell, now)
    progress.end(sent.spans_ended)
    signals = sent.signals_sent + desk.send(address)
    story = demo.story
    changes = tell_changes(address, story, days, now)
    readings = sum(send_readings(address, make_readings(story, day, now)) for day in _days(days, now))
    later = (clock.now() + timedelta(hours=1)).isoformat()
    account = read_account(address, demo.key_id, start, later).since(before)
    print(
        f"Sent {sent.spans_ended:,} spans of {totals.traces:,} traces: stored {account.stored:,}, "
        f"there already {account.duplicate:,}, rejected {account.rejected:,}. "
        f"Readings of {len(FLEET)} machines: {readings:,}. What users did: {signals:,} signals. "
        f"Changes told: {changes}.",
        file=out,
    )
    # A request that was answered after its connection broke is sent, and counted, twice.
    told = account.stored + account.duplicate + account.rejected
    if told < sent.spans_ended or account.rejected or sent.spans_ended != totals.spans:
        print("Not everything that was sent was stored: the project's accounting page says why.", file=out)
        return 1
    if stand_in:
        progress = Progress(sys.stderr, "Judging", "answers", round(traces * JUDGED_SHARE))
        judged = wait_for_judge(demo.id, progress.tell)
        progress.end(len(judged))
        labelled = send_labels(address, list(make_labels(judged, worse, story.prompt_changed_at)))
        print(f"The stand-in judged {len(judged):,} answers; made-up people gave {labelled:,} labels.", file=out)
    monitors = define_monitors(address, story, clock.now(), is_judged=bool(stand_in))
    questions = write_questions(address)
    print(f"{monitors} monitors learn from it; in two minutes or so they find what became worse.", file=out)
    budgets = set_budgets(address, traces / days)
    print(f"{questions} questions are asked of them; {budgets} cost budgets say what it may cost.", file=out)
    if stand_in:
        set_probes(address)
        print("A suite of probes asks the stand-in the same every day.", file=out)
        is_told = set_channel(demo.id, stand_in)
        print(
            "Notices go to the stand-in, which takes them and does nothing."
            if is_told
            else "Nobody is told: TELLTALE_EGRESS_ALLOW lets nothing go to the stand-in.",
            file=out,
        )
    outside = os.environ.get("TELLTALE_PUBLIC_URL", "").strip() or url
    print(f"Demo project: {outside.rstrip('/')}/p/{demo.slug}/", file=out, flush=True)
    return 0


def _traces(demo: DemoProject, days: int, traces: int, now: datetime) -> Iterator[DemoTrace]:
    """The newest day first, so that pages fill from where people look."""
    for day in _days(days, now):
        yield from make_day(demo.story, day, sessions_for(traces, days), now)


def _days(days: int, now: datetime) -> list[date]:
    return [now.date() - timedelta(days=before) for before in range(days)]


def _counted(
    traces: Iterator[DemoTrace], totals: Totals, worse: dict[str, bool], desk: Desk
) -> Iterator[DemoTrace]:
    for trace in traces:
        totals.add(trace)
        desk.note(trace)
        worse[trace.trace_id.hex()] = trace.is_worse
        yield trace


def _remove(slug: str, out: TextIO) -> int:
    progress = Progress(sys.stderr, "Removing", "rows", 1)
    removed = remove_project(slug, progress.tell)
    print(f"Removed the project {slug} and {removed:,} rows of its traces.", file=out)
    return 0


def own_address() -> str:
    """Where this installation's web listens, as its own machine reaches it: as its supervisor noted, else as set."""
    host, port = settings.TELLTALE_BIND, str(settings.TELLTALE_PORT)
    noted = settings.TELLTALE_HOME / "run" / "web.address"
    if not os.environ.get("TELLTALE_PORT") and noted.exists():
        host, _, port = noted.read_text().strip().rpartition(" ")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _within:
    """A whole number between two others, for argparse."""

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def __call__(self, text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = self.low - 1
        if not self.low <= value <= self.high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {self.low} to {self.high:,}, not {text!r}")
        return value
