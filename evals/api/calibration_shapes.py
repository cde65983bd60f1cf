"""Calibrations, gates and dated checks as JSON, and their shapes for the OpenAPI document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rest_framework import serializers

from evals.calibrating.comparing import Compared
from evals.calibrating.figures import kept
from evals.read.calibration import CalibrationRow, badge_of
from evals.read.gates import GateChoice, RoutineRow
from evals.read.pairs import Pair, PairSet
from telltale.rest.form import hex_span, moment

STATES = ("proven", "not_proven", "failed", "stale")


class CalibrationScopeShape(serializers.Serializer[Any]):
    feature = serializers.CharField(required=False)
    model = serializers.CharField(required=False)
    prompt_version = serializers.CharField(required=False)


class CalibrationShape(serializers.Serializer[Any]):
    """A calibration: one judge version, criterion and scope."""

    id = serializers.CharField()
    judge = serializers.CharField()
    version = serializers.IntegerField()
    criterion = serializers.CharField()
    scope = CalibrationScopeShape()
    state = serializers.ChoiceField(choices=STATES, help_text="The verdict, or stale.")
    verdict = serializers.ChoiceField(choices=STATES[:3])
    words = serializers.CharField(help_text="As the badge beside every number of the judge says it.")
    stale = serializers.CharField(allow_null=True, help_text="Why it holds no longer.")
    pairs = serializers.IntegerField(help_text="Answers with both a label of people and a score of this version.")
    reviewers = serializers.IntegerField()
    need_more = serializers.IntegerField(allow_null=True, help_text="About how many more labels would decide.")
    labels_until = serializers.DateTimeField(allow_null=True)
    computed_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    result = serializers.DictField(
        help_text="levels, counts (people in rows, judge in columns), agreement, agreement_of_traffic, people, "
        "people_minus_judge, constant, bias, bias_by_level, flag, unusable, self_agreement, gate, missed, left_out, "
        "seed. Each figure has value, low, high (95 %), n, n_eff and method; or have, need and what; null is undefined."
    )


class CalibrationBody(serializers.Serializer[Any]):
    judge = serializers.CharField(max_length=60)
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    criterion = serializers.CharField(required=False, max_length=100, help_text="Empty: every criterion.")
    scope = CalibrationScopeShape(required=False)


class CalibrationsMadeShape(serializers.Serializer[Any]):
    items = CalibrationShape(many=True)


class GateShape(serializers.Serializer[Any]):
    """What a judge must show. null switches a check off."""

    metric = serializers.CharField()
    deploy_at = serializers.FloatField()
    stay_at = serializers.FloatField()
    people_margin = serializers.FloatField(allow_null=True)
    recall_at_least = serializers.FloatField(allow_null=True)
    precision_at_least = serializers.FloatField(allow_null=True)
    bias_at_most = serializers.FloatField(allow_null=True)
    unusable_at_most = serializers.FloatField(allow_null=True)
    self_agreement_at_least = serializers.FloatField(allow_null=True)


class GateBody(serializers.Serializer[Any]):
    """The values to change; what is left out stays. `own` false lets a judge go by the project's gate again."""

    own = serializers.BooleanField(required=False)

    def get_fields(self) -> dict[str, Any]:
        numbers = [name for name in map(str, GateShape().fields) if name != "metric"]
        optional = {
            name: serializers.JSONField(required=False, allow_null=True, help_text="A number or null.")
            for name in numbers
        }
        return {**super().get_fields(), "metric": serializers.CharField(required=False, max_length=40), **optional}


class GateAnswerShape(serializers.Serializer[Any]):
    gate = GateShape()
    project = GateShape()
    is_own = serializers.BooleanField()


class PairShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    span_id = serializers.CharField(allow_null=True)
    person = serializers.CharField()
    judge = serializers.CharField(allow_null=True)
    labels = serializers.ListField(child=serializers.DictField())
    pi = serializers.FloatField(allow_null=True)
    feature = serializers.CharField()
    model = serializers.CharField()
    prompt_version = serializers.CharField()


class ComparedShape(serializers.Serializer[Any]):
    n = serializers.IntegerField()
    reviewers = serializers.IntegerField()
    same = serializers.IntegerField()
    measures = serializers.DictField()
    moved = serializers.DictField(allow_null=True)
    bad = serializers.IntegerField()
    caught = serializers.ListField(child=serializers.IntegerField())
    seed = serializers.IntegerField()


class TaskBody(serializers.Serializer[Any]):
    judge = serializers.CharField(max_length=60)
    version = serializers.IntegerField(required=False, min_value=1, max_value=2**31 - 1)
    criterion = serializers.CharField(required=False, max_length=100, allow_blank=True)
    feature = serializers.CharField(required=False, max_length=200, allow_blank=True)
    wanted = serializers.IntegerField(required=False, min_value=1, max_value=5_000)
    days = serializers.IntegerField(required=False, min_value=1, max_value=365)
    reviewers = serializers.IntegerField(required=False, min_value=1, max_value=10)
    double_share = serializers.FloatField(required=False, min_value=0, max_value=1)
    name = serializers.CharField(required=False, max_length=120, allow_blank=True)
    due_at = serializers.DateTimeField(required=False, allow_null=True)


class TaskShape(serializers.Serializer[Any]):
    queue = serializers.CharField(help_text="The review queue.")
    items = serializers.IntegerField()
    to_judge = serializers.IntegerField(help_text="Answers that the version has yet to score.")


class RoutineShape(serializers.Serializer[Any]):
    """A dated check of a judge."""

    id = serializers.CharField()
    judge = serializers.CharField()
    kind = serializers.CharField()
    state = serializers.ChoiceField(choices=("due", "running", "done", "skipped"))
    due_at = serializers.DateTimeField()
    done_at = serializers.DateTimeField(allow_null=True)
    queue = serializers.CharField(allow_null=True)
    result = serializers.DictField(allow_null=True)


class RoutineBody(serializers.Serializer[Any]):
    judge = serializers.CharField(max_length=60)
    kind = serializers.CharField(max_length=20)
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="With attacks: the version to try."
    )


def calibration_json(row: CalibrationRow) -> dict[str, Any]:
    """A calibration."""
    return {
        "id": str(row.id),
        "judge": row.judge_slug,
        "version": row.version,
        "criterion": row.criterion,
        "scope": row.scope.stored(),
        "state": row.state,
        "verdict": row.verdict,
        "words": badge_of(row).words,
        "stale": row.stale or None,
        "pairs": row.pairs,
        "reviewers": row.reviewers,
        "need_more": row.need_more,
        "labels_until": moment(row.labels_until),
        "computed_at": moment(row.computed_at),
        "expires_at": moment(row.expires_at),
        "result": row.result,
    }


def gate_json(choice: GateChoice) -> dict[str, Any]:
    """The gate of a judge beside the project's."""
    return {"gate": asdict(choice.settings), "project": asdict(choice.project), "is_own": choice.is_own}


def pair_json(pair: Pair, found: PairSet) -> dict[str, Any]:
    """A pair, levels by their names."""
    names = found.criterion.scale.names
    return {
        "trace_id": pair.trace_id.hex,
        "span_id": hex_span(pair.span_id) if pair.span_id else None,
        "person": names[pair.person],
        "judge": None if pair.judge is None else names[pair.judge],
        "labels": [
            {
                "reviewer": rating.reviewer,
                "level": names[rating.level],
                "at": moment(rating.at),
                "is_adjudication": rating.is_adjudication,
            }
            for rating in pair.ratings
        ],
        "pi": pair.pi,
        "feature": pair.feature,
        "model": pair.model,
        "prompt_version": pair.prompt_version,
    }


def compared_json(found: Compared) -> dict[str, Any]:
    """Two versions on the same answers."""
    return {
        "n": found.n,
        "reviewers": found.reviewers,
        "same": found.same,
        "measures": {
            line.name: {"first": kept(line.first), "second": kept(line.second), "difference": kept(line.difference)}
            for line in found.lines
        },
        "moved": kept(found.moved),
        "bad": found.bad,
        "caught": list(found.caught),
        "seed": found.seed,
    }


_INNER = ("targets", "heard", "failures", "held")


def routine_json(row: RoutineRow) -> dict[str, Any]:
    """A dated check; what its probes are put to, and what it keeps to go on, is left out."""
    return {
        "id": str(row.id),
        "judge": row.judge_slug,
        "kind": row.kind,
        "state": row.state,
        "due_at": moment(row.due_at),
        "done_at": moment(row.done_at),
        "queue": row.queue_slug or None,
        "result": {name: value for name, value in row.result.items() if name not in _INNER} or None,
    }
