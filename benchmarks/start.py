"""From nothing to the login page, the first request after a start, and the stop.

    python -m benchmarks.start

Measures `telltale run` in an empty home: initialising PostgreSQL, migrating, provisioning, starting. With --clone it
measures the whole way of a newcomer instead: `git clone`, `make run` in it (which installs into a .venv of its own, so
the package cache should be warm), login page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import _product
from benchmarks._client import Wire, parcel, post_headers
from benchmarks._report import Report
from benchmarks.corpus import Corpus

CLONE_BAR_S, CLONE_AIM_S = 90.0, 30.0
FIRST_BAR_MS, FIRST_AIM_MS = 500.0, 200.0
STOP_BAR_S = 10.0
LOGIN = "/accounts/login/"


def page_ms(url: str, path: str) -> float:
    """Milliseconds of one GET on a new connection; RuntimeError unless it is a 200."""
    began = time.perf_counter()
    status, _, _ = Wire(url).ask("GET", path)
    if status != 200:
        raise RuntimeError(f"GET {path} answered {status}")
    return (time.perf_counter() - began) * 1000


def until_page(url: str, path: str, seconds: float) -> None:
    """Wait for a page to answer 200."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if Wire(url, timeout_s=5).ask("GET", path)[0] == 200:
            return
        time.sleep(0.05)
    raise RuntimeError(f"{url}{path} did not answer within {seconds:.0f} s")


def measure_run(report: Report) -> None:
    """Empty home to login page, stop, start again, first requests."""
    parent = Path(tempfile.mkdtemp(prefix="telltale-start-"))
    parent.chmod(0o755)
    try:
        began = time.monotonic()
        running = _product.launch(parent / "home")
        try:
            until_page(running.url, LOGIN, 120)
            report.add("empty home to login page", time.monotonic() - began, "s")
            _product.wait_ready(running)
        finally:
            report.add("stop", _product.stop(running), "s", STOP_BAR_S)
        began = time.monotonic()
        running = _product.launch(parent / "home")
        try:
            _product.wait_ready(running)
            report.add("start of a kept home to ready", time.monotonic() - began, "s")
            report.add("first page after a start", page_ms(running.url, LOGIN), "ms", FIRST_BAR_MS, FIRST_AIM_MS)
            trace = next(Corpus(3, 9, end_s=time.time()).small())
            began = time.perf_counter()
            answer = Wire(running.url).ask(
                "POST", "/v1/traces", parcel(trace.body, trace.spans).wire, post_headers(running.key)
            )
            took = (time.perf_counter() - began) * 1000
            report.add(
                "first trace after a start", took, "ms", FIRST_BAR_MS, FIRST_AIM_MS, note=f"answered {answer[0]}"
            )
        finally:
            report.add("stop, second", _product.stop(running), "s", STOP_BAR_S)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def measure_clone(report: Report) -> None:
    """`git clone` and `make run` to the login page."""
    parent = Path(tempfile.mkdtemp(prefix="telltale-clone-"))
    parent.chmod(0o755)
    clone, port = parent / "telltale", _product.free_port()
    began = time.monotonic()
    try:
        subprocess.run(["git", "clone", "--quiet", str(_product.ROOT), str(clone)], check=True)
        environment = _product.clean_environment({"TELLTALE_PORT": str(port)})
        environment.pop("VIRTUAL_ENV", None)
        environment.pop("PYTHONPATH", None)
        with (parent / "out").open("wb") as output:
            process = subprocess.Popen(
                ["make", "run"],
                cwd=clone,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            until_page(f"http://127.0.0.1:{port}", LOGIN, 300)
            report.add("clean clone to login page", time.monotonic() - began, "s", CLONE_BAR_S, CLONE_AIM_S)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(30)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clone", action="store_true", help="measure from a clean clone by `make run`")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    report = Report("start")
    measure_clone(report) if args.clone else measure_run(report)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
