"""Asking for the sweeps that run each hour anyway."""

from __future__ import annotations

from celery import current_app

from telltale.jobs.wake import wake

SWEEPS = ("traces.sweep_retention", "evals.sweep_retention", "alerts.sweep_drift", "web.measure_storage")


def ask_sweep() -> None:
    """Have every sweep run soon; safe to ask often, since two at once find nothing twice."""
    for name in SWEEPS:
        wake(current_app.signature(name))
