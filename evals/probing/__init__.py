"""Probes at work: suites set up, runs made on schedule, answers judged by their baseline, alarms and their ends."""

from evals.probing.alarms import acknowledge, close, rebaseline
from evals.probing.starting import Conflict, cancel_run, run_now, tend
from evals.probing.suites import archive_probe, archive_suite, change_suite, checked_spec, make_suite, put_probe

__all__ = [
    "Conflict",
    "acknowledge",
    "archive_probe",
    "archive_suite",
    "cancel_run",
    "change_suite",
    "checked_spec",
    "close",
    "make_suite",
    "put_probe",
    "rebaseline",
    "run_now",
    "tend",
]
