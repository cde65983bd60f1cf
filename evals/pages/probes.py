"""The pages of probes: how models answer fixed questions, one probe then and now, and how suites are set up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from evals import probing
from evals.api.probe_json import result_json
from evals.forms import probe as form
from evals.keeping import By
from evals.pages import probe_charts
from evals.pages.probes_view import ORDER, AlarmNote, Line, alarm_note, headline, line_of, state_sentence
from evals.probes.checks import JUDGE, SIMILAR, Checked, passed, run_rule
from evals.probes.presets import PRESETS
from evals.probes.schedule import DAY_NAMES, DAYS
from evals.probes.spec import material_of
from evals.probes.verdicts import passes_needed
from evals.probing import Conflict
from evals.read import probing as read
from evals.read.setup import list_connections
from evals.setup import NotThere, SetupRefused
from telltale.accounts.models import User
from telltale.lib.clock import zone_of
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role
from traces.compare import Effort, Piece, compare_texts
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.read import TooSlow
from traces.read.changelog import Change, changes_between

HISTORY = 8
RUNS_SHOWN = 40
TEXT_SHOWN = 400
COMPARED_CHARS = 8_000
FILE_RUNS = 200
NAMES = ("suite", "probe", "version", "model", "run", "at", "state", "passes", "runs", "unclear", "unanswered",
         "baseline", "baseline_passes", "baseline_runs", "test", "p", "level", "fewest", "distance", "noise",
         "p_answers")  # fmt: skip

# Open or closed, of a suite: they say what changed at the runs of a history.
ALARMS_READ = 200


@dataclass(frozen=True, slots=True)
class Pair:
    """A first answer beside one of a run, with what differs; `is_cut`: only their beginnings were compared."""

    then: read.AnswerView
    now: read.AnswerView
    a: list[Piece]
    b: list[Piece]
    is_cut: bool


def by(request: HttpRequest) -> By:
    """Who asks, for the audit log."""
    return By(cast(User, request.user).pk, "", request)


@require_http_methods(["GET", "HEAD"])
@project_page()
def probe_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """Every probe at every model of a suite, worst first, with what changed."""
    zone = zone_of(project.time_zone)
    suites = read.list_suites(project.pk)
    series = read.list_series(project.pk, history=HISTORY)
    worst = {
        each.slug: min((ORDER[s.state] for s in series if s.suite_slug == each.slug), default=9) for each in suites
    }
    wanted = request.GET.get("suite", "")
    suite = next((each for each in suites if each.slug == wanted), None)
    is_unknown = bool(wanted) and suite is None
    if suite is None and suites:
        suite = min(suites, key=lambda each: worst[each.slug])
    kind = request.GET.get("format", "")
    if kind in FORMATS:
        return _file(request, project, series, kind)
    context: dict[str, Any] = {"project": project, "suites": suites, "suite": suite, "is_unknown": is_unknown}
    if suite is not None:
        own = [each for each in series if each.suite_slug == suite.slug]
        alarms = read.changes(project.pk, suite=suite.slug, is_open=True)
        notes = [alarm_note(project.slug, each, own, _recorded(project, suite, each, own), zone) for each in alarms]
        lines = [line_of(project.slug, each, zone, alarms) for each in own]
        lines.sort(key=lambda line: ORDER[line.series.state])
        context |= _suite_context(project, suite, lines, notes)
        context["tabs"] = [(each, worst[each.slug] == ORDER["changed"]) for each in suites]
    context |= {"may_change": may(project, "measure"), "may_review": may(project, "review")}
    return render(request, "evals/probes.html", context)


def _suite_context(
    project: Project, suite: read.SuiteView, lines: list[Line], notes: list[AlarmNote]
) -> dict[str, Any]:
    progress = None if suite.running is None else read.progress_of(suite.running.id)
    return {
        "headline": headline(suite, lines, notes),
        "lines": lines,
        "notes": notes,
        "alarm_ids": [each.alarm.id for each in notes],
        "progress": progress,
        "tests": len(lines),
        "unpinned": sorted({each.model for each in suite.asked if not each.is_pinned}),
        "runs_shown": max((len(line.cells) for line in lines), default=0),
    }


def _recorded(
    project: Project, suite: read.SuiteView, alarm: read.AlarmView, series: list[read.SeriesView]
) -> list[Change]:
    """What people recorded between the run before an alarm and the alarm's own."""
    before = [
        each.at for one in series if one.target.id == alarm.target.id for each in one.results
        if each.run_number < alarm.run_number
    ]  # fmt: skip
    if not before:
        return []
    try:
        found = changes_between(project.pk, max(before), alarm.run_at, limit=20)
    except TooSlow:
        return []
    return [each for each in found if not each.is_derived]


@require_http_methods(["GET", "HEAD"])
@project_page()
def probe_page(request: HttpRequest, project: Project, series_id: int) -> HttpResponse:
    """One probe at one model: its runs, what it was asked, and the answers then and now."""
    zone = zone_of(project.time_zone)
    series = _series(project, series_id)
    here = reverse("probe", args=[project.slug, series.id])
    number = _number(request.GET.get("run", "")) or (series.last.run_number if series.last else 0)
    now = read.list_answers(series.id, number) if number else []
    first = read.first_answers(series.id)
    place = _number(request.GET.get("pair", ""))
    alarms, of_model = (
        [each for each in found if each.target.id == series.target.id]
        for found in (
            read.changes(project.pk, suite=series.suite_slug, is_open=True),
            read.changes(project.pk, suite=series.suite_slug, limit=ALARMS_READ),
        )
    )
    context = {
        "project": project,
        "series": series,
        "line": line_of(project.slug, series, zone, alarms),
        "sentence": state_sentence(series, alarms),
        "figure": probe_charts.history(series.results, zone, here, of_model, series.id),
        "run_number": number,
        "result": next((each for each in series.results if each.run_number == number), None),
        "answers": now,
        "pair": _pair(first, now, place),
        "next_pair": f"?run={number}&pair={place + 1}#then-now" if len(now) > 1 else "",
        "first_runs": sorted({each.run_number for each in first}),
        "first": first,
        "baselines": read.list_baselines(series.id),
        "names": _names(series),
        "checks": form.typed_of_spec(series.spec)["checks"],
        "tools": form.typed_of_spec(series.spec)["tools"],
        "alarms": alarms,
        "may_change": may(project, "measure"),
        "may_review": may(project, "review"),
    }  # fmt: skip
    return render(request, "evals/probe.html", context)


def _names(series: read.SeriesView) -> list[tuple[int, str, str]]:
    """The runs at which what answers call themselves changed: run, models, fingerprints; the first one too."""
    found: list[tuple[int, str, str]] = []
    last: tuple[Any, Any] | None = None
    for each in series.results:
        told = (each.models, each.fingerprints)
        if each.models and told != last:
            found.append((each.run_number, ", ".join(each.models), ", ".join(each.fingerprints) or "none told"))
            last = told
    return found


def _pair(first: list[read.AnswerView], now: list[read.AnswerView], place: int) -> Pair | None:
    """A first answer that passed beside one of the run: those that failed first, as they say most."""
    told = [each for each in now if each.state == "done"]
    told.sort(key=lambda each: (each.passed is not False, each.repeat))
    if not told or not first:
        return None
    chosen = told[place % len(told)]
    then = next((each for each in first if each.passed and each.id != chosen.id), first[0])
    texts = [_said(each) for each in (then, chosen)]
    pieces, _ = compare_texts(texts[0][:COMPARED_CHARS], texts[1][:COMPARED_CHARS], Effort())
    a = [piece for piece in pieces if piece.op != "new"]
    b = [piece for piece in pieces if piece.op != "gone"]
    return Pair(then, chosen, a, b, max(map(len, texts)) > COMPARED_CHARS)


def _said(answer: read.AnswerView) -> str:
    calls = [f"{each.get('name', '')}({each.get('arguments', '')})" for each in answer.tools]
    return "\n".join([answer.text, *calls] if answer.text else calls)


@require_POST
@project_page(Role.ENGINEER)
def probe_baseline(request: HttpRequest, project: Project, series_id: int) -> HttpResponse:
    """Begin a new baseline from a run on."""
    series = _series(project, series_id)
    try:
        run = _number(request.POST.get("run", ""))
        probing.rebaseline(project, series.id, run, request.POST.get("reason", "")[:2000], by=by(request))
        messages.success(request, f"The baseline begins with run {run}.")
    except SetupRefused as refused:
        messages.error(request, _refusal(refused))
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect("probe", slug=project.slug, series_id=series.id)


@require_POST
@project_page(Role.REVIEWER)
def probe_alarm(request: HttpRequest, project: Project, probe_alarm: int) -> HttpResponse:
    """Acknowledge an alarm, or close it with what it was."""
    found = read.changes(project.pk, alarm_id=probe_alarm, limit=1) if probe_alarm < 2**63 else []
    if not found:
        raise Http404
    act = request.POST.get("act", "")[:20]
    try:
        if act == "acknowledge":
            probing.acknowledge(project, probe_alarm, by=by(request))
            messages.success(request, "Acknowledged. It closes by itself after three runs within limits.")
        else:
            probing.close(project, probe_alarm, act, request.POST.get("note", "")[:2000], by=by(request))
            messages.success(request, _CLOSED[act])
    except SetupRefused as refused:
        messages.error(request, _refusal(refused))
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(f"{reverse('probes', args=[project.slug])}?suite={found[0].suite_slug}")


_CLOSED = {
    "real": "Closed as real. The baseline stays: while the model answers so, the next run alarms again.",
    "false": "Closed as a false alarm. That run stays out of the baseline.",
    "accepted": "Accepted. Every probe of the model begins a new baseline with that run.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def suite_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Set up a suite: the models, when they are asked, and with what."""
    typed = form.typed_suite(request.POST) if request.method == "POST" else dict(form.DEFAULTS)
    if request.method != "POST":
        typed["presets"] = [each.key for each in PRESETS[:4]]
    refused = None
    if request.method == "POST":
        try:
            values = form.suite_values(typed) | {"presets": typed["presets"]}
            slug = probing.make_suite(project, values, by=by(request))
            messages.success(
                request, "The suite is saved. Its first run keeps the answers that later runs are held to."
            )
            return redirect(f"{reverse('probes', args=[project.slug])}?suite={slug}")
        except SetupRefused as error:
            refused = error
    context = _form_context(project, typed, refused) | {"presets": PRESETS}
    return render(request, "evals/probe_suite_new.html", context, status=400 if refused else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def suite_page(request: HttpRequest, project: Project, suite: str) -> HttpResponse:
    """A suite as it is set up, with its probes and runs. POST changes its settings."""
    row = _suite(project, suite)
    typed, refused = form.typed_of_suite(row), None
    if request.method == "POST":
        require(project, "measure")
        typed = form.typed_suite(request.POST)
        try:
            probing.change_suite(
                project, suite, form.suite_values(typed) | {"is_paused": typed["is_paused"]}, by=by(request)
            )
            messages.success(request, "Saved.")
            return redirect("probe_suite", slug=project.slug, suite=suite)
        except SetupRefused as error:
            refused = error
        except NotThere:
            raise Http404 from None
    series = len(row.live) * len(row.asked)
    needed = passes_needed(row.repeats, series, len(row.asked), row.runs_between_alarms)
    before = _number(request.GET.get("before", "")) or None
    runs = read.list_runs(project.pk, suite=suite, before=before, limit=21)
    context = _form_context(project, typed, refused) | {
        "suite": row,
        "runs": runs[:20],
        "older": f"?before={runs[19].id}#runs" if len(runs) > 20 else "",
        "calls": series * row.repeats,
        "needed": needed,
        "may_change": may(project, "measure"),
    }
    return render(request, "evals/probe_suite.html", context, status=400 if refused else 200)


@require_POST
@project_page(Role.ENGINEER)
def suite_act(request: HttpRequest, project: Project, suite: str, act: str) -> HttpResponse:
    """Run a suite now, cancel its run, put it away or take it back."""
    row = _suite(project, suite)
    try:
        if act == "run":
            number = probing.run_now(project, suite, by=by(request))
            messages.success(request, f"Run {number} has begun. It goes on by itself.")
        elif act == "cancel":
            if row.running is None:
                raise Conflict("No run is under way.")
            probing.cancel_run(project, suite, row.running.number, by=by(request))
            messages.success(request, "Cancelled. What was answered stays; nothing is judged by it.")
        else:
            probing.archive_suite(project, suite, is_archived=row.archived_at is None, by=by(request))
            messages.success(request, f"{row.name} is {'put away' if row.archived_at is None else 'back'}.")
            if row.archived_at is None:
                return redirect("probes", slug=project.slug)
    except SetupRefused as refused:
        messages.error(request, _refusal(refused))
    except Conflict as conflict:
        messages.error(request, str(conflict))
    except NotThere:
        raise Http404 from None
    return redirect(f"{reverse('probes', args=[project.slug])}?suite={suite}")


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def probe_edit(request: HttpRequest, project: Project, suite: str, key: str = "") -> HttpResponse:
    """Write a probe, new or as its next version; `try` checks a text without asking anybody."""
    row = _suite(project, suite)
    probe = next((each for each in row.probes if each.key == key), None) if key else None
    if key and probe is None:
        raise Http404
    preset = next((each for each in PRESETS if each.key == request.GET.get("preset", "")), None)
    typed = form.typed_of_spec({}) if probe is None else form.typed_of_probe(probe)
    if preset is not None and probe is None:
        typed = form.typed_of_spec(preset.spec, preset.key)
    refused: SetupRefused | None = None
    tried: tuple[bool | None, list[Checked]] | None = None
    if request.method == "POST":
        typed = form.typed_probe(request.POST)
        try:
            values = form.probe_values(typed)
            if "try" in request.POST:
                tried = _tried(values, typed["answer"])
            else:
                number = probing.put_probe(project, suite, key or typed["key"].strip(), values, by=by(request))
                messages.success(request, f"Saved as version {number}.")
                return redirect("probe_suite", slug=project.slug, suite=suite)
        except SetupRefused as error:
            refused = error
        except NotThere:
            raise Http404 from None
    context = {
        "project": project, "suite": row, "probe": probe, "typed": typed, "refused": refused, "tried": tried,
        "examples": form.CHECK_EXAMPLES, "presets": PRESETS, "field": (refused.field if refused else "").split("[")[0],
    }  # fmt: skip
    return render(request, "evals/probe_edit.html", context, status=400 if refused else 200)


@require_POST
@project_page(Role.ENGINEER)
def probe_remove(request: HttpRequest, project: Project, suite: str, key: str) -> HttpResponse:
    """Ask a probe no more."""
    try:
        probing.archive_probe(project, suite, key, by=by(request))
        messages.success(request, f"{key} is asked no more. What it found stays.")
    except NotThere:
        raise Http404 from None
    return redirect("probe_suite", slug=project.slug, suite=suite)


def _tried(values: Mapping[str, Any], answer: str) -> tuple[bool | None, list[Checked]]:
    spec = probing.checked_spec(values)
    material = material_of(spec, answer)
    found = [
        Checked(each.kind, None, "It needs a run.") if each.kind in (JUDGE, SIMILAR) else run_rule(each, material)
        for each in spec.checks
    ]
    return passed(found), found


def _form_context(project: Project, typed: Mapping[str, Any], refused: SetupRefused | None) -> dict[str, Any]:
    return {
        "project": project,
        "typed": typed,
        "refused": refused,
        "field": (refused.field if refused else "").split(".")[0].split("[")[0],
        "connections": list_connections(project.pk),
        "every": form.every_choices(typed["every"]),
        "days": list(zip(DAYS, DAY_NAMES, strict=True)),
    }


def _file(request: HttpRequest, project: Project, series: list[read.SeriesView], kind: str) -> HttpResponseBase:
    def records() -> Iterator[dict[str, Any]]:
        for one in series:
            for each in read.list_results(one.id, limit=FILE_RUNS):
                told = result_json(each) | {
                    "suite": one.suite_slug, "probe": one.probe, "version": one.version, "model": one.target.model,
                }  # fmt: skip
                yield {name: told[name] for name in NAMES}

    is_head = request.method == "HEAD"
    try:
        rows = iter(()) if is_head else records()
        return download(f"{project.slug}-probes", kind, NAMES, rows, is_head=is_head)
    except Busy:
        return busy_response()


def _series(project: Project, series_id: int) -> read.SeriesView:
    found = read.get_series(project.pk, series_id, history=RUNS_SHOWN) if series_id < 2**63 else None
    if found is None:
        raise Http404
    return found


def _suite(project: Project, slug: str) -> read.SuiteView:
    found = read.get_suite(project.pk, slug)
    if found is None:
        raise Http404
    return found


def _number(raw: str) -> int:
    """A number of an address; 0 where there is none."""
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 10 else 0


def _refusal(refused: SetupRefused) -> str:
    limit = f" ({refused.limit})" if refused.limit else ""
    return f"{refused.field.capitalize()} {refused.message}{limit}."
