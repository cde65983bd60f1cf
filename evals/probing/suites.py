"""Suites and probes as people set them up. Every change is in the audit log; a changed question is a new version."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from evals.judges.fields import ConfigRefused
from evals.keeping.changes import By
from evals.models import Connection, JudgeVersion, Probe, ProbeSeries, ProbeSuite, ProbeTarget
from evals.probes.checks import JUDGE
from evals.probes.presets import PRESETS
from evals.probes.schedule import next_after, parse_schedule
from evals.probes.spec import Spec, parse_spec, spec_hash
from evals.probes.verdicts import LEARNING
from evals.read.setup import get_judge
from evals.rubrics import parse_rubric
from evals.setup.judges import MODEL_CHARS_MAX
from evals.setup.refusals import NotThere, SetupRefused, clean_name, storable, whole
from evals.write import probes as write
from evals.write.setup import freeze
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project

# Judgement calls: a run of 50 probes at 4 models with 10 repeats is 2,000 calls.
SUITES_MAX = 20
PROBES_MAX = 50
TARGETS_MAX = 8
SERIES_MAX = 200
ANSWERS_MAX = 4_000
NAME_CHARS_MAX = 120
REPEATS_MIN, REPEATS_MAX = 5, 50
OUTPUT_TOKENS_MAX = 8_000
BETWEEN_MIN, BETWEEN_MAX = 20, 1_000_000
BUDGET_PICO_MAX = 10**16
RESERVED = ("new", "runs", "suites", "alarms")
# What is part of the question: another value, and the model is asked something else.
ASKED = ("temperature", "max_output_tokens")
SETTINGS = (
    "name", "schedule", "with_changes", "repeats", "temperature", "max_output_tokens", "runs_between_alarms",
    "budget_pico_run", "encoder", "targets", "is_paused",
)  # fmt: skip


def make_suite(project: Project, told: Mapping[str, Any], *, by: By) -> str:
    """A new suite with its models and probes; its slug. SetupRefused.

    `told`: SETTINGS, of which name and targets must be there; `presets`, keys of probes that ship; `probes`, objects
    with key and what `parse_spec` reads.
    """
    values = _checked(project, {"schedule": {"every_minutes": 1440}} | dict(told))
    named = _named_probes(told)
    slug = slugify(str(told.get("slug") or values["name"]))[:60] or "suite"
    if slug in RESERVED:
        raise SetupRefused("name", "is a word that addresses need", "another name", slug)
    if "targets" not in values:
        raise SetupRefused("targets", "is missing", f"1 to {TARGETS_MAX} models")
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        if ProbeSuite.objects.filter(project=project, archived_at=None).count() >= SUITES_MAX:
            raise SetupRefused("name", "is one suite too many", f"{SUITES_MAX} suites in a project")
        targets = values.pop("targets")
        if "name" not in values:
            raise SetupRefused("name", "is missing", f"1 to {NAME_CHARS_MAX} characters")
        try:
            with transaction.atomic():
                suite = ProbeSuite.objects.create(project=project, slug=slug, created_by_id=by.id, **values)
        except IntegrityError:
            raise SetupRefused("name", "is another suite’s name already", "a name of its own", slug) from None
        suite.next_at = _next(project, suite)
        suite.save(update_fields=["next_at"])
        _set_targets(suite, targets)
        for key, spec in named:
            _put(project, suite, key, spec, by)
        _fits(suite)
        record_in(
            project, "probes.add", slug, request=by.request, actor=by.words,
            after=_told(suite) | {"probes": [key for key, _ in named]},
        )  # fmt: skip
    return slug


def change_suite(project: Project, slug: str, told: Mapping[str, Any], *, by: By) -> None:
    """Change the named settings of a suite (SETTINGS). SetupRefused, NotThere."""
    values = _checked(project, told)
    with transaction.atomic():
        suite = _hold(project, slug)
        before = _told(suite)
        targets = values.pop("targets", None)
        for name, value in values.items():
            setattr(suite, name, value)
        if suite.schedule != before["schedule"] or (suite.paused_at is not None) != before["paused"]:
            suite.next_at = _next(project, suite)
        suite.save()
        if targets is not None:
            _set_targets(suite, targets)
        _fits(suite)
        after = _told(suite)
        changed = [name for name in after if after[name] != before[name]]
        if asked := [name for name in changed if name in ASKED]:
            _begin_baselines(suite, asked[0], f"{asked[0]} changed: {before[asked[0]]} to {after[asked[0]]}", by)
        if changed:
            record_in(
                project, "probes.change", slug, request=by.request, actor=by.words,
                before={name: before[name] for name in changed}, after={name: after[name] for name in changed},
            )  # fmt: skip


def archive_suite(project: Project, slug: str, *, is_archived: bool = True, by: By) -> None:
    """Put a suite away, or take it back. What it found stays. NotThere; SetupRefused while a run is under way."""
    with transaction.atomic():
        suite = _hold(project, slug, with_archived=True)
        if (suite.archived_at is not None) == is_archived:
            return
        if is_archived and suite.runs.filter(state=write.RUNNING).exists():
            raise SetupRefused("suite", "is being run", "a suite whose run is over; cancel it first")
        others = ProbeSuite.objects.filter(project=project, archived_at=None)
        if not is_archived and others.count() >= SUITES_MAX:
            raise SetupRefused("is_archived", "is one suite too many", f"{SUITES_MAX} suites in a project")
        suite.archived_at = clock.now() if is_archived else None
        suite.next_at = None if is_archived else _next(project, suite)
        suite.save(update_fields=["archived_at", "next_at"])
        action = "probes.archive" if is_archived else "probes.restore"
        record_in(project, action, slug, request=by.request, actor=by.words)


def put_probe(project: Project, slug: str, key: str, raw: Any, *, by: By) -> int:
    """Keep a probe under its key; the number of its newest version. The same again is no new one. SetupRefused.

    Another question, tool or check is another version, which learns its own baseline: what two questions are answered
    is not compared.
    """
    spec = checked_spec(raw)
    key = checked_key(key)
    with transaction.atomic():
        suite = _hold(project, slug)
        number, is_new = _put(project, suite, key, spec, by)
        _fits(suite)
        if is_new:
            told = {"version": number, "must": spec.must}
            record_in(project, "probe.put", f"{slug}/{key}", request=by.request, actor=by.words, after=told)
    return number


def archive_probe(project: Project, slug: str, key: str, *, by: By) -> None:
    """Ask a probe no more; what it found stays, and putting it again brings it back. Safe again. NotThere."""
    with transaction.atomic():
        suite = _hold(project, slug)
        if not Probe.objects.filter(suite=suite, key=key).exists():
            raise NotThere
        if Probe.objects.filter(suite=suite, key=key, archived_at=None).update(archived_at=clock.now()):
            record_in(project, "probe.archive", f"{slug}/{key}", request=by.request, actor=by.words)


def checked_spec(raw: Any) -> Spec:
    """A probe as it may be kept; SetupRefused."""
    try:
        spec = parse_spec(raw)
        spec_json = spec.as_json()
    except ConfigRefused as refused:
        raise SetupRefused(refused.field, refused.message, refused.limit) from None
    storable("checks", spec_json)
    return spec


def checked_key(key: str) -> str:
    """The key of a probe as it may be kept; SetupRefused."""
    if not key or slugify(key) != key or len(key) > 60 or key in RESERVED:
        raise SetupRefused("key", "is no key of a probe", "up to 60 small letters, digits and hyphens", key[:60])
    return key


def _named_probes(told: Mapping[str, Any]) -> list[tuple[str, Spec]]:
    """The probes that a new suite begins with: of those that ship, then the sender's own."""
    ships = {preset.key: preset for preset in PRESETS}
    named: dict[str, Spec] = {}
    for at, key in enumerate(told.get("presets") or ()):
        if key not in ships:
            raise SetupRefused(f"presets[{at}]", "is no probe that ships", ", ".join(ships), str(key)[:60])
        named[key] = checked_spec(dict(ships[key].spec))
    for at, raw in enumerate(told.get("probes") or ()):
        if not isinstance(raw, Mapping):
            raise SetupRefused(f"probes[{at}]", "is no object", "key, must, user, checks")
        try:
            key = checked_key(str(raw.get("key") or ""))
            if key in named:
                raise SetupRefused("key", "is there twice", "each key once", key)
            named[key] = checked_spec({name: value for name, value in raw.items() if name != "key"})
        except SetupRefused as refused:
            field = f"probes[{at}].{refused.field}"
            raise SetupRefused(field, refused.message, refused.limit, refused.value) from None
    return list(named.items())


def _put(project: Project, suite: ProbeSuite, key: str, spec: Spec, by: By) -> tuple[int, bool]:
    probe, _ = Probe.objects.get_or_create(suite=suite, key=key)
    told = _pinned(project, spec)
    hashed = spec_hash(parse_spec(told))
    newest = probe.versions.order_by("-number").first()
    was_archived = probe.archived_at is not None
    if was_archived:
        Probe.objects.filter(pk=probe.pk).update(archived_at=None)
    if newest is not None and newest.spec_hash == hashed:
        return newest.number, was_archived
    return write.add_version(probe, told, hashed, by.id).number, True


def _pinned(project: Project, spec: Spec) -> dict[str, Any]:
    """The probe with the version of each judge it asks: another version would judge otherwise. SetupRefused."""
    told = spec.as_json()
    for at, check in enumerate(told["checks"]):
        if check["kind"] == JUDGE:
            version = _judge_version(project, f"checks[{at}]", check)
            freeze(version.pk)
            check["version"] = version.number
    return told


def _judge_version(project: Project, where: str, check: Mapping[str, Any]) -> JudgeVersion:
    judge = get_judge(project.pk, check["judge"])
    if judge is None or judge.kind not in ("model", "rule") or not judge.versions:
        message = "is no judge of this project that judges by itself"
        raise SetupRefused(f"{where}.judge", message, "the slug of a model or rule judge", check["judge"])
    number = check.get("version") or (judge.live or judge.newest).number
    version = JudgeVersion.objects.select_related("rubric_version").filter(judge_id=judge.id, number=number).first()
    if version is None:
        raise SetupRefused(f"{where}.version", "is none the judge has", "a version of it", str(number))
    criterion = parse_rubric(version.rubric_version.spec).criterion(check["criterion"])
    if criterion is None or not criterion.scale.has_numbers:
        message = "is no criterion with numbers of the judge’s rubric"
        raise SetupRefused(f"{where}.criterion", message, "a criterion of it", check["criterion"])
    return version


def _hold(project: Project, slug: str, *, with_archived: bool = False) -> ProbeSuite:
    suite = write.hold_suite(project.pk, slug)
    if suite is None or (suite.archived_at is not None and not with_archived):
        raise NotThere
    return suite


def _next(project: Project, suite: ProbeSuite) -> Any:
    if suite.paused_at is not None or suite.archived_at is not None:
        return None
    return next_after(parse_schedule(suite.schedule), clock.now(), clock.zone_of(project.time_zone))


def _checked(project: Project, told: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of the named settings, clean; SetupRefused."""
    values: dict[str, Any] = {}
    if "name" in told:
        values["name"] = clean_name("name", str(told["name"]), NAME_CHARS_MAX)
    if "schedule" in told:
        try:
            values["schedule"] = parse_schedule(told["schedule"] or {}).as_json()
        except ConfigRefused as refused:
            raise SetupRefused(refused.field, refused.message, refused.limit) from None
    limits = {
        "repeats": (REPEATS_MIN, REPEATS_MAX), "max_output_tokens": (1, OUTPUT_TOKENS_MAX),
        "runs_between_alarms": (BETWEEN_MIN, BETWEEN_MAX),
    }  # fmt: skip
    for name, (low, high) in limits.items():
        if told.get(name) is not None:
            values[name] = whole(name, told[name], low, high)
    if "temperature" in told:
        values["temperature"] = _temperature(told["temperature"])
    if "with_changes" in told:
        values["with_changes"] = bool(told["with_changes"])
        values["looked_at"] = clock.now()
    if "budget_pico_run" in told:
        pico = told["budget_pico_run"]
        if pico is not None and not 0 < pico <= BUDGET_PICO_MAX:
            raise SetupRefused("budget_usd_run", "is out of range", "above 0, up to 10,000 USD a run")
        values["budget_pico_run"] = pico
    if "is_paused" in told:
        values["paused_at"] = clock.now() if told["is_paused"] else None
    if "encoder" in told:
        values |= _encoder(project, told["encoder"])
    if "targets" in told:
        values["targets"] = _targets(project, told["targets"])
    return values


def _temperature(raw: Any) -> float | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw) or not 0 <= raw <= 2:
        raise SetupRefused(
            "temperature", "is out of range", "0 to 2, or null to leave it to the provider", str(raw)[:40]
        )
    return float(raw)


def _encoder(project: Project, raw: Any) -> dict[str, Any]:
    """Whose vectors compare answers; none: by words alone."""
    if not raw:
        return {"encoder": None, "encoder_model": ""}
    if not isinstance(raw, Mapping):
        raise SetupRefused("encoder", "is no object", "connection and model")
    connection = _connection(project, "encoder.connection", raw.get("connection"))
    if connection.kind != "openai":
        raise SetupRefused("encoder.connection", "has no embeddings", "a connection of the kind openai")
    return {"encoder": connection, "encoder_model": _model("encoder.model", raw.get("model"))}


def _begin_baselines(suite: ProbeSuite, field: str, reason: str, by: By) -> None:
    """Have every series learn anew: asked otherwise, a model answers otherwise, and nobody changed it.

    SetupRefused while a run is under way, which would be asked half one way, half the other.
    """
    if suite.runs.filter(state=write.RUNNING).exists():
        raise SetupRefused(field, "cannot change while a run is under way", "wait for its end, or cancel it")
    keys = list(ProbeSeries.objects.filter(target__suite=suite).values_list("pk", flat=True))
    for key in keys:
        write.new_baseline(key, None, 0, 0, reason, by.id)
    write.set_states(dict.fromkeys(keys, LEARNING), clock.now())
    for alarm_id in suite.alarms.filter(closed_at=None).values_list("pk", flat=True):
        write.close_alarm(alarm_id, "ended", reason, by.id)


def _targets(project: Project, raw: Any) -> list[tuple[Connection, str]]:
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not 1 <= len(raw) <= TARGETS_MAX:
        raise SetupRefused("targets", "must be a list of models", f"1 to {TARGETS_MAX}")
    found: dict[tuple[int, str], tuple[Connection, str]] = {}
    for at, each in enumerate(raw):
        if not isinstance(each, Mapping):
            raise SetupRefused(f"targets[{at}]", "is no object", "connection and model")
        connection = _connection(project, f"targets[{at}].connection", each.get("connection"))
        model = _model(f"targets[{at}].model", each.get("model"))
        found[connection.pk, model] = (connection, model)
    return list(found.values())


def _connection(project: Project, field: str, raw: Any) -> Connection:
    text = str(raw or "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    row = Connection.objects.filter(project=project, pk=number, archived_at=None).first()
    if row is None:
        raise SetupRefused(field, "is none of this project", "the id of a connection", text[:40])
    return row


def _model(field: str, raw: Any) -> str:
    name = " ".join(raw.split()) if isinstance(raw, str) else ""
    if not name or not name.isprintable() or len(name) > MODEL_CHARS_MAX:
        raise SetupRefused(field, "is no name of a model", f"1 to {MODEL_CHARS_MAX} visible characters", name[:60])
    return name


def _set_targets(suite: ProbeSuite, targets: Sequence[tuple[Connection, str]]) -> None:
    """Ask these models from now on; those that are asked no more keep what they answered."""
    wanted = {(connection.pk, model) for connection, model in targets}
    for row in suite.targets.all():
        is_wanted = (row.connection_id, row.model) in wanted
        wanted.discard((row.connection_id, row.model))
        if is_wanted != (row.archived_at is None):
            ProbeTarget.objects.filter(pk=row.pk).update(archived_at=None if is_wanted else clock.now())
    for connection_id, model in sorted(wanted):
        ProbeTarget.objects.create(suite=suite, connection_id=connection_id, model=model)


def _fits(suite: ProbeSuite) -> None:
    """SetupRefused where the suite asks more than one run should."""
    probes = suite.probes.filter(archived_at=None).count()
    targets = suite.targets.filter(archived_at=None).count()
    if probes > PROBES_MAX:
        raise SetupRefused("probes", "are too many", f"{PROBES_MAX} probes in a suite", str(probes))
    if probes * targets > SERIES_MAX:
        raise SetupRefused("targets", "are too many for so many probes", f"{SERIES_MAX} probes times models",
                           str(probes * targets))  # fmt: skip
    if probes * targets * suite.repeats > ANSWERS_MAX:
        limit = f"{ANSWERS_MAX:,} answers a run (probes times models times repeats)"
        raise SetupRefused("repeats", "make a run too large", limit, f"{probes * targets * suite.repeats:,}")


def _told(suite: ProbeSuite) -> dict[str, Any]:
    """What the audit log keeps of a suite."""
    return {
        "name": suite.name,
        "schedule": suite.schedule,
        "with_changes": suite.with_changes,
        "repeats": suite.repeats,
        "temperature": suite.temperature,
        "max_output_tokens": suite.max_output_tokens,
        "runs_between_alarms": suite.runs_between_alarms,
        "budget_pico_run": suite.budget_pico_run,
        "encoder": suite.encoder_model,
        "paused": suite.paused_at is not None,
        "models": sorted(suite.targets.filter(archived_at=None).values_list("model", flat=True)),
    }
