"""Probes as REST has them."""

from __future__ import annotations

from typing import Any

from evals.probes.verdicts import passes_needed
from evals.read import probing as read
from telltale.rest import form


def suite_json(row: read.SuiteView) -> dict[str, Any]:
    """A suite as REST shows it."""
    encoder = None
    if row.encoder_id is not None:
        encoder = {"connection": str(row.encoder_id), "model": row.encoder_model}
    series = len(row.live) * len(row.asked)
    return {
        "slug": row.slug, "name": row.name, "schedule": row.schedule.as_json(), "with_changes": row.with_changes,
        "repeats": row.repeats, "temperature": row.temperature, "max_output_tokens": row.max_output_tokens,
        "runs_between_alarms": row.runs_between_alarms, "expected_alarms_a_week": row.expected_a_week,
        "passes_that_alarm": passes_needed(row.repeats, series, len(row.asked), row.runs_between_alarms),
        "budget_usd_run": form.usd(row.budget_pico_run), "encoder": encoder,
        "targets": [target_json(each) for each in row.asked], "probes": [each.key for each in row.live],
        "is_paused": row.paused_at is not None, "next_at": form.moment(row.next_at),
        "last_run": None if row.last is None else run_json(row.last),
        "running": None if row.running is None else run_json(row.running),
        "created_at": form.moment(row.created_at), "archived_at": form.moment(row.archived_at),
    }  # fmt: skip


def target_json(row: read.TargetView) -> dict[str, Any]:
    return {"connection": str(row.connection_id), "connection_name": row.connection_name, "model": row.model,
            "is_pinned": row.is_pinned, "is_stand_in": row.is_stand_in}  # fmt: skip


def probe_json(row: read.ProbeView) -> dict[str, Any]:
    spec = {name: row.spec[name] for name in ("must", "system", "messages", "tools", "checks")}
    return {"key": row.key, "version": row.number, **spec, "created_at": form.moment(row.created_at),
            "archived_at": form.moment(row.archived_at)}  # fmt: skip


def run_json(row: read.RunView) -> dict[str, Any]:
    """A run as REST shows it."""
    return {
        "id": str(row.id), "suite": row.suite_slug, "number": row.number, "cause": row.cause, "state": row.state,
        "reason": row.reason, "calls": row.calls, "cost_usd": form.usd(row.cost_pico), "unpriced": row.unpriced,
        "made_by": row.made_by, "created_at": form.moment(row.created_at), "finished_at": form.moment(row.finished_at),
    }  # fmt: skip


def result_json(row: read.ResultView) -> dict[str, Any]:
    """What a run found about a probe at a model, as REST shows it."""
    told, recent = row.figures, row.figures.get("recent") or {}
    return {
        "run": row.run_number, "at": form.moment(row.at), "state": row.state, "passes": row.passes, "runs": row.runs,
        "unclear": row.unclear, "unanswered": row.unanswered, "was_learned": row.was_learned,
        "baseline": row.baseline, "baseline_passes": row.base_passes, "baseline_runs": row.base_runs,
        "test": told.get("test"), "p": row.p, "level": told.get("level"), "fewest": told.get("fewest"),
        "low": told.get("low"), "high": told.get("high"), "recent_passes": recent.get("passes"),
        "recent_runs": recent.get("runs"), "recent_p": recent.get("p"), "distance": told.get("across"),
        "noise": told.get("noise"), "p_answers": told.get("p_answers"), "models": list(row.models),
        "fingerprints": list(row.fingerprints),
    }  # fmt: skip


def baseline_json(row: read.BaselineView) -> dict[str, Any]:
    return {
        "number": row.number, "first_run": row.first_run, "passes": row.passes, "runs": row.runs,
        "frozen_at": form.moment(row.frozen_at), "ended_at": form.moment(row.ended_at), "reason": row.reason,
        "made_by": row.made_by, "created_at": form.moment(row.created_at),
    }  # fmt: skip


def series_json(row: read.SeriesView) -> dict[str, Any]:
    """A probe at a model, as REST shows it."""
    return {
        "id": str(row.id), "suite": row.suite_slug, "probe": row.probe, "version": row.version, "must": row.must,
        "target": target_json(row.target), "state": row.state, "state_at": form.moment(row.state_at),
        "baseline": None if row.baseline is None else baseline_json(row.baseline),
        "last": None if row.last is None else result_json(row.last),
    }  # fmt: skip


def answer_json(row: read.AnswerView) -> dict[str, Any]:
    """An answer as REST shows it."""
    return {
        "run": row.run_number, "repeat": row.repeat, "state": row.state, "text": row.text,
        "tool_calls": list(row.tools), "passed": row.passed, "checks": list(row.checks), "error": row.error,
        "finish_reason": row.finish_reason, "model": row.model, "fingerprint": row.fingerprint,
        "latency_ms": row.latency_ms, "input_tokens": row.input_tokens, "output_tokens": row.output_tokens,
        "cost_usd": form.usd(row.cost_pico), "trace_id": form.hex_trace(row.trace_id),
    }  # fmt: skip


def alarm_json(row: read.AlarmView) -> dict[str, Any]:
    """An alarm as REST shows it."""
    evidence = [
        {"kind": each["kind"], "p": each["p"], "level": each["level"],
         "series": None if each["series"] is None else str(each["series"])}
        for each in row.evidence
    ]  # fmt: skip
    return {
        "id": str(row.id), "suite": row.suite_slug, "target": target_json(row.target), "run": row.run_number,
        "state": row.state, "evidence": evidence,
        "changed": [{"series": str(key), "probe": probe} for key, probe in row.series], "p": row.p,
        "level": row.level, "runs_within": row.within, "opened_at": form.moment(row.opened_at),
        "acknowledged_at": form.moment(row.acknowledged_at), "acknowledged_by": row.acknowledged_by,
        "closed_at": form.moment(row.closed_at), "closed_by": row.closed_by, "verdict": row.verdict, "note": row.note,
    }  # fmt: skip
