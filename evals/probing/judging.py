"""What a run found: vectors of its answers, checks by likeness, every test, and the rows that follow, in one go.

All verdicts of a run are written in one transaction that ends the run: a kill before it leaves nothing, and the next
runner comes to the same by the same seed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Now
from numpy.typing import NDArray

from evals.calling.client import TEXTS_MAX, embed
from evals.calling.kinds import CallFailed, Endpoint
from evals.judging.context import provider_of
from evals.models import (
    ProbeAlarm,
    ProbeAnswer,
    ProbeBaseline,
    ProbeResult,
    ProbeRun,
    ProbeSeries,
    ProbeSuite,
)
from evals.probes import lexical
from evals.probes.checks import SIMILAR, Checked, likeness, passed
from evals.probes.spec import parse_spec
from evals.probes.verdicts import (
    BASELINE_FULL,
    CHANGED,
    RECENT_RUNS,
    UNANSWERED,
    WITHIN_MAX,
    Found,
    Seen,
    TargetFound,
    judge_run,
    levels_of,
)
from evals.read.probing import first_answer_ids
from evals.read.setup import endpoint_of, settings_for
from evals.read.spend import day_of
from evals.stats.repeats import BASELINE_MIN
from evals.write import probes as write
from evals.write import spend
from evals.write.probes import DONE, FAILED
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.vault import Sealed
from traces.own_calls import Rates, price_call

Floats = NDArray[np.float64]
SLICE = 500
EMBED_CHARS_MAX = 20_000
EMBED_TRIES = 3


@dataclass
class Gathered:
    """What a run has of one series: its answers, the stored ones, and the baseline both are held against."""

    series: ProbeSeries
    baseline: ProbeBaseline
    answers: list[ProbeAnswer] = field(default_factory=list)
    first: list[ProbeAnswer] = field(default_factory=list)
    recent: tuple[int, int] | None = None

    @property
    def answered(self) -> list[ProbeAnswer]:
        return [each for each in self.answers if each.state == DONE]

    @property
    def told(self) -> list[ProbeAnswer]:
        """Answers whose checks could tell."""
        return [each for each in self.answered if each.passed is not None]

    @property
    def passes(self) -> int:
        return sum(bool(each.passed) for each in self.told)


def judge_answers(run: work.Run, row: ProbeRun) -> str:
    """Compare a run's answers with the baselines and end it; its state. Safe to repeat: the first to commit wins."""
    gathered = _gather(row)
    note = _give_vectors(run, row, gathered)
    _check_likeness(gathered)
    seen = [_seen(row, one) for one in gathered.values()]
    found: list[tuple[TargetFound, tuple[Found, ...]]] = []
    for each in judge_run(seen, row.suite.runs_between_alarms, seed=row.pk):
        found.append(each)
        run.step(cursor={"phase": "judge"}, progress=len(found), total=None)
    return _write(row, gathered, seen, found, note)


def _gather(row: ProbeRun) -> dict[int, Gathered]:
    """Every series of the run with its answers, the first answers of its baseline, and its last runs."""
    series = list(
        ProbeSeries.objects.select_related("version__probe", "target")
        .filter(answers__run=row)
        .distinct()
        .order_by("pk")
    )
    baselines = {each.series_id: each for each in ProbeBaseline.objects.filter(series__in=series, ended_at=None)}
    gathered = {one.pk: Gathered(one, baselines[one.pk]) for one in series}
    for answer in row.answers.order_by("series_id", "repeat"):
        gathered[answer.series_id].answers.append(answer)
    first = first_answer_ids([one.baseline.pk for one in gathered.values()])
    for answer in ProbeAnswer.objects.filter(pk__in=first).order_by("series_id", "run_id", "repeat"):
        gathered[answer.series_id].first.append(answer)
    for key, recent in _recent(row, list(gathered.values())).items():
        gathered[key].recent = recent
    return gathered


def _recent(row: ProbeRun, gathered: Sequence[Gathered]) -> dict[int, tuple[int, int]]:
    """Passes and runs of the last runs before this one that are compared with the baseline and not part of it.

    They begin anew with each baseline and each alarm: what an alarm was about is not counted a second time.
    """
    full = [one for one in gathered if one.baseline.frozen_at is not None]
    alarms: dict[int, tuple[int, Any]] = {}
    for target_id, run_id, closed_at in ProbeAlarm.objects.filter(
        target_id__in={one.series.target_id for one in full}
    ).order_by("run_id").values_list("target_id", "run_id", "closed_at"):  # fmt: skip
        alarms[target_id] = (run_id, closed_at)
    rows: dict[int, list[ProbeResult]] = defaultdict(list)
    since = row.number - 4 * RECENT_RUNS
    for result in ProbeResult.objects.filter(
        baseline__in=[one.baseline for one in full], was_learned=False, run__number__gte=since, run__lt=row.pk
    ).order_by("-run_id"):  # fmt: skip
        rows[result.series_id].append(result)
    found = {}
    for one in full:
        run_id, closed_at = alarms.get(one.series.target_id, (0, None))
        last = [
            each for each in rows[one.series.pk]
            if each.run_id > run_id and (closed_at is None or each.judged_at > closed_at) and each.runs
        ][: RECENT_RUNS - 1]  # fmt: skip
        if last:
            passes, runs = sum(each.passes for each in last), sum(each.runs for each in last)
            found[one.series.pk] = (passes + one.passes, runs + len(one.told))
    return found


def text_of(answer: ProbeAnswer) -> str:
    """What of an answer is compared with others: its text and its calls of tools."""
    calls = [f"{each.get('name', '')}({each.get('arguments', '')})" for each in answer.tools]
    return "\n".join([answer.text, *calls] if answer.text else calls)


def _give_vectors(run: work.Run, row: ProbeRun, gathered: Mapping[int, Gathered]) -> str:
    """Give every answer, and the first ones it is compared with, a vector of one encoder; why some have none."""
    suite = row.suite
    if suite.encoder is None:
        return ""
    everything = [each for one in gathered.values() for each in [*one.first, *one.answered]]
    rows = list({each.pk: each for each in everything}.values())
    try:
        endpoint = endpoint_of(suite.encoder.pk, suite.encoder_model)
    except Sealed:
        return "The encoder’s key cannot be opened: answers were not compared."
    if endpoint is None or suite.encoder.archived_at is not None:
        return "The encoder’s connection is gone: answers were not compared."
    try:
        key = _embed(run, row, endpoint, [each for each in rows if each.run_id == row.pk and each.vector is None])
        key = key or next((each.encoder for each in rows if each.run_id == row.pk), "")
        # Another version of the encoder makes other vectors: what was stored is looked at anew, by its text.
        _embed(run, row, endpoint, [each for each in rows if each.vector is None or each.encoder != key])
    except CallFailed as failed:
        return f"The encoder did not answer, so answers were not compared: {failed.told}"
    return ""


def _embed(run: work.Run, row: ProbeRun, endpoint: Endpoint, rows: Sequence[ProbeAnswer]) -> str:
    """Fetch and keep vectors; the encoder's name and version. CallFailed where it does not answer, or has no money."""
    key = ""
    project = row.suite.project
    zone = clock.zone_of(project.time_zone)
    rates = None
    if endpoint.input_pico is not None:
        rates = Rates(endpoint.input_pico, endpoint.output_pico or 0)

    def price(tokens: int | None) -> int | None:
        return price_call(project.pk, provider_of(endpoint), endpoint.model, tokens, 0, rates=rates)

    for start in range(0, len(rows), TEXTS_MAX):
        part = rows[start : start + TEXTS_MAX]
        texts = [text_of(each)[:EMBED_CHARS_MAX] for each in part]
        aside, day = price(sum(map(len, texts)) // 3), day_of(clock.now(), zone)
        limits = settings_for(project.pk)
        budget = spend.Budget(limits.budget_pico_day, limits.budget_calls_day)
        with transaction.atomic(), raw_cursor() as cursor:
            if not spend.reserve(cursor, project.pk, spend.WHOLE, day, [aside], budget):
                raise CallFailed("refused_request", "the project’s budget of the day is used up.", was_sent=False)
        try:
            found = _embed_patiently(endpoint, texts)
        except CallFailed as failed:
            change = spend.lost(aside) if failed.was_sent else spend.unsent(aside)
            with transaction.atomic(), raw_cursor() as cursor:
                spend.add(cursor, project.pk, spend.WHOLE, day, change)
            raise
        cost = price(found.input_tokens)
        # Vectors of another length are another encoder's, whatever it calls itself.
        key = f"{endpoint.model} / {found.model}"[:230] + f" / {len(found.vectors[0])}"
        for each, vector in zip(part, found.vectors, strict=True):
            numbers = np.asarray(vector)
            # Squares of very small numbers would leave what a float can hold.
            numbers = numbers / np.abs(numbers).max()
            each.vector = (numbers / np.sqrt(numbers @ numbers)).astype(np.float16).tobytes()
            each.encoder = key
        with transaction.atomic(), raw_cursor() as cursor:
            spend.add(cursor, project.pk, spend.WHOLE, day, spend.answered(aside, cost))
            write.keep_checked(part)
            ProbeRun.objects.filter(pk=row.pk).update(
                figures={**row.figures, "encoder_pico": row.figures.get("encoder_pico", 0) + (cost or 0)}
            )
            row.figures = {**row.figures, "encoder_pico": row.figures.get("encoder_pico", 0) + (cost or 0)}
            run.step(cursor={"phase": "vectors"}, progress=start + len(part), total=len(rows))
    return key


def _embed_patiently(endpoint: Endpoint, texts: Sequence[str]) -> Any:
    for tried in range(1, EMBED_TRIES + 1):
        try:
            return embed(endpoint, texts)
        except CallFailed as failed:
            if tried == EMBED_TRIES or failed.kind not in ("server", "timeout", "unreachable"):
                raise
    raise AssertionError


def _vectors(rows: Sequence[ProbeAnswer], suite: ProbeSuite) -> Floats | None:
    """Vectors (n, d) of length 1 of answers; None where an encoder should have given them and did not."""
    if suite.encoder_id is None:
        return lexical.vectors_of([text_of(each) for each in rows]) if rows else None
    if not rows or any(each.vector is None for each in rows) or len({each.encoder for each in rows}) > 1:
        return None
    numbers = np.stack([np.frombuffer(bytes(each.vector or b""), dtype=np.float16) for each in rows]).astype(float)
    return np.asarray(numbers / np.sqrt((numbers * numbers).sum(1))[:, None])


def _check_likeness(gathered: Mapping[int, Gathered]) -> None:
    """Run the checks that compare an answer with others, now that the others are there; keep what they say."""
    changed: list[ProbeAnswer] = []
    for one in gathered.values():
        spec = parse_spec(one.series.version.spec)
        if not any(check.kind == SIMILAR for check in spec.checks):
            continue
        for answer in one.answered:
            checked = [Checked(each["kind"], each["passed"], each["told"]) for each in answer.checks]
            for at, check in enumerate(spec.checks):
                if check.kind == SIMILAR:
                    checked[at] = likeness(check, _distance(answer, check.settings.get("to"), one.first))
            answer.checks, answer.passed = [each.as_json() for each in checked], passed(checked)
            changed.append(answer)
    write.keep_checked(changed)


def _distance(answer: ProbeAnswer, texts: Sequence[str] | None, first: Sequence[ProbeAnswer]) -> float | None:
    """The distance of an answer to the nearest of `texts`, by words, or on average to the first answers."""
    if texts:
        own, others = lexical.vectors_of([text_of(answer)])[0], lexical.vectors_of(list(texts))
        return float(lexical.distances_to(own, others).min())
    stored = [each for each in first if each.pk != answer.pk]
    if not stored:
        return None
    if answer.vector is not None and all(each.vector is not None for each in stored):
        own, *rows = [
            np.frombuffer(bytes(each.vector or b""), dtype=np.float16).astype(float) for each in [answer, *stored]
        ]
        if len({len(own), *map(len, rows)}) == 1:
            return float(lexical.distances_to(own, np.stack(rows)).mean())
    own = lexical.vectors_of([text_of(answer)])[0]
    return float(lexical.distances_to(own, lexical.vectors_of([text_of(each) for each in stored])).mean())


def _seen(row: ProbeRun, one: Gathered) -> Seen:
    suite = row.suite
    stored = new = None
    if one.first and one.answered and one.baseline.runs >= BASELINE_MIN:
        both = _vectors([*one.first, *one.answered], suite)
        if both is not None:
            stored, new = both[: len(one.first)], both[len(one.first) :]
    return Seen(
        one.series.pk, one.series.target_id, one.passes, len(one.told), one.baseline.passes, one.baseline.runs,
        one.recent, stored, new,
    )  # fmt: skip


def _write(
    row: ProbeRun, gathered: Mapping[int, Gathered], seen: Sequence[Seen],
    found: Sequence[tuple[TargetFound, tuple[Found, ...]]], note: str,
) -> str:  # fmt: skip
    """Write the run's verdicts and end it, in one transaction; its state."""
    suite = row.suite
    answered = sum(len(one.answered) for one in gathered.values())
    sums = row.answers.aggregate(cost=Sum("cost_pico"), calls=Sum("calls"), unpriced=Sum("unpriced"))
    state = DONE if answered else FAILED
    levels = levels_of(seen, suite.runs_between_alarms)
    figures = row.figures | {
        "levels": {"passes": levels.passes, "together": levels.together, "answers": levels.answers},
        "targets": {str(target.target): target.as_json() for target, _ in found},
        "encoder": suite.encoder_model if suite.encoder_id else lexical.NAME,
    }
    errors = [each.error for one in gathered.values() for each in one.answers if each.state == FAILED]
    reason = note or (f"{len(errors)} of {len(errors) + answered} answers are missing: {errors[0]}" if errors else "")
    cost = sums["cost"]
    encoder = row.figures.get("encoder_pico", 0)
    with transaction.atomic():
        ProbeSuite.objects.select_for_update(no_key=True).get(pk=suite.pk)
        ended = write.move_run(
            row.pk, state, reason=reason[:300], figures=figures, calls=sums["calls"] or 0,
            cost_pico=None if cost is None and not encoder else (cost or 0) + encoder, unpriced=sums["unpriced"] or 0,
        )  # fmt: skip
        if not ended:
            return row.state
        alarms = {alarm.target_id: alarm for alarm in ProbeAlarm.objects.filter(suite=suite, closed_at=None)}
        states: dict[int, str] = {}
        results: list[ProbeResult] = []
        for target, probes in found:
            is_open = _tend_alarm(row, target, alarms.get(target.target), any(p.state != UNANSWERED for p in probes))
            about = _about(alarms.get(target.target)) if is_open else set()
            for probe in probes:
                one = gathered[probe.key]
                named = CHANGED if is_open and probe.key in about else probe.state
                learned = not is_open and not target.is_changed and _learn(one)
                states[probe.key] = named
                results.append(_result(row, one, probe, named, learned))
        write.keep_results(results)
        write.set_states(states, clock.now())
    return state


def _tend_alarm(row: ProbeRun, target: TargetFound, alarm: ProbeAlarm | None, has_answers: bool) -> bool:
    """Open an alarm, or count whether an open one goes on; whether one was open before this run and still is."""
    if alarm is None:
        if target.is_changed:
            first = min(target.evidence, key=lambda each: each.p / each.level)
            ProbeAlarm.objects.create(
                suite=row.suite, target_id=target.target, run=row, p=first.p, level=first.level,
                evidence=[each.as_json() for each in target.evidence],
            )  # fmt: skip
        return False
    if target.is_changed:
        ProbeAlarm.objects.filter(pk=alarm.pk).update(within=0)
        return True
    if has_answers:
        ProbeAlarm.objects.filter(pk=alarm.pk).update(within=F("within") + 1)
        if alarm.within + 1 >= WITHIN_MAX:
            write.close_alarm(alarm.pk, "ended", f"Within limits for {WITHIN_MAX} runs in a row.")
            return False
    return True


def _about(alarm: ProbeAlarm | None) -> set[int]:
    """The series that were found changed in the run that opened an alarm."""
    if alarm is None:
        return set()
    rows = ProbeResult.objects.filter(run=alarm.run_id, series__target=alarm.target_id, state=CHANGED)
    return set(rows.values_list("series_id", flat=True))


def _learn(one: Gathered) -> bool:
    """Take this run into the baseline while it is not full; whether it was taken."""
    if one.baseline.frozen_at is not None or not one.answered:
        return False
    passes, runs = one.baseline.passes + one.passes, one.baseline.runs + len(one.told)
    # Somebody may have begun another baseline while this run was under way.
    current = ProbeBaseline.objects.filter(pk=one.baseline.pk, frozen_at=None, ended_at=None)
    return current.update(passes=passes, runs=runs, frozen_at=Now() if runs >= BASELINE_FULL else None) == 1


def _result(row: ProbeRun, one: Gathered, probe: Found, state: str, learned: bool) -> ProbeResult:
    return ProbeResult(
        run=row, series=one.series, baseline=one.baseline, passes=one.passes, runs=len(one.told),
        unclear=len(one.answered) - len(one.told), unanswered=len(one.answers) - len(one.answered), state=state,
        was_learned=learned, base_passes=one.baseline.passes, base_runs=one.baseline.runs, figures=probe.as_json(),
        models_answered=sorted({each.model_answered for each in one.answered if each.model_answered}),
        fingerprints=sorted({each.fingerprint for each in one.answered if each.fingerprint}),
    )  # fmt: skip
