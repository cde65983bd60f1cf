"""Everything of a project to files and into another project: counts and costs equal, memory, seconds.

    python -m benchmarks.archive --spans 100000

Spans go through the public endpoint and are copied inside PostgreSQL until there are --spans. `telltale export` and
`telltale import` run as commands of their own; their highest resident memory is the kernel's figure.
The export is killed with -9 once and resumed. The import runs twice: the second must find nothing new.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import _product, _seed
from benchmarks._product import Product
from benchmarks._report import Report

MEMORY_BAR_MIB = 300.0
# So many spans come through the door; the others are copies of them.
SENT = 5_000
# An export has written something after so long, also on a machine that does much else besides.
STARTED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command of the product took, and what it printed. CPU is its own, without PostgreSQL's."""

    seconds: float
    cpu_seconds: float
    resident_mib: float
    code: int
    said: str

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s ({self.cpu_seconds:.1f} s of its own CPU), {self.resident_mib:.0f} MiB resident"


def run(product: Product, *words: str) -> Ran:
    """A command of the product, run to its end."""
    began = time.monotonic()
    child = subprocess.Popen(
        _product.command(*words), env=_environment(product), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Ran(
        time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, child.returncode, said
    )


def kill_exporting(product: Product, *words: str) -> bool:
    """Start an export and kill it with -9 once it has written something; False where it ended before."""
    child = subprocess.Popen(
        _product.command(*words), env=_environment(product), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = time.monotonic()
    while child.poll() is None and time.monotonic() - began < STARTED_SECONDS:
        if product.one("SELECT coalesce(max(progress), 0) FROM jobs_job WHERE kind = 'archive.files'") > 0:
            child.kill()
            child.wait()
            return True
        time.sleep(0.1)
    child.kill()
    child.wait()
    return False


def _environment(product: Product) -> dict[str, str]:
    return _product.clean_environment({"TELLTALE_HOME": str(product.home), "TELLTALE_DATABASE_URL": product.dsn})


def sums(product: Product, slug: str) -> dict[str, tuple[int, int]]:
    """Rows and costs of the tables that carry money."""
    found = {}
    for table in ("traces_trace", "traces_span"):
        where = f"project_id = (SELECT id FROM projects_project WHERE slug = '{slug}')"
        rows = product.one(f"SELECT count(*) FROM {table} WHERE {where}")
        cost = product.one(f"SELECT coalesce(sum(cost_pico), 0) FROM {table} WHERE {where}")
        found[table] = (rows, cost)
    return found


def measure(product: Product, spans: int, directory: Path, report: Report) -> bool:
    """Fill, export with a kill, import twice, compare."""
    _seed.send(product, min(spans, SENT), 1)
    _seed.multiply(product, spans, report.say)
    _seed.add_signals(product, spans // 100, report.say)
    out = str(directory / "archive")
    words = ("export", product.project, "--out", out)
    was_killed = kill_exporting(product, *words)
    with product.connect() as connection:
        # The dead command's lease runs out in a minute; nobody else may do this kind of job.
        connection.execute("UPDATE jobs_job SET lease_until = NULL WHERE kind = 'archive.files'")
    has_begun = product.one("SELECT count(*) FROM web_archive WHERE finished_at IS NULL") > 0
    resumed = run(product, *words, *(["--resume"] if has_begun else []))
    size = sum(path.stat().st_size for path in (directory / "archive").iterdir())
    provision = run(
        product, "provision", "--email", product.email, "--password", product.password, "--organisation", "Archive",
        "--project", "Read In",
    )  # fmt: skip
    if provision.code:
        raise RuntimeError(provision.said)
    slug = "read-in"
    first = run(product, "import", out, "--project", slug, "--quiet")
    second = run(product, "import", out, "--project", slug, "--quiet")
    before, after = sums(product, product.project), sums(product, slug)
    report.say(f"project {before}, read in {after}")
    report.say(f"killed and resumed: {was_killed}; exit codes {resumed.code}, {first.code}, {second.code}")
    report.say(f"export {resumed}, {size / 1e6:.1f} MB of files")
    report.say(f"import {first}; the same again {second}")
    is_same = "DIFFERS" not in second.said and "DIFFERS" not in first.said
    news = [line for line in second.said.splitlines() if " new, " in line and ", 0 new, " not in line]
    for line in news:
        report.say(f"second import: {line}")
    is_small = max(resumed.resident_mib, first.resident_mib) <= MEMORY_BAR_MIB
    is_well = before == after and is_same and not news and not any((resumed.code, first.code, second.code))
    report.say(f"equal and repeatable: {is_well}; memory at most {MEMORY_BAR_MIB:.0f} MiB: {is_small}")
    return is_well and is_small


def main() -> int:
    """Exit code 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _product.add_arguments(parser)
    parser.add_argument("--spans", type=int, default=100_000)
    args = parser.parse_args()
    report = Report("archive")
    with _product.product(args) as product, tempfile.TemporaryDirectory() as directory:
        return 0 if measure(product, args.spans, Path(directory), report) else 1


if __name__ == "__main__":
    sys.exit(main())
