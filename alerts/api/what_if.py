"""REST: what real traffic would have cost with another model and a cache, and the same reckoned by hand."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import what_if
from alerts.allowances.by_hand import FIELDS, read_by_hand, reckon
from alerts.allowances.routing import Routed, Share
from alerts.api.cost_budgets import told
from alerts.api.views import MonitorView
from evals.stats.results import Estimate, TooLittle
from telltale.rest import form, params, shapes

_QUERY = ("days", "feature", "model", "share", "difficulty", "hard", "quality", "cache", "kept_hours")
_PARAMETERS = (
    OpenApiParameter("days", OpenApiTypes.INT, enum=what_if.DAYS, description="Whole days before today; 7."),
    OpenApiParameter("feature", OpenApiTypes.STR, description="Of this feature alone."),
    OpenApiParameter("model", OpenApiTypes.STR, description="The model for the easy requests; none: no routing."),
    OpenApiParameter("share", OpenApiTypes.STR, description="How many of them, per cent; 60."),
    OpenApiParameter(
        "difficulty", OpenApiTypes.STR,
        description=f"What tells easy from hard: {', '.join(what_if.PROXIES)}, or `judge/criterion`.",
    ),
    OpenApiParameter("hard", OpenApiTypes.STR, enum=("high", "low"), description="Which scores are the hard ones."),
    OpenApiParameter("quality", OpenApiTypes.STR, description="`judge/criterion` by which the models are compared."),
    OpenApiParameter("cache", OpenApiTypes.STR, enum=what_if.CACHES, description="`exact` where it is absent."),
    OpenApiParameter("kept_hours", OpenApiTypes.INT, enum=what_if.KEPT_HOURS, description="Of an answer; 24."),
)  # fmt: skip


class WhatIfShareShape(serializers.Serializer[Any]):
    value = serializers.FloatField(help_text="A share; of changes, negative is saved.")
    low = serializers.FloatField(allow_null=True, help_text="Of the 95 % interval; null where all was read.")
    high = serializers.FloatField(allow_null=True)


class WhatIfRoutedShape(serializers.Serializer[Any]):
    share = serializers.FloatField(help_text="Of the requests whose difficulty is known, the easiest.")
    n = serializers.IntegerField(help_text="Requests that were looked at.")
    easy = serializers.IntegerField()
    moved = serializers.IntegerField(help_text="Of them those that another model answered.")
    cut = serializers.FloatField(allow_null=True, help_text="The difficulty of the hardest of the easy ones.")
    before_usd = serializers.CharField(help_text="Of the requests that were looked at.")
    after_usd = serializers.CharField()
    change = WhatIfShareShape(allow_null=True, help_text="Of the bill.")
    unknown_difficulty = serializers.IntegerField()
    unpriceable = serializers.IntegerField(help_text="Easy ones that use tokens which the model has no rate for.")


class WhatIfMeanShape(serializers.Serializer[Any]):
    n = serializers.IntegerField()
    needed = serializers.IntegerField(allow_null=True, help_text="Null: there are enough.")
    mean = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)


class WhatIfQualityShape(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    of_model = WhatIfMeanShape(help_text="Scores of easy requests that the model answered already.")
    of_others = WhatIfMeanShape()
    difference = WhatIfMeanShape(allow_null=True, help_text="Null: nobody knows.")


class WhatIfCachedShape(serializers.Serializer[Any]):
    n = serializers.IntegerField()
    hits = serializers.IntegerField()
    since = serializers.DateTimeField()
    is_complete = serializers.BooleanField()
    hit_share = WhatIfShareShape(allow_null=True)
    change = WhatIfShareShape(allow_null=True, help_text="Of the bill.")
    later_turns = serializers.IntegerField(help_text="Never answered from a cache: they mean what was said before.")
    not_compared = serializers.IntegerField(help_text="Questions that are empty or longer than what is kept of them.")
    hits_of_unknown_cost = serializers.IntegerField()


class WhatIfModelShape(serializers.Serializer[Any]):
    model = serializers.CharField()
    calls = serializers.IntegerField()
    each_usd = serializers.CharField(allow_null=True, help_text="A priced call, on average.")


class WhatIfShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    days = serializers.IntegerField()
    requests = serializers.IntegerField(help_text="All of them, exact.")
    spent_usd = serializers.CharField(help_text="All of it, exact; at least, where calls have no price.")
    unpriced_calls = serializers.IntegerField()
    day_usd = serializers.CharField(help_text="A mean day, rounded to the micro-dollar.")
    models = WhatIfModelShape(many=True)
    is_complete = serializers.BooleanField(help_text="Every request was looked at, not a sample.")
    left_out = serializers.IntegerField(help_text="Requests with calls whose cost nobody knows.")
    rates_from = serializers.CharField(allow_null=True)
    routed = WhatIfRoutedShape(allow_null=True)
    other_shares = WhatIfRoutedShape(many=True)
    quality = WhatIfQualityShape(allow_null=True)
    cached = WhatIfCachedShape(allow_null=True)
    change = serializers.FloatField(allow_null=True, help_text="Of both, as a share of the bill; negative is saved.")
    then_day_usd = serializers.CharField(allow_null=True, help_text="A mean day with both.")


class ByHandShape(serializers.Serializer[Any]):
    now_usd = serializers.CharField(help_text="A day.")
    routed_each_usd = serializers.CharField()
    routed_usd = serializers.CharField(help_text="A day, routed.")
    cached_usd = serializers.CharField(help_text="A day, routed and cached.")
    routed_change = serializers.CharField(allow_null=True, help_text="A share, exact to 12 digits; negative is saved.")
    cached_change = serializers.CharField(allow_null=True)


class WhatIfView(MonitorView):
    query = {"GET": _QUERY}

    @shapes.describe(
        "What routing and caching would have saved",
        WhatIfShape,
        tag="Cost",
        detail="On the requests of the last days: the easiest share of them with another model at the prices paid, and "
        "repeated questions from a cache. At most 4,000 requests and 10,000 questions are looked at.",
        query=_PARAMETERS,
        problems={503: "Reading it took too long."},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        with told():
            assumed = what_if.read_assumed({name: params.text(query, name) for name in _QUERY})
            found = what_if.ask(self.project, assumed)
        return Response(_json(found))


class ByHandView(MonitorView):
    query = {"GET": tuple(FIELDS)}

    @shapes.describe(
        "Routing and caching reckoned by hand",
        ByHandShape,
        tag="Cost",
        detail="What is left out is as in the worked example: 100,000 requests a day at $0.005, 60 % of them for "
        "$0.0008 and 40 % for $0.015, 40 % from a cache.",
        query=tuple(
            OpenApiParameter(name, OpenApiTypes.STR, description="Per cent." if is_share else "A decimal number.")
            for name, (_, is_share) in FIELDS.items()
        ),
    )
    def get(self, request: Request) -> Response:
        with told():
            found = reckon(read_by_hand({name: params.text(request.query_params, name) for name in FIELDS}))
        return Response(
            {
                "now_usd": _plain(found.now_usd),
                "routed_each_usd": _plain(found.routed_each_usd),
                "routed_usd": _plain(found.routed_usd),
                "cached_usd": _plain(found.cached_usd),
                "routed_change": _plain(found.routed_change, 12),
                "cached_change": _plain(found.cached_change, 12),
            }
        )


def _json(found: what_if.WhatIf) -> dict[str, Any]:
    total = found.total
    then = None if found.change is None else float(found.day_pico) * (1 + found.change)
    return {
        "start": form.moment(found.start),
        "end": form.moment(found.end),
        "days": found.assumed.days,
        "requests": total.n,
        "spent_usd": form.usd(total.cost_pico),
        "unpriced_calls": total.unpriced_count + total.unknown_usage_count + total.partial_count,
        "day_usd": f"{float(found.day_pico) / 1e12:.6f}",
        "models": [
            {"model": each.model, "calls": each.n,
             "each_usd": None if each.each_pico is None else f"{float(each.each_pico) / 1e12:.9f}"}
            for each in found.models
        ],
        "is_complete": found.is_complete,
        "left_out": found.left_out,
        "rates_from": found.rates_from or None,
        "routed": None if found.routed is None else _routed(float(found.assumed.share), found.routed),
        "other_shares": [_routed(float(share), each) for share, each in found.others],
        "quality": None if found.quality is None else {
            "criterion": found.quality.name,
            "of_model": _mean(found.quality.target),
            "of_others": _mean(found.quality.others),
            "difference": None if found.quality.difference is None else _mean(found.quality.difference),
        },
        "cached": None if found.cached is None else _cached(found.cached),
        "change": found.change,
        "then_day_usd": None if then is None else f"{then / 1e12:.6f}",
    }  # fmt: skip


def _routed(share: float, each: Routed) -> dict[str, Any]:
    return {
        "share": share,
        "n": each.n,
        "easy": each.easy,
        "moved": each.moved,
        "cut": each.cut,
        "before_usd": form.usd(each.before_pico),
        "after_usd": form.usd(each.after_pico),
        "change": _share(each.change),
        "unknown_difficulty": each.unknown,
        "unpriceable": each.unpriceable,
    }


def _cached(each: what_if.Cached) -> dict[str, Any]:
    return {
        "n": each.n,
        "hits": each.hits,
        "since": form.moment(each.since),
        "is_complete": each.is_complete,
        "hit_share": _share(each.share),
        "change": _share(each.money),
        "later_turns": each.later,
        "not_compared": each.cut,
        "hits_of_unknown_cost": each.missing,
    }


def _share(each: Share | None) -> dict[str, Any] | None:
    return None if each is None else {"value": each.value, "low": each.low, "high": each.high}


def _mean(told: Estimate | TooLittle) -> dict[str, Any]:
    if isinstance(told, TooLittle):
        return {"n": told.have, "needed": told.need, "mean": None, "low": None, "high": None}
    return {"n": told.n, "needed": None, "mean": told.value, "low": told.low, "high": told.high}


def _plain(value: Any, digits: int | None = None) -> str | None:
    if value is None:
        return None
    text = f"{value:f}" if digits is None else f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
