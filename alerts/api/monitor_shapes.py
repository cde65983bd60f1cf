"""The shapes of monitors, their charts, alarms and the alert budget in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts import monitoring
from alerts.api.definition_shapes import MonitorDefinitionShape
from alerts.monitors.states import PointState, Standing
from alerts.read.alarms import STATES, VERDICTS
from alerts.read.baselines import STATES as BASELINE_STATES
from telltale.rest.shapes import page_of

STANDINGS = [each.value for each in Standing]


class MonitorShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    definition = MonitorDefinitionShape()
    unit = serializers.CharField(help_text="Of what is drawn.")
    revision = serializers.IntegerField(help_text="Grows with each change of the definition.")
    chart_no = serializers.IntegerField(help_text="Grows where a change begins a new chart.")
    is_on = serializers.BooleanField()
    muted_until = serializers.DateTimeField(allow_null=True)
    standing = serializers.ChoiceField(STANDINGS)
    standing_words = serializers.CharField(help_text="Where it stands, in words.")
    standing_since = serializers.DateTimeField(
        help_text="End of the window that brought it there; of a person's act, its moment."
    )
    arl0 = serializers.FloatField(
        allow_null=True, help_text="Windows until a false alarm by the alert budget. Null: it has no share of it."
    )
    expected_a_week = serializers.FloatField(
        allow_null=True, help_text="False alarms a week while nothing is wrong. Null: not from the budget; a back-test "
        "tells it."
    )  # fmt: skip
    updates_a_week = serializers.FloatField(help_text="Windows a week.")
    decided_to = serializers.DateTimeField(allow_null=True, help_text="End of the last window that was decided.")
    next_start = serializers.DateTimeField(help_text="Start of the next window to decide.")
    error = serializers.CharField(help_text="Why it cannot be evaluated; empty: it can.")
    open_alarm = serializers.IntegerField(allow_null=True)
    baseline = serializers.IntegerField(allow_null=True, help_text="The baseline in force; null: learning, or none.")
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField(help_text="When its chart last began anew by a change.")
    archived_at = serializers.DateTimeField(allow_null=True)


MonitorPage = page_of(MonitorShape, "MonitorPage")


class MuteBody(serializers.Serializer[Any]):
    until = serializers.DateTimeField(
        allow_null=True, help_text=f"Within {monitoring.MUTED_MOST.days} days. Null: not muted any more.",
        style={"limit": "ISO 8601, or null"},
    )  # fmt: skip


class MonitorRuleShape(serializers.Serializer[Any]):
    rule = serializers.CharField()
    statistic = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class MonitorPointShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    n = serializers.IntegerField(help_text="Units in the denominator, by all that came until now.")
    n_eff = serializers.FloatField(allow_null=True)
    value = serializers.FloatField(allow_null=True, help_text="In the metric's unit, by all that came until now.")
    low = serializers.FloatField(allow_null=True, help_text="Of the 95 % interval.")
    high = serializers.FloatField(allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    state = serializers.ChoiceField([each.value for each in PointState])
    phase = serializers.ChoiceField(("learning", "watched", "latched"))
    baseline = serializers.IntegerField(allow_null=True)
    z = serializers.FloatField(allow_null=True)
    statistic = serializers.FloatField(allow_null=True, help_text="On the scale of its rule, as the limits.")
    limit_low = serializers.FloatField(allow_null=True)
    limit_high = serializers.FloatField(allow_null=True)
    shown_low = serializers.FloatField(allow_null=True, help_text="The limits in the metric's unit.")
    shown_high = serializers.FloatField(allow_null=True)
    shown_level = serializers.FloatField(allow_null=True, help_text="The smoothed level in the metric's unit.")
    rule = serializers.CharField()
    crossed = serializers.ChoiceField(("up", "down"), allow_null=True)
    alarm = serializers.IntegerField(allow_null=True, help_text="The alarm that this window opened.")
    decided_n = serializers.IntegerField(help_text="What was there when it was decided.")
    decided_value = serializers.FloatField(allow_null=True)
    revision = serializers.IntegerField(help_text="Above 1: late data changed what it held, never what was decided.")
    decided_at = serializers.DateTimeField()


class MonitorPointsShape(serializers.Serializer[Any]):
    chart_no = serializers.IntegerField()
    items = MonitorPointShape(many=True, help_text="Oldest first.")
    next = serializers.CharField(allow_null=True, help_text="Address of the windows after these.")


class MonitorBaselineShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    monitor = serializers.IntegerField()
    chart_no = serializers.IntegerField()
    state = serializers.ChoiceField(BASELINE_STATES)
    kind = serializers.CharField(help_text="Of the detector.")
    method = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    n = serializers.IntegerField()
    windows = serializers.IntegerField()
    arl0 = serializers.FloatField(help_text="Windows until a false alarm that its limits were made for.")
    centre = serializers.FloatField(allow_null=True, help_text="The middle of what was drawn, in the metric's unit.")
    excluded = serializers.ListField(child=serializers.DateTimeField(), help_text="Windows that were left out.")
    parameters = serializers.DictField(
        child=serializers.JSONField(allow_null=True), help_text="What the detector froze."
    )
    limits_of = serializers.IntegerField(allow_null=True, help_text="Another baseline whose reference it has.")
    reason = serializers.CharField()
    made_by = serializers.CharField(allow_null=True)
    approved_by = serializers.CharField(allow_null=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    in_force_from = serializers.DateTimeField(allow_null=True)
    in_force_to = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


MonitorBaselinePage = page_of(MonitorBaselineShape, "MonitorBaselinePage")


class AlarmShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    monitor = serializers.IntegerField()
    monitor_name = serializers.CharField()
    metric = serializers.CharField()
    chart_no = serializers.IntegerField()
    baseline = serializers.IntegerField(allow_null=True)
    window_start = serializers.DateTimeField(help_text="Of the window that crossed.")
    window_end = serializers.DateTimeField()
    direction = serializers.ChoiceField(("up", "down"))
    rule = serializers.CharField()
    statistic = serializers.FloatField(allow_null=True)
    limit = serializers.FloatField(allow_null=True)
    value = serializers.FloatField(allow_null=True, help_text="In the metric's unit.")
    severity = serializers.IntegerField(min_value=0, max_value=3)
    is_page = serializers.BooleanField(help_text="May page: no notice, not muted, not from before its monitor.")
    state = serializers.ChoiceField(STATES)
    verdict = serializers.ChoiceField(VERDICTS, allow_null=True, help_text="Null: nobody said.")
    note = serializers.CharField()
    found_at = serializers.DateTimeField()
    acknowledged_by = serializers.CharField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.CharField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    evidence = serializers.DictField(child=serializers.JSONField(allow_null=True))


AlarmPage = page_of(AlarmShape, "AlarmPage")


class AlarmBody(serializers.Serializer[Any]):
    state = serializers.ChoiceField(("acknowledged", "closed"))
    verdict = serializers.ChoiceField(
        VERDICTS, required=False, help_text="Needed to close. real: it was. false: nothing was wrong; the windows stay "
        "out of baselines. accepted: the change is the new normal.",
    )  # fmt: skip
    note = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class AlertBudgetLineShape(serializers.Serializer[Any]):
    monitor = serializers.IntegerField()
    name = serializers.CharField()
    tier = serializers.ChoiceField(("page", "notice"))
    arl0 = serializers.FloatField()
    expected_a_week = serializers.FloatField()
    delay_hours = serializers.FloatField(help_text="Until a lasting change of one sd is seen, on average.")


class AlertBudgetShape(serializers.Serializer[Any]):
    pages_a_week = serializers.FloatField(help_text="False pages a week for the whole project.")
    marked_days = serializers.ListField(child=serializers.DateField(), help_text="Days that are no example of normal.")
    capacity = serializers.DictField(
        child=serializers.FloatField(), help_text="Requests a minute, by model:… or service:…."
    )
    changed_by = serializers.CharField(allow_null=True)
    changed_at = serializers.DateTimeField(allow_null=True)
    expected_a_week = serializers.FloatField(help_text="Of all monitors that page, by their shares.")
    monitors = AlertBudgetLineShape(many=True)


class AlertBudgetBody(serializers.Serializer[Any]):
    pages_a_week = serializers.FloatField(
        required=False, min_value=monitoring.PAGES_LEAST, max_value=monitoring.PAGES_MOST
    )
    marked_days = serializers.ListField(
        child=serializers.CharField(max_length=10), required=False, max_length=monitoring.MARKED_DAYS_MAX
    )
    capacity = serializers.DictField(child=serializers.FloatField(), required=False)


class RebaselineBody(serializers.Serializer[Any]):
    start = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Never before the estimated change; null: from there."
    )
    end = serializers.DateTimeField(required=False, allow_null=True, help_text="Null: as soon as there is enough.")
    reason = serializers.CharField(max_length=400, help_text="Why what is charted now is the new normal.")


class RebaselineShape(serializers.Serializer[Any]):
    baseline = serializers.IntegerField(allow_null=True, help_text="The new one in force; null: it learns on.")
    learns_from = serializers.DateTimeField()
    words = serializers.CharField()
