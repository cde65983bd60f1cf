"""A worker that cannot do its work ends, so that whoever watches it starts it again and says why."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from telltale.jobs import worker
from telltale.run.commands import doctor

ROOT = Path(__file__).resolve().parent.parent.parent
# Python reads this at its start: the named module then fails to import as one that lacks a dependency does.
BREAK = """
import os, sys
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["BROKEN_MODULE"]:
            raise ModuleNotFoundError("No module named 'lost_wheel'", name="lost_wheel")
sys.meta_path.insert(0, Broken())
"""


@pytest.mark.parametrize(
    "module", ["telltale.jobs.worker", "telltale.jobs.beat", "telltale.jobs.tasks", "traces.tasks", "traces.reprice"]
)
def test_a_worker_whose_own_modules_fail_to_import_ends_with_an_error(tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(BREAK)
    paths = f"{tmp_path}:{ROOT / 'platform'}:{ROOT}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TELLTALE_")}
    given = {"PYTHONPATH": paths, "BROKEN_MODULE": module, "TELLTALE_HOME": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-m", "telltale.run.worker"], env=kept | given, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip

    assert ended.returncode not in (0, None)
    assert ended.stderr.strip().splitlines()[-1] == "ModuleNotFoundError: No module named 'lost_wheel'"


@pytest.mark.parametrize(("name", "ends"), [("care", True), ("scheduler", True), ("other", False)])
def test_a_broken_thread_of_its_own_ends_the_worker(monkeypatch, caplog, name, ends):
    codes = []
    monkeypatch.setattr(worker.os, "_exit", codes.append)
    error = ImportError("no such thing")

    worker.end_process(threading.ExceptHookArgs((ImportError, error, None, threading.Thread(name=name))))

    assert codes == ([70] if ends else [])
    assert ("this worker ends" in caplog.text) is ends


def test_doctor_says_what_the_log_of_a_missing_worker_ends_with(db, settings, tmp_path):
    settings.TELLTALE_HOME = tmp_path
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "worker.log").write_text("Traceback\nModuleNotFoundError: No module named 'lost_wheel'\n\n")

    told = [finding.text for finding in doctor.check_work()]

    assert any(text.startswith("No worker has shown life") for text in told)
    assert "The worker's log ends with: ModuleNotFoundError: No module named 'lost_wheel'" in told


def test_doctor_without_a_log_to_read_says_the_rest(db, settings, tmp_path):
    settings.TELLTALE_HOME = tmp_path

    told = [finding.text for finding in doctor.check_work()]

    assert not any("log ends" in text for text in told)
    assert any(text.startswith("No worker has shown life") for text in told)
