"""The shapes of scope, isolate, responses and recovery of incidents in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts.incidents import recovered
from alerts.incidents.types import NOTE_MAX
from alerts.recovering import URL_MAX

REPORT_STATES = ("wanted", "waiting", "done", "failed")


class FoundStretchShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    n = serializers.IntegerField(help_text="Responses in all.")
    bad = serializers.IntegerField(help_text="Of them affected.")
    share = serializers.FloatField(
        allow_null=True, help_text="Affected, weighted to all traffic; null: no response, so not known."
    )
    low = serializers.FloatField(allow_null=True, help_text="Of its 95 % interval.")
    high = serializers.FloatField(allow_null=True)
    compared = serializers.IntegerField(help_text="Of a fair draw, those compared.")


class FoundPartShape(serializers.Serializer[Any]):
    field = serializers.CharField()
    value = serializers.CharField()


class FoundSliceShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    parts = FoundPartShape(many=True, help_text="One value, or two together.")
    n = serializers.IntegerField()
    bad = serializers.IntegerField()
    n_eff = serializers.FloatField(help_text="How many equally weighted responses these are worth.")
    share_of_bad = serializers.FloatField(allow_null=True, help_text="Of all affected, those here.")
    share_of_all = serializers.FloatField(allow_null=True)
    rate = serializers.FloatField(help_text="Affected of all here.")
    rate_low = serializers.FloatField()
    rate_high = serializers.FloatField()
    rate_outside = serializers.FloatField()
    excess = serializers.FloatField(help_text="Affected beyond the rate outside: what the order goes by.")
    share_of_excess = serializers.FloatField(allow_null=True, help_text="Of the excess over the baseline.")
    ratio = serializers.FloatField(help_text="Times as likely as outside.")
    ratio_low = serializers.FloatField()
    ratio_high = serializers.FloatField()
    difference = serializers.FloatField()
    difference_low = serializers.FloatField()
    difference_high = serializers.FloatField()
    p_adjusted = serializers.FloatField(help_text="Over all that was tested, false discoveries held to q.")
    shift = serializers.FloatField(allow_null=True, help_text="The difference now less the same in the baseline.")
    shift_low = serializers.FloatField(allow_null=True)
    shift_high = serializers.FloatField(allow_null=True)
    was_always_bad = serializers.BooleanField(help_text="It was as much worse in the baseline: no cause.")
    is_proposed = serializers.BooleanField(help_text="It stands beyond chance among all that was looked at.")
    like = serializers.CharField(allow_null=True, help_text="New since: what it was compared with in the baseline.")
    also = serializers.ListField(child=serializers.CharField(), help_text="Others of (nearly) the same responses.")
    through = serializers.CharField(allow_null=True, help_text="The pair that holds its excess.")
    share_before = serializers.FloatField(allow_null=True, help_text="Of the baseline, where mixes are compared.")
    traces = serializers.CharField(
        help_text="Query of the list of traces; empty where no list narrows to it: see `examples`."
    )
    examples = serializers.ListField(child=serializers.CharField(), help_text="Ids of some of its affected traces.")


class FoundScopeShape(serializers.Serializer[Any]):
    words = serializers.CharField(help_text='What counts as affected, after "responses that".')
    monitor_id = serializers.IntegerField(allow_null=True)
    metric = serializers.CharField()
    is_mix = serializers.BooleanField(
        help_text="No single response is bad by the metric: what there is more of now is ranked."
    )
    now = FoundStretchShape()
    before = FoundStretchShape(help_text="The baseline's stretch.")
    compared = serializers.ListField(child=serializers.CharField(), help_text="The fields that were compared.")
    not_compared = serializers.ListField(child=serializers.CharField(), help_text="What was left out, in words.")
    too_little = serializers.CharField(allow_null=True, help_text="Why nothing could be compared.")
    tested = serializers.IntegerField(allow_null=True)
    too_few = serializers.IntegerField(allow_null=True, help_text="Values and pairs with some but under 10 affected.")
    left_out = serializers.IntegerField(allow_null=True, help_text="Beyond the 2,000 with most affected.")
    q = serializers.FloatField(allow_null=True)
    slices = FoundSliceShape(many=True, help_text="Over-represented, the likeliest first; at most 30.")
    more_slices = serializers.IntegerField()
    unclear = FoundSliceShape(many=True, help_text="Tested and not found over-represented; at most 12.")
    seconds = serializers.FloatField()


class FoundReportShape(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        REPORT_STATES,
        help_text="wanted: nobody asked yet; waiting: a worker makes it, what is shown is the one before.",
    )
    error = serializers.CharField(allow_null=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    made_at = serializers.DateTimeField(allow_null=True)


class IncidentScopeShape(FoundReportShape):
    note = serializers.CharField(allow_null=True, help_text="The scope in a person's sentence.")
    finding = serializers.CharField(allow_null=True)
    draft = serializers.CharField(allow_null=True, help_text="A first sentence, where something is proposed.")
    report = FoundScopeShape(allow_null=True)


class IncidentScopeBody(serializers.Serializer[Any]):
    note = serializers.CharField(max_length=NOTE_MAX, help_text="Who is affected, in a sentence.")
    of_version = serializers.IntegerField(required=False, min_value=0, help_text="Of the incident; 409 if another is.")


class FoundOnsetShape(serializers.Serializer[Any]):
    at = serializers.DateTimeField(allow_null=True, help_text="Null: no clear start; `words` say why.")
    low = serializers.DateTimeField(allow_null=True, help_text="Of its 95 % interval.")
    high = serializers.DateTimeField(allow_null=True)
    window_seconds = serializers.FloatField()
    p = serializers.FloatField(allow_null=True, help_text="By permutation of windows.")
    windows = serializers.IntegerField()
    method = serializers.CharField()
    words = serializers.CharField()


class FoundContrastShape(serializers.Serializer[Any]):
    attribute = serializers.CharField(required=False)
    old = serializers.CharField()
    new = serializers.CharField()
    new_rate = serializers.FloatField()
    old_rate = serializers.FloatField()
    difference = serializers.FloatField(help_text="New less old, over windows in which both served.")
    low = serializers.FloatField()
    high = serializers.FloatField()
    windows = serializers.IntegerField()
    n_new = serializers.IntegerField()
    n_old = serializers.IntegerField()
    level = serializers.FloatField()
    method = serializers.CharField()


class FoundChangeShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(help_text="Of the change log.")
    title = serializers.CharField()
    kind = serializers.CharField()
    at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    author = serializers.CharField()
    note = serializers.CharField()
    url = serializers.CharField()
    is_derived = serializers.BooleanField(help_text="Seen in traces, told by nobody.")
    place = serializers.ChoiceField(("inside", "shortly before", "outside", "after"), allow_null=True)
    lag_seconds = serializers.FloatField(allow_null=True, help_text="From the change to the start; below 0: after.")
    lag_low_seconds = serializers.FloatField(allow_null=True)
    lag_high_seconds = serializers.FloatField(allow_null=True)
    overlap = serializers.ChoiceField(("same", "all", "unknown", "other"), help_text="Whom it touched.")
    shared = serializers.ListField(child=serializers.CharField())
    contrast = FoundContrastShape(allow_null=True)
    says = serializers.ChoiceField(
        ("worse", "alike", "open"), allow_null=True, help_text="Of versions at the same time; null: not compared."
    )
    match = serializers.ChoiceField(("strong", "possible", "weak", "none"))
    score = serializers.FloatField(help_text="What the order goes by; no probability.")


class FoundPieceShape(serializers.Serializer[Any]):
    op = serializers.ChoiceField(("same", "gone", "new"))
    text = serializers.CharField()


class FoundSettingShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)


class FoundDifferenceShape(serializers.Serializer[Any]):
    change = serializers.IntegerField()
    title = serializers.CharField()
    text = FoundPieceShape(many=True, help_text="The instructions of a call before and after, word by word.")
    settings = FoundSettingShape(many=True)
    traces = serializers.ListField(child=serializers.CharField())


class FoundIsolateShape(serializers.Serializer[Any]):
    onset = FoundOnsetShape()
    monitor_id = serializers.IntegerField(allow_null=True)
    metric = serializers.CharField()
    changes = FoundChangeShape(many=True, help_text="The best fit first, at most 40.")
    more_changes = serializers.IntegerField()
    inside = serializers.ListField(child=serializers.IntegerField(), help_text="Within the interval of the start.")
    together = serializers.ListField(child=serializers.IntegerField(), help_text="That cannot be told apart.")
    versions = FoundContrastShape(many=True, help_text="Versions that served at the same time.")
    differences = FoundDifferenceShape(many=True)
    seconds = serializers.FloatField()


class IncidentIsolateShape(FoundReportShape):
    cause_change = serializers.IntegerField(allow_null=True, help_text="The change that a person marked.")
    cause_note = serializers.CharField(allow_null=True)
    finding = serializers.CharField(allow_null=True)
    report = FoundIsolateShape(allow_null=True)


class IncidentCauseBody(serializers.Serializer[Any]):
    change = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=2**63 - 1, help_text="Of the change log; null: a note."
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=NOTE_MAX)
    of_version = serializers.IntegerField(required=False, min_value=0)


class IncidentResponseShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(recovered.KINDS)
    at = serializers.DateTimeField(help_text="When it took effect.")
    note = serializers.CharField(allow_null=True)
    url = serializers.CharField(allow_null=True)
    change = serializers.IntegerField(allow_null=True, help_text="Of the change log, where it says the same.")
    by = serializers.CharField(allow_null=True)
    recorded_at = serializers.DateTimeField()
    recovered_at = serializers.DateTimeField(allow_null=True, help_text="The first moment its series were back.")


class IncidentResponsesShape(serializers.Serializer[Any]):
    items = IncidentResponseShape(many=True)


class IncidentResponseBody(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(recovered.KINDS)
    at = serializers.DateTimeField(required=False, help_text="When it took effect; now by default.")
    note = serializers.CharField(required=False, allow_blank=True, max_length=NOTE_MAX)
    url = serializers.CharField(required=False, allow_blank=True, max_length=URL_MAX)
    log = serializers.BooleanField(required=False, help_text="Also write it into the change log.")
    of_version = serializers.IntegerField(required=False, min_value=0)


class RecoverySeriesShape(serializers.Serializer[Any]):
    monitor_id = serializers.IntegerField()
    name = serializers.CharField()
    metric = serializers.CharField()
    is_page = serializers.BooleanField(help_text="Those that may page decide.")
    state = serializers.ChoiceField(("back", "not_yet", "out", "waiting", "no_size"))
    is_back = serializers.BooleanField()
    windows = serializers.IntegerField(help_text="In a row within limits, up to now.")
    hours = serializers.FloatField(help_text="That these windows last.")
    hours_needed = serializers.FloatField()
    left = serializers.FloatField(allow_null=True, help_text="The part of the shift that is left.")
    left_low = serializers.FloatField(allow_null=True, help_text="Of an interval that holds at every look.")
    left_high = serializers.FloatField(allow_null=True, help_text="Back: below a half.")
    level = serializers.FloatField()
    value_before = serializers.FloatField(allow_null=True, help_text="In the metric's unit.")
    value_during = serializers.FloatField(allow_null=True)
    value_after = serializers.FloatField(allow_null=True)
    judged_to = serializers.DateTimeField(allow_null=True)
    words = serializers.CharField()


class IncidentRecoveryShape(FoundReportShape):
    recovery = serializers.ChoiceField(
        ("back", "not_yet", "waiting", "relapsed", "nothing"), allow_null=True, help_text="Null: not looked at yet."
    )
    words = serializers.CharField(allow_null=True)
    response = serializers.IntegerField(allow_null=True, help_text="The last response, which is watched.")
    recovered_at = serializers.DateTimeField(allow_null=True)
    series = RecoverySeriesShape(many=True)
