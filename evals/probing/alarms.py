"""What people do about an alarm of probes, and new baselines: acts with a reason, in the audit log."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Sum

from evals.keeping.changes import By
from evals.models import ProbeAlarm, ProbeResult, ProbeRun, ProbeSeries
from evals.probes.verdicts import BASELINE_FULL, CHANGED, LEARNING, SAME, WATCH
from evals.probing.starting import Conflict
from evals.setup.refusals import NotThere, SetupRefused, clean_reason
from evals.stats.repeats import BASELINE_MIN
from evals.write import probes as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces.masks import mask_text

REAL, FALSE, ACCEPTED = "real", "false", "accepted"
VERDICTS = (REAL, FALSE, ACCEPTED)


def acknowledge(project: Project, alarm_id: int, *, by: By) -> None:
    """Say that somebody looks after an open alarm. NotThere, Conflict."""
    with transaction.atomic():
        alarm = _hold(project, alarm_id)
        if alarm.closed_at is not None:
            raise Conflict("This alarm is closed.")
        if alarm.acknowledged_at is None:
            ProbeAlarm.objects.filter(pk=alarm.pk).update(acknowledged_at=clock.now(), acknowledged_by_id=by.id)
            _record(project, "probe_alarm.acknowledge", alarm, by, {})


def close(project: Project, alarm_id: int, verdict: str, note: str = "", *, by: By) -> None:
    """Close an open alarm with what it was. NotThere, SetupRefused, Conflict.

    real: the model had changed, and the baseline stays: while it answers otherwise, the next run alarms again.
    false: it had not; the baseline stays, without that run. accepted: the model is another one from that run on:
    every probe of it gets a new baseline that begins there.
    """
    if verdict not in VERDICTS:
        raise SetupRefused("verdict", "is none", ", ".join(VERDICTS), verdict[:40])
    note = mask_text(project.pk, clean_reason(note))
    with transaction.atomic():
        alarm = _hold(project, alarm_id)
        if not write.close_alarm(alarm.pk, verdict, note, by.id):
            raise Conflict("This alarm is closed already.")
        series = ProbeSeries.objects.filter(target_id=alarm.target_id, results__run=alarm.run_id)
        keys = list(series.values_list("pk", flat=True))
        if verdict == ACCEPTED:
            for key in keys:
                _begin_baseline(key, alarm.run, note or f"accepted: {alarm.target.model} changed", by)
        else:
            # Until the next run says better: what really changed is looked at, what did not is as before.
            changed = series.filter(state=CHANGED).values_list("pk", flat=True)
            write.set_states(dict.fromkeys(changed, WATCH if verdict == REAL else SAME), clock.now())
        _record(project, "probe_alarm.close", alarm, by, {"verdict": verdict, "note": note})


def rebaseline(project: Project, series_id: int, run_number: int, reason: str, *, by: By) -> None:
    """Compare a probe at a model with its answers from a run on. NotThere, SetupRefused, Conflict in an open alarm."""
    reason = mask_text(project.pk, clean_reason(reason))
    if not reason:
        raise SetupRefused("reason", "is missing", "why the old baseline holds no more")
    with transaction.atomic():
        series = (
            ProbeSeries.objects.select_related("target__suite", "version__probe")
            .filter(target__suite__project=project, pk=series_id)
            .first()
        )
        if series is None:
            raise NotThere
        suite = write.hold_suite(project.pk, series.target.suite.slug)
        run = None if suite is None else suite.runs.filter(number=run_number, results__series=series).first()
        if run is None:
            raise SetupRefused("run", "did not ask this probe", "the number of a run that did", str(run_number))
        if ProbeAlarm.objects.filter(target=series.target, closed_at=None).exists():
            raise Conflict("An alarm of this model is open: close it as real, false or accepted first.")
        _begin_baseline(series.pk, run, reason, by)
        target = f"{series.target.suite.slug}/{series.version.probe.key} at {series.target.model}"
        record_in(
            project, "probe.rebaseline", target[:254], request=by.request, actor=by.words,
            after={"from_run": run.number, "reason": reason},
        )  # fmt: skip


def _begin_baseline(series_id: int, run: ProbeRun, reason: str, by: By) -> None:
    """A baseline of the runs from `run` on; it goes on learning while it is not full."""
    rows = ProbeResult.objects.filter(series_id=series_id, run_id__gte=run.pk)
    rows.update(was_learned=True)
    sums = rows.aggregate(passes=Sum("passes"), runs=Sum("runs"))
    passes, runs = sums["passes"] or 0, sums["runs"] or 0
    write.new_baseline(series_id, run, passes, runs, reason, by.id, is_full=runs >= BASELINE_FULL)
    write.set_states({series_id: SAME if runs >= BASELINE_MIN else LEARNING}, clock.now())


def _hold(project: Project, alarm_id: int) -> ProbeAlarm:
    """The alarm, its suite locked first as runs do: what is decided must not pass by a run that ends now."""
    rows = ProbeAlarm.objects.select_related("suite", "target", "run").filter(suite__project=project, pk=alarm_id)
    slug = rows.values_list("suite__slug", flat=True).first()
    if slug is None:
        raise NotThere
    write.hold_suite(project.pk, slug)
    return rows.get()


def _record(project: Project, action: str, alarm: ProbeAlarm, by: By, after: dict[str, str]) -> None:
    target = f"{alarm.suite.slug}: {alarm.target.model} in run {alarm.run.number}"
    record_in(project, action, target[:254], request=by.request, actor=by.words, after=after)
