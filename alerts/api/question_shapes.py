"""The shapes of questions, of what monitors earned, and of proposals in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts import asking, retiring
from alerts.questions.pillars import Pillar
from alerts.questions.presets import APPLICATIONS
from alerts.questions.settings import WORTH_MOST
from alerts.read.worth import STATES

PILLARS = [each.value for each in Pillar]
VERDICTS = ("keep", "propose to retire", "no evidence", "too young", "exempt")


class QuestionShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(allow_null=True, help_text="Null: nobody wrote it, it stands for its pillar.")
    text = serializers.CharField()
    pillar = serializers.ChoiceField(PILLARS)
    decision = serializers.CharField(help_text="What the team does on a bad answer.")
    monitors = serializers.ListField(child=serializers.IntegerField(), help_text="Those that answer it, in order.")


class QuestionListShape(serializers.Serializer[Any]):
    is_written = serializers.BooleanField(help_text="False: the project has written none, these are the shipped ones.")
    items = QuestionShape(many=True)


class QuestionBody(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=asking.TEXT_MAX, required=False)
    pillar = serializers.ChoiceField(PILLARS, required=False)
    decision = serializers.CharField(max_length=asking.DECISION_MAX, required=False, allow_blank=True)
    monitors = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False,
        max_length=asking.MONITORS_MAX,
    )  # fmt: skip


class QuestionMoveBody(serializers.Serializer[Any]):
    up = serializers.BooleanField(help_text="False: one place down.")


class QuestionSetShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    why = serializers.CharField()
    questions = serializers.ListField(child=serializers.DictField())


class QuestionSetsShape(serializers.Serializer[Any]):
    items = QuestionSetShape(many=True)


class QuestionSetBody(serializers.Serializer[Any]):
    application = serializers.ChoiceField([each.slug for each in APPLICATIONS])


class WorthsShape(serializers.Serializer[Any]):
    worth = serializers.DictField(
        child=serializers.FloatField(), help_text="US dollars of having found a real incident, by severity."
    )
    page_cost = serializers.FloatField(help_text="US dollars of one false page.")
    is_default = serializers.BooleanField(help_text="Whether the project entered none of them.")


class WorthsBody(serializers.Serializer[Any]):
    worth = serializers.DictField(
        child=serializers.FloatField(min_value=0, max_value=WORTH_MOST), required=False,
        help_text="By severity, 0 to 3.",
    )
    page_cost = serializers.FloatField(min_value=0, max_value=WORTH_MOST, required=False)


class MetricWorthShape(serializers.Serializer[Any]):
    monitor = serializers.IntegerField()
    name = serializers.CharField()
    metric = serializers.CharField()
    pillar = serializers.CharField()
    days = serializers.FloatField(help_text="How long it has been watched.")
    pages = serializers.IntegerField()
    real = serializers.IntegerField()
    false = serializers.IntegerField()
    unjudged = serializers.IntegerField()
    real_share = serializers.FloatField(allow_null=True, help_text="Of judged pages; null: none was judged.")
    real_low = serializers.FloatField(allow_null=True, help_text="80% interval.")
    real_high = serializers.FloatField(allow_null=True)
    found = serializers.IntegerField(help_text="Real incidents it alarmed in.")
    alone = serializers.IntegerField(help_text="Those in which no other did.")
    lead_min = serializers.FloatField(allow_null=True, help_text="Median minutes before the next other alarm.")
    views = serializers.IntegerField(help_text="How often its chart was looked at.")
    questions = serializers.IntegerField(help_text="Questions it answers.")
    judging = serializers.FloatField(allow_null=True, help_text="US dollars of judging; null: none is known.")
    points = serializers.IntegerField(help_text="Points it stored.")
    bytes = serializers.IntegerField(help_text="Size of what those points were made of.")
    benefit = serializers.FloatField(help_text="US dollars of incidents that would be missed or late without it.")
    benefit_high = serializers.FloatField(allow_null=True, help_text="Upper 95% limit; null: there was no incident.")
    spent = serializers.FloatField(help_text="US dollars of its false pages, judging and looks.")
    value = serializers.FloatField(help_text="benefit - spent.")
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    verdict = serializers.ChoiceField(VERDICTS)
    reason = serializers.CharField()
    hours_back = serializers.FloatField(
        allow_null=True, help_text="Hours earlier that the monitor in the middle would see one sd without it."
    )


class CoverShape(serializers.Serializer[Any]):
    monitor = serializers.IntegerField()
    name = serializers.CharField()
    adds = serializers.FloatField(help_text="US dollars beyond those before it.")
    net = serializers.FloatField()
    covered = serializers.FloatField(help_text="Share of all that can be covered, so far.")


class AlikeShape(serializers.Serializer[Any]):
    metric = serializers.IntegerField(help_text="A monitor.")
    other = serializers.IntegerField(help_text="Another monitor.")
    rho = serializers.FloatField(help_text="Spearman's correlation of standardised residuals by the hour.")
    windows = serializers.IntegerField(help_text="Hours that both have.")


class MetricReportShape(serializers.Serializer[Any]):
    state = serializers.ChoiceField(("none", "waiting", "working", "done", "failed"))
    error = serializers.CharField()
    made_at = serializers.DateTimeField(allow_null=True)
    days = serializers.IntegerField(allow_null=True)
    incidents = serializers.IntegerField(allow_null=True, help_text="Real incidents in that time.")
    metrics = MetricWorthShape(many=True)
    cover = CoverShape(many=True)
    core = serializers.ListField(child=serializers.IntegerField(), help_text="The few that cover 80%.")
    alike = AlikeShape(many=True)
    not_compared = serializers.IntegerField(help_text="Monitors left out of the comparison of pairs.")


class ProposalShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    monitor = serializers.IntegerField()
    monitor_name = serializers.CharField()
    kind = serializers.ChoiceField(("retire", "merge"))
    into = serializers.IntegerField(allow_null=True)
    reasons = serializers.ListField(child=serializers.CharField())
    evidence = serializers.DictField()
    state = serializers.ChoiceField(STATES)
    note = serializers.CharField()
    made_at = serializers.DateTimeField()
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)


class ProposalListShape(serializers.Serializer[Any]):
    items = ProposalShape(many=True)


class ProposalBody(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        ("accepted", "refused", "undone"),
        help_text="accepted: the monitor is switched off. refused: it stays. undone: an accepted one is on again.",
    )
    note = serializers.CharField(required=False, allow_blank=True, max_length=retiring.NOTE_MAX)
