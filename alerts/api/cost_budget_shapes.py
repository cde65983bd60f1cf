"""The shapes of cost budgets in REST: definitions, stands, burn-downs, and what a check answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts.allowances.definition import NAME_MAX, STEPS_MAX, SUBJECT_MAX, TELL_MAX, USING_MAX
from alerts.allowances.types import Do, Of, Period
from telltale.rest.shapes import page_of

OFS, PERIODS, DOS = ([str(each) for each in kind] for kind in (Of, Period, Do))


class CostBudgetStepShape(serializers.Serializer[Any]):
    at = serializers.FloatField(
        min_value=0.01, max_value=10, help_text="Share of the limit from which on it holds; 1 is all of it."
    )
    do = serializers.ChoiceField(DOS)
    # A field cannot be called so in Python.
    locals()["with"] = serializers.CharField(
        required=False, allow_blank=True, max_length=USING_MAX, help_text="The model, the tokens of context."
    )


class CostBudgetBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_MAX)
    of = serializers.ChoiceField(OFS)
    subject = serializers.CharField(
        required=False, allow_blank=True, max_length=SUBJECT_MAX, trim_whitespace=False,
        help_text="One feature or user; empty: each on its own. Of a project always empty.",
    )  # fmt: skip
    period = serializers.ChoiceField(PERIODS, required=False, help_text="In the project's zone; `month` if absent.")
    limit_usd = serializers.CharField(help_text="Decimal text, exact.")
    tell_at = serializers.ListField(
        child=serializers.FloatField(min_value=0.01, max_value=10), required=False, max_length=TELL_MAX,
        help_text="Shares of the limit that people are told of; [0.5, 0.8, 1] where it is absent.",
    )  # fmt: skip
    policy = serializers.ListField(child=CostBudgetStepShape(), required=False, max_length=STEPS_MAX)
    severity = serializers.IntegerField(required=False, min_value=0, max_value=3)
    is_on = serializers.BooleanField(required=False)


class CostBudgetChange(CostBudgetBody):
    name = serializers.CharField(required=False, max_length=NAME_MAX)
    of = serializers.ChoiceField(OFS, required=False)
    limit_usd = serializers.CharField(required=False, help_text="Decimal text, exact.")
    of_version = serializers.IntegerField(required=False, help_text="409 where another version is in force.")
    is_archived = serializers.BooleanField(required=False, help_text="false: take it back.")


class CostBudgetStandShape(serializers.Serializer[Any]):
    subject = serializers.CharField(help_text="The feature or user; empty: the project.")
    start = serializers.DateTimeField()
    end = serializers.DateTimeField(help_text="When it begins at nothing again.")
    spent_usd = serializers.CharField(help_text="Exact; at least this where calls lack a price.")
    remaining_usd = serializers.CharField(help_text="0 at least.")
    share = serializers.FloatField(help_text="Of the limit.")
    over = serializers.BooleanField()
    over_at = serializers.DateTimeField(allow_null=True, help_text="When it was first seen to be over.")
    requests = serializers.IntegerField()
    unpriced_calls = serializers.IntegerField(help_text="Calls whose cost nobody knows.")
    upper_bound_calls = serializers.IntegerField(help_text="Calls that cost at most what was added.")
    told_at_share = serializers.FloatField(help_text="The highest share that people were told of; 0: none.")
    forecast_usd = serializers.CharField(allow_null=True, help_text="At its end; null: too little data, or each user.")
    forecast_low_usd = serializers.CharField(allow_null=True, help_text="Of the 80 % interval.")
    forecast_high_usd = serializers.CharField(allow_null=True)
    as_of = serializers.DateTimeField(help_text="Everything that came until then is in the sum.")


CostBudgetStandPage = page_of(CostBudgetStandShape, "CostBudgetStandPage")


class CostBudgetShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    of = serializers.ChoiceField(OFS)
    subject = serializers.CharField()
    period = serializers.ChoiceField(PERIODS)
    limit_usd = serializers.CharField()
    tell_at = serializers.ListField(child=serializers.FloatField())
    policy = serializers.ListField(child=CostBudgetStepShape())
    severity = serializers.IntegerField(min_value=0, max_value=3)
    is_on = serializers.BooleanField()
    version = serializers.IntegerField(help_text="Grows with each change.")
    dearest = CostBudgetStandShape(
        allow_null=True, help_text="Of the current period, who spent most. Null: nothing is added up yet."
    )
    over = serializers.IntegerField(help_text="Features or users that are over in the current period, as far as known.")
    as_of = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)


CostBudgetPage = page_of(CostBudgetShape, "CostBudgetPage")


class CostBudgetPieceShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    spent_usd = serializers.CharField()
    requests = serializers.IntegerField()
    total_usd = serializers.CharField(help_text="Since the period began.")
    remaining_usd = serializers.CharField(help_text="Negative: over.")


class CostBudgetAheadShape(serializers.Serializer[Any]):
    day = serializers.DateField()
    total_usd = serializers.CharField(help_text="Expected at the end of that day.")
    low_usd = serializers.CharField()
    high_usd = serializers.CharField()


class CostBudgetBurnShape(serializers.Serializer[Any]):
    subject = serializers.CharField()
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    limit_usd = serializers.CharField()
    items = CostBudgetPieceShape(many=True, help_text="Days of a month, hours of a day; of a user whole days alone.")
    forecast_usd = serializers.CharField(allow_null=True, help_text="Null: too little data; `n` of `needed` days.")
    low_usd = serializers.CharField(allow_null=True)
    high_usd = serializers.CharField(allow_null=True)
    level = serializers.FloatField(help_text="Of the interval.")
    n = serializers.IntegerField(help_text="Whole days learned from.")
    needed = serializers.IntegerField()
    ahead = CostBudgetAheadShape(many=True)
    runs_out = serializers.DateField(allow_null=True, help_text="The day on which it is expected to be spent.")
    runs_out_earliest = serializers.DateField(allow_null=True)
    runs_out_latest = serializers.DateField(allow_null=True)


class CostBudgetHoldsShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    of = serializers.ChoiceField(OFS)
    subject = serializers.CharField(help_text="The feature or user that was asked about; empty: the project.")
    period = serializers.ChoiceField(PERIODS)
    limit_usd = serializers.CharField()
    spent_usd = serializers.CharField(allow_null=True, help_text="Null: nobody knows yet, which is not 0.")
    remaining_usd = serializers.CharField(allow_null=True, help_text="0 at least.")
    share = serializers.FloatField(allow_null=True)
    over = serializers.BooleanField(allow_null=True)
    is_at_least = serializers.BooleanField(help_text="Some calls lack a price: more is spent than the sum says.")
    unpriced_calls = serializers.IntegerField()
    advice = serializers.ChoiceField(DOS, allow_null=True)
    locals()["with"] = serializers.CharField(allow_null=True)
    resets_at = serializers.DateTimeField()
    as_of = serializers.DateTimeField(allow_null=True)


class CostBudgetCheckShape(serializers.Serializer[Any]):
    allowed = serializers.BooleanField(help_text="False only where a policy says to refuse. Unknown is allowed.")
    over = serializers.BooleanField(allow_null=True, help_text="Whether any budget is spent; null: nobody knows.")
    advice = serializers.ChoiceField(
        DOS, allow_null=True, help_text="The strictest of all budgets that hold; null: go on as always."
    )
    locals()["with"] = serializers.CharField(allow_null=True, help_text="What it names, such as a model.")
    budget = CostBudgetHoldsShape(
        allow_null=True, help_text="The one that decides, else the one nearest to its limit; null: none holds."
    )
    budgets = CostBudgetHoldsShape(many=True, help_text="All that hold.")
    as_of = serializers.DateTimeField(
        allow_null=True, help_text="Everything that came until then is in all sums; null: no budget, or unknown."
    )
    is_stale = serializers.BooleanField(help_text="The sums are older than five minutes, or some are unknown.")
