"""Shapes of drift's REST, and values as they have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from alerts.drift.grouping import Group, Pair
from alerts.drift.report import Report
from alerts.drift.shifts import STATES, FieldShift
from alerts.drift.words import change_word
from alerts.drifting.settings import CALLS_MAX, CAP_MAX, CAP_MIN, FIELD_CHARS_MAX, FIELDS_MAX, MODEL_CHARS_MAX
from alerts.encoders import KINDS
from alerts.read.drift import DayPoint, DriftView, ReportView
from alerts.read.drift_references import ReferenceView
from telltale.rest import form

SIDES = ("input", "output")
JSON_SAFE_MAX = 2**53


class DriftExampleShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    text = serializers.CharField(allow_null=True, help_text="Its first words; null where the trace is gone.")


class DriftPairShape(serializers.Serializer[Any]):
    reference = serializers.FloatField(allow_null=True, help_text="The mean; null where no trace of the group told it.")
    n_reference = serializers.IntegerField(help_text="Traces that told it.")
    current = serializers.FloatField(allow_null=True)
    n_current = serializers.IntegerField()


class DriftGroupShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="topic:<n>, new:<n> or outside.")
    name = serializers.CharField()
    n_reference = serializers.IntegerField()
    n_current = serializers.IntegerField()
    share_reference = serializers.FloatField()
    share_current = serializers.FloatField()
    change_low = serializers.FloatField(
        allow_null=True, help_text="95 % limits of the difference of shares (Newcombe)."
    )
    change_high = serializers.FloatField(allow_null=True)
    residual = serializers.FloatField(allow_null=True, help_text="About N(0, 1) by chance (Haberman).")
    passages = DriftPairShape(help_text="Documents that retrieval found, a trace.")
    score = DriftPairShape(help_text="A judge's score of `scored_by`, each weighted by 1 / its pi.")
    reference = DriftExampleShape(many=True)
    current = DriftExampleShape(many=True)


class DriftMovedShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    reference = serializers.FloatField(help_text="A share 0..1; of numbers the quantile's value.")
    current = serializers.FloatField()


class DriftFieldShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(STATES)
    n_reference = serializers.IntegerField()
    n_current = serializers.IntegerField()
    test = serializers.CharField(allow_blank=True)
    statistic = serializers.FloatField(allow_null=True)
    p = serializers.FloatField(allow_null=True)
    p_adjusted = serializers.FloatField(allow_null=True, help_text="Within its family (Benjamini-Hochberg).")
    psi = serializers.FloatField(allow_null=True)
    psi_by_chance = serializers.FloatField(allow_null=True, help_text="What two samples of one distribution give.")
    kl = serializers.FloatField(allow_null=True, help_text="Nats, reference against current, of filled shares.")
    js = serializers.FloatField(allow_null=True, help_text="The distance, natural logarithm.")
    tvd = serializers.FloatField(allow_null=True)
    ks = serializers.FloatField(allow_null=True)
    wasserstein = serializers.FloatField(allow_null=True)
    wasserstein_sds = serializers.FloatField(allow_null=True)
    unit = serializers.CharField(allow_blank=True)
    moved = DriftMovedShape(many=True)
    new = serializers.ListField(child=serializers.CharField())
    gone = serializers.ListField(child=serializers.CharField())
    lacking = serializers.CharField(allow_blank=True, help_text="What there is too little of.")


class DriftReferenceShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    feature = serializers.CharField(allow_null=True, allow_blank=True, help_text="Null: all; empty: none told.")
    side = serializers.ChoiceField(SIDES)
    encoder = serializers.CharField()
    state = serializers.ChoiceField(("in_force", "replaced"))
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    vectors = serializers.IntegerField()
    dims = serializers.IntegerField()
    topics = serializers.ListField(child=serializers.CharField())
    reason = serializers.CharField(allow_blank=True)
    made_by = serializers.CharField(allow_null=True)
    approved_by = serializers.CharField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    replaced_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class DriftReferencesShape(serializers.Serializer[Any]):
    items = DriftReferenceShape(many=True)


class DriftReportShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    made_at = serializers.DateTimeField()
    vectors = serializers.IntegerField()
    samples = serializers.IntegerField()
    estimated_traces = serializers.FloatField(help_text="What the sample stands for, by 1/pi.")
    mmd2 = serializers.FloatField(allow_null=True, help_text="Unbiased: may be below 0. Null: too few vectors.")
    p = serializers.FloatField(allow_null=True)
    p_adjusted = serializers.FloatField(allow_null=True)
    chance_99 = serializers.FloatField(allow_null=True)
    topic_p = serializers.FloatField(allow_null=True)
    topic_p_adjusted = serializers.FloatField(allow_null=True)
    has_moved = serializers.BooleanField()
    groups = DriftGroupShape(many=True)
    scored_by = serializers.CharField(
        allow_null=True, help_text="The criterion of the groups' scores, all of one version of one judge. Null: none."
    )
    fields = DriftFieldShape(many=True)  # type: ignore[assignment]
    lacking = serializers.CharField(allow_blank=True)
    seed = serializers.IntegerField()


class DriftSideShape(serializers.Serializer[Any]):
    side = serializers.ChoiceField(SIDES)
    sentence = serializers.CharField()
    reference = DriftReferenceShape(allow_null=True)
    report = DriftReportShape(allow_null=True)


class DriftShape(serializers.Serializer[Any]):
    feature = serializers.CharField(allow_null=True, allow_blank=True)
    days = serializers.IntegerField()
    encoder = serializers.CharField(allow_null=True)
    called = serializers.CharField(allow_null=True, help_text="lexical change or semantic change.")
    sides = DriftSideShape(many=True)


class DriftDayShape(serializers.Serializer[Any]):
    side = serializers.ChoiceField(SIDES)
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    vectors = serializers.IntegerField()
    mmd2 = serializers.FloatField(allow_null=True)
    p = serializers.FloatField(allow_null=True)
    chance_99 = serializers.FloatField(allow_null=True)


class DriftDaysShape(serializers.Serializer[Any]):
    items = DriftDayShape(many=True)


class DriftSettingsShape(serializers.Serializer[Any]):
    is_on = serializers.BooleanField()
    encoder = serializers.ChoiceField(KINDS)
    connection = serializers.IntegerField(allow_null=True)
    model = serializers.CharField(allow_blank=True)
    cap_a_day = serializers.IntegerField()
    budget_usd_day = serializers.CharField(allow_null=True, help_text="Null: no limit of its own.")
    budget_calls_day = serializers.IntegerField(allow_null=True)
    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    trouble = serializers.CharField(allow_null=True, help_text="Why nothing is embedded just now.")
    trouble_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.IntegerField(help_text="Sampled traces without their vectors yet; 10,001: more than 10,000.")


class DriftSettingsBody(serializers.Serializer[Any]):
    is_on = serializers.BooleanField(required=False)
    encoder = serializers.ChoiceField(KINDS, required=False)
    connection = serializers.IntegerField(required=False, allow_null=True, min_value=1, max_value=JSON_SAFE_MAX)
    model = serializers.CharField(required=False, allow_blank=True, max_length=MODEL_CHARS_MAX)
    cap_a_day = serializers.IntegerField(required=False, min_value=CAP_MIN, max_value=CAP_MAX)
    budget_usd_day = serializers.DecimalField(
        required=False, allow_null=True, max_digits=17, decimal_places=12, min_value=0, max_value=10_000
    )
    budget_calls_day = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=CALLS_MAX)
    fields = serializers.ListField(  # type: ignore[assignment]
        child=serializers.CharField(max_length=FIELD_CHARS_MAX), required=False, max_length=FIELDS_MAX
    )


class FreezeBody(serializers.Serializer[Any]):
    feature = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=200, default=None,
        help_text="Null: all features; empty: traces that told none.",
    )  # fmt: skip
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    reason = serializers.CharField(max_length=400)
    encoder = serializers.CharField(required=False, max_length=300, help_text="The one used last where it is absent.")


class RenameTopicBody(serializers.Serializer[Any]):
    topic = serializers.IntegerField(min_value=0, max_value=100)
    name = serializers.CharField(max_length=60)


class DriftUpdateBody(serializers.Serializer[Any]):
    feature = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, max_length=200, default=None
    )  # fmt: skip


class DriftUpdateShape(serializers.Serializer[Any]):
    job = serializers.IntegerField(help_text="The job that makes the reports anew.")


def reference(view: ReferenceView) -> dict[str, Any]:
    """A reference as REST has it."""
    return {
        "id": view.id,
        "feature": view.feature,
        "side": view.side,
        "encoder": view.encoder,
        "state": view.state,
        "start": form.moment(view.start_at),
        "end": form.moment(view.end_at),
        "vectors": view.n,
        "dims": view.dims,
        "topics": list(view.names),
        "reason": view.reason,
        "made_by": view.made_by or None,
        "approved_by": view.approved_by or None,
        "approved_at": form.moment(view.approved_at),
        "replaced_at": form.moment(view.replaced_at),
        "created_at": form.moment(view.created_at),
    }


def report(view: ReportView, texts: Mapping[str, str]) -> dict[str, Any]:
    """A report as REST has it, with the texts of its examples."""
    told: Report = view.report
    return {
        "start": form.moment(view.start_at),
        "end": form.moment(view.end_at),
        "made_at": form.moment(view.made_at),
        "vectors": told.n,
        "samples": told.n_samples,
        "estimated_traces": told.estimated,
        "mmd2": told.mmd2,
        "p": told.p,
        "p_adjusted": told.p_adjusted,
        "chance_99": told.chance_99,
        "topic_p": told.topic_p,
        "topic_p_adjusted": told.topic_p_adjusted,
        "has_moved": told.has_moved,
        "groups": [_group(each, texts) for each in told.groups],
        "scored_by": told.scored_by or None,
        "fields": [_field(each) for each in told.fields],
        "lacking": told.lacking,
        "seed": told.seed,
    }


def _group(group: Group, texts: Mapping[str, str]) -> dict[str, Any]:
    def examples(traces: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{"trace_id": trace, "text": texts.get(trace) or None} for trace in traces]

    return {
        "key": group.key,
        "name": group.name,
        "n_reference": group.n_reference,
        "n_current": group.n_current,
        "share_reference": group.share_reference,
        "share_current": group.share_current,
        "change_low": group.low,
        "change_high": group.high,
        "residual": group.residual,
        "passages": _pair(group.passages),
        "score": _pair(group.score),
        "reference": examples(group.reference_traces),
        "current": examples(group.current_traces),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "reference": pair.reference,
        "n_reference": pair.n_reference,
        "current": pair.current,
        "n_current": pair.n_current,
    }


_PLAIN = (
    "key", "title", "state", "n_reference", "n_current", "test", "statistic", "p", "p_adjusted", "psi",
    "psi_by_chance", "kl", "js", "tvd", "ks", "wasserstein", "wasserstein_sds", "unit", "lacking",
)  # fmt: skip


def _field(shift: FieldShift) -> dict[str, Any]:
    return {name: getattr(shift, name) for name in _PLAIN} | {
        "moved": [
            {"name": each.name, "reference": each.share_reference, "current": each.share_current}
            for each in shift.moved
        ],
        "new": list(shift.new),
        "gone": list(shift.gone),
    }


def day(side: str, point: DayPoint) -> dict[str, Any]:
    """A day of the series as REST has it."""
    return {
        "side": side,
        "start": form.moment(point.start_at),
        "end": form.moment(point.end_at),
        "vectors": point.n,
        "mmd2": point.mmd2,
        "p": point.p,
        "chance_99": point.chance_99,
    }


def settings(view: DriftView, waiting: int) -> dict[str, Any]:
    """The settings as REST has them."""
    return {
        "is_on": view.is_on,
        "encoder": view.encoder,
        "connection": view.connection_id,
        "model": view.model,
        "cap_a_day": view.cap_a_day,
        "budget_usd_day": form.usd(view.budget_pico_day),
        "budget_calls_day": view.budget_calls_day,
        "fields": list(view.fields),
        "trouble": view.trouble or None,
        "trouble_at": form.moment(view.trouble_at),
        "waiting": waiting,
    }


def called(encoder: str) -> str | None:
    """What a change is called by this encoder; None without one."""
    return change_word(encoder) if encoder else None
