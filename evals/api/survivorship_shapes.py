"""Shapes of the survivorship check in answers, and how its figures become them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from evals.read.survivorship import Units
from evals.read.survivorship_kept import METHODS, Day, Judging
from evals.read.survivorship_sessions import Silent
from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import Anchor, Bounds, Calibrated, NotIdentified, StratumCoverage, Weighted
from evals.surviving import Anchoring, JudgeScores, Look, Survivorship
from evals.surviving.looking import DELTAS
from evals.surviving.rules import RULES
from telltale.rest import form
from traces.behaviour.types import Stratum

COLOURS = ("red", "amber", "green", "grey")


class SurvivorshipEstimateShape(serializers.Serializer[Any]):
    value = serializers.FloatField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    level = serializers.FloatField(help_text="Of the interval: 0.95.")
    n = serializers.IntegerField()
    n_eff = serializers.FloatField(help_text="How many equally weighted ones it is worth.")
    method = serializers.CharField()


class SurvivorshipTooLittleShape(serializers.Serializer[Any]):
    have = serializers.IntegerField()
    need = serializers.IntegerField()
    what = serializers.CharField()


class SurvivorshipBoundsShape(serializers.Serializer[Any]):
    low = serializers.FloatField(help_text="The worst case of the sessions seen.")
    high = serializers.FloatField()
    limit_low = serializers.FloatField(help_text="With chance: Imbens and Manski's interval.")
    limit_high = serializers.FloatField()
    level = serializers.FloatField()
    n = serializers.IntegerField()
    assumption = serializers.CharField()


class SurvivorshipWeightedShape(SurvivorshipEstimateShape):
    capped_at = serializers.FloatField(help_text="The largest weight: so many sessions one vote stands for.")
    capped = serializers.IntegerField(help_text="Votes whose weight was cut to that, the 99th percentile.")
    uncovered = serializers.FloatField(help_text="Share of sessions in groups without a vote, not spoken of.")


class SurvivorshipAnchorShape(serializers.Serializer[Any]):
    value = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    level = serializers.FloatField()
    reviews = serializers.IntegerField()
    judged = serializers.IntegerField(help_text="Sessions that the judge scored beside; 0: reviews alone.")
    n_eff = serializers.FloatField()
    method = serializers.CharField()
    reviews_to_ten_points = serializers.IntegerField(help_text="About how many more bring it within 10 points.")


class SurvivorshipLackingShape(serializers.Serializer[Any]):
    group = serializers.CharField()
    share = serializers.FloatField()
    votes = serializers.IntegerField()


class SurvivorshipCountsShape(serializers.Serializer[Any]):
    sessions = serializers.IntegerField(help_text="Closed, with an answer: what every rate is of.")
    up = serializers.IntegerField()
    down = serializers.IntegerField()
    silent = serializers.IntegerField()


class SurvivorshipLeftOutShape(serializers.Serializer[Any]):
    open = serializers.IntegerField(help_text="Not over yet.")
    open_votes = serializers.IntegerField()
    unanswered = serializers.IntegerField(help_text="Closed, and nothing in them was ever answered.")
    unanswered_votes = serializers.IntegerField()
    without_session = serializers.IntegerField(help_text="Traces that name no session.")
    without_session_votes = serializers.IntegerField()
    without_session_counts = serializers.BooleanField(help_text="Whether they are in the figures.")


class SurvivorshipVerdictShape(serializers.Serializer[Any]):
    colour = serializers.ChoiceField(COLOURS)
    rule = serializers.ChoiceField(sorted(RULES))
    rule_words = serializers.CharField()
    tolerance = serializers.FloatField()
    headline = serializers.CharField()
    reason = serializers.CharField()
    bounds_words = serializers.CharField(allow_null=True)
    who_votes = serializers.CharField(allow_null=True)
    missing = serializers.CharField(allow_null=True, help_text="What would let more be said.")
    notes = serializers.ListField(child=serializers.CharField())
    deciding = serializers.DictField(child=serializers.FloatField(), help_text="The numbers that decided.")
    reviews_needed = serializers.IntegerField(allow_null=True)


class SurvivorshipFigureShape(serializers.Serializer[Any]):
    feature = serializers.CharField(allow_null=True, help_text="Null: all together; empty: none was told.")
    verdict = SurvivorshipVerdictShape()
    counts = SurvivorshipCountsShape()
    left_out = SurvivorshipLeftOutShape()
    coverage = SurvivorshipEstimateShape(allow_null=True)
    votes = SurvivorshipEstimateShape(
        allow_null=True, help_text="Ups of all votes; below 30 votes no rate to go by. Null: nobody voted, unknown."
    )
    adjusted = SurvivorshipEstimateShape(allow_null=True, help_text="The votes re-weighted to all sessions.")
    adjusted_lacks = SurvivorshipLackingShape(
        many=True, help_text="Groups of over 2 % of sessions with fewer than 5 votes: why there is no adjusted rate."
    )
    weighted = SurvivorshipWeightedShape(
        allow_null=True, help_text="Votes weighted by how seldom such a session votes. Null: fewer than 200 votes."
    )
    anchor = SurvivorshipAnchorShape(allow_null=True)
    anchor_too_little = SurvivorshipTooLittleShape(allow_null=True)
    behaviour_bounds = SurvivorshipBoundsShape(allow_null=True)
    bounds = SurvivorshipBoundsShape(allow_null=True, help_text="No assumptions: silent users could be anything.")
    gap = serializers.FloatField(
        allow_null=True, help_text="Votes' rate less the anchor, or else less the adjusted rate."
    )
    seed = serializers.IntegerField(help_text="Of the bootstrap.")


class SurvivorshipGroupShape(serializers.Serializer[Any]):
    group = serializers.CharField(help_text="What the session did; the list of sessions filters by `behaviour`.")
    sessions = serializers.IntegerField()
    share = serializers.FloatField()
    up = serializers.IntegerField()
    down = serializers.IntegerField()
    silent = serializers.IntegerField()
    coverage = SurvivorshipEstimateShape(allow_null=True)
    share_of_votes = serializers.FloatField(allow_null=True)
    rate = SurvivorshipEstimateShape(allow_null=True, help_text="Ups of its votes.")
    times_as_often = serializers.FloatField(allow_null=True, help_text="Its coverage over that of all others.")
    times_low = serializers.FloatField(allow_null=True)
    times_high = serializers.FloatField(allow_null=True)
    p = serializers.FloatField(allow_null=True, help_text="That it votes as often as the others, two-sided.")
    judge_score_silent = SurvivorshipEstimateShape(
        allow_null=True, help_text="The judge's own mean of silent sessions: uncorrected. From 20 scores on."
    )


class SurvivorshipStepShape(serializers.Serializer[Any]):
    delta = serializers.FloatField()
    estimate = SurvivorshipEstimateShape()


class SurvivorshipSettingsShape(serializers.Serializer[Any]):
    method = serializers.ChoiceField(METHODS)
    judge = serializers.CharField(allow_null=True)
    criterion = serializers.CharField(allow_null=True)
    at_least = serializers.FloatField(allow_null=True, help_text="Satisfied from this score on.")
    tolerance = serializers.FloatField(help_text="By how much the truth may lie below the votes.")
    is_default = serializers.BooleanField(help_text="Nobody chose: found by name.")
    words = serializers.CharField()


class SurvivorshipChoiceShape(serializers.Serializer[Any]):
    judge = serializers.CharField()
    criterion = serializers.CharField()
    title = serializers.CharField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    suggested = serializers.FloatField()


class SurvivorshipSettingsAnswerShape(serializers.Serializer[Any]):
    settings = SurvivorshipSettingsShape()
    lost = serializers.CharField(help_text="Why what was chosen is no anchor any more; empty where it is one.")
    criteria = SurvivorshipChoiceShape(many=True, help_text="What may be chosen.")


class SurvivorshipSettingsBody(serializers.Serializer[Any]):
    """What is left out stays."""

    method = serializers.CharField(required=False, max_length=20, help_text="judge, reviews or none.")
    judge = serializers.CharField(required=False, max_length=60)
    criterion = serializers.CharField(required=False, max_length=100)
    at_least = serializers.FloatField(required=False, allow_null=True, help_text="Null: three quarters up the scale.")
    tolerance = serializers.FloatField(required=False, min_value=0.0, max_value=0.5)


class SurvivorshipDefinitionsShape(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="0: as shipped.")
    is_running = serializers.BooleanField(help_text="Sessions are being counted anew by it.")
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)


class SurvivorshipShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField(help_text="Of the effective window: whole hours.")
    end = serializers.DateTimeField()
    whole = SurvivorshipFigureShape(help_text="Of the feature asked about, or all together.")
    groups = SurvivorshipGroupShape(many=True)
    features = SurvivorshipFigureShape(many=True)
    features_hidden = serializers.IntegerField(help_text="More features than are listed.")
    sensitivity = SurvivorshipStepShape(
        many=True,
        allow_null=True,
        help_text="The adjusted rate if silent users are satisfied `delta` less than voters who did alike.",
    )
    judge_silent = SurvivorshipEstimateShape(allow_null=True, help_text="The judge's mean of silent sessions.")
    judge_voters = SurvivorshipEstimateShape(allow_null=True)
    judge_apart = SurvivorshipEstimateShape(allow_null=True, help_text="Silent minus voters.")
    judged_since = serializers.DateTimeField(
        allow_null=True, help_text="There were more scores than are looked at: those since then are."
    )
    anchor_settings = SurvivorshipSettingsShape()
    definitions = SurvivorshipDefinitionsShape()


class SurvivorshipDayFigureShape(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class SurvivorshipDayShape(serializers.Serializer[Any]):
    day = serializers.DateField(help_text="In the project's time zone; the window are the 28 days up to its end.")
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    colour = serializers.ChoiceField(COLOURS)
    rule = serializers.ChoiceField(sorted(RULES))
    sessions = serializers.IntegerField()
    up = serializers.IntegerField()
    down = serializers.IntegerField()
    votes = SurvivorshipDayFigureShape(allow_null=True)
    coverage = SurvivorshipDayFigureShape(allow_null=True)
    adjusted = SurvivorshipDayFigureShape(allow_null=True)
    anchor = SurvivorshipDayFigureShape(allow_null=True)
    bounds = SurvivorshipDayFigureShape(allow_null=True)
    gap = serializers.FloatField(allow_null=True)
    definition = serializers.IntegerField(help_text="Version of the definitions it was made by.")
    revision = serializers.IntegerField(help_text="Grows where late votes, sessions or reviews change it.")
    computed_at = serializers.DateTimeField()


class SurvivorshipHistoryShape(serializers.Serializer[Any]):
    feature = serializers.CharField(allow_null=True)
    items = SurvivorshipDayShape(many=True, help_text="Oldest first.")


class SilentSessionShape(serializers.Serializer[Any]):
    session_id = serializers.CharField(allow_null=True)
    last_trace_id = serializers.CharField(allow_null=True)
    feature = serializers.CharField()
    first_at = serializers.DateTimeField()
    turns = serializers.IntegerField()
    answers = serializers.IntegerField()
    length_seconds = serializers.FloatField(allow_null=True)
    asked = serializers.CharField(allow_null=True, help_text="What was asked first, as lists show it.")
    answered = serializers.CharField(allow_null=True)


class SilentSessionsShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    seed = serializers.IntegerField(help_text="The same seed draws the same sessions, while they are the same.")
    items = SilentSessionShape(many=True)


def estimate(found: object) -> dict[str, Any] | None:
    """An estimate, or None where there is none."""
    if isinstance(found, Calibrated):
        found = found.estimate
    if not isinstance(found, Estimate):
        return None
    return {name: getattr(found, name) for name in ("value", "low", "high", "level", "n", "n_eff", "method")}


def bounds(found: object) -> dict[str, Any] | None:
    """Bounds, or None where there are none."""
    if not isinstance(found, Bounds):
        return None
    names = ("low", "high", "limit_low", "limit_high", "level", "n", "assumption")
    return {name: getattr(found, name) for name in names}


def weighted(found: object) -> dict[str, Any] | None:
    """Weighted votes, or None where there are too few."""
    if not isinstance(found, Weighted):
        return None
    told = {"capped_at": found.capped_at, "capped": found.capped, "uncovered": found.uncovered}
    return (estimate(found.estimate) or {}) | told


def anchor(found: object) -> dict[str, Any] | None:
    """An anchor, or None where there is none."""
    if not isinstance(found, Anchor):
        return None
    return {
        "value": found.estimate,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "reviews": found.n,
        "judged": found.judged,
        "n_eff": found.n_eff,
        "method": found.method,
        "reviews_to_ten_points": found.reviews_to_ten,
    }


def figure(found: Look) -> dict[str, Any]:
    """The check of one feature, or of all."""
    lacks = found.calibrated.strata if isinstance(found.calibrated, NotIdentified) else ()
    short = found.anchor if isinstance(found.anchor, TooLittle) else None
    total = found.counts.total
    return {
        "feature": found.feature,
        "verdict": verdict(found),
        "counts": {"sessions": total.n, "up": total.up, "down": total.down, "silent": total.silent},
        "left_out": left_out(found.units, found.has_lone),
        "coverage": estimate(found.verdict.coverage),
        "votes": estimate(found.verdict.votes),
        "adjusted": estimate(found.calibrated),
        "adjusted_lacks": [{"group": name(row.stratum), "share": row.share, "votes": row.votes} for row in lacks],
        "weighted": weighted(found.weighted),
        "anchor": anchor(found.anchor),
        "anchor_too_little": None if short is None else {"have": short.have, "need": short.need, "what": short.what},
        "behaviour_bounds": bounds(found.behaviour),
        "bounds": bounds(found.verdict.bounds),
        "gap": found.gap,
        "seed": found.seed,
    }


def verdict(found: Look) -> dict[str, Any]:
    """The verdict with its words."""
    said, told = found.words, found.verdict
    return {
        "colour": told.colour,
        "rule": told.rule,
        "rule_words": RULES[told.rule],
        "tolerance": told.tolerance,
        "headline": said.headline,
        "reason": said.reason,
        "bounds_words": said.bounds,
        "who_votes": said.who,
        "missing": said.missing,
        "notes": list(said.notes),
        "deciding": dict(told.deciding),
        "reviews_needed": told.reviews_needed,
    }


def left_out(units: Units, has_lone: bool) -> dict[str, Any]:
    """What is in no rate."""
    return {
        "open": units.open,
        "open_votes": units.open_votes,
        "unanswered": units.unanswered,
        "unanswered_votes": units.unanswered_votes,
        "without_session": units.lone.n,
        "without_session_votes": units.lone.total.votes,
        "without_session_counts": has_lone,
    }


def groups(found: Look, scores: JudgeScores | None) -> list[dict[str, Any]]:
    """Who votes and who does not."""
    votes = found.counts.total.votes
    rows = []
    for stratum, cell in found.counts.by_stratum.items():
        own = found.verdict.strata.get(stratum)
        known = own if isinstance(own, StratumCoverage) else None
        rows.append(
            {
                "group": name(stratum),
                "sessions": cell.n,
                "share": cell.n / found.counts.n,
                "up": cell.up,
                "down": cell.down,
                "silent": cell.silent,
                "coverage": estimate(known.coverage) if known else None,
                "share_of_votes": cell.votes / votes if votes else None,
                "rate": estimate(known.rate) if known else None,
                "times_as_often": known.ratio if known else None,
                "times_low": known.ratio_low if known else None,
                "times_high": known.ratio_high if known else None,
                "p": known.p if known else None,
                "judge_score_silent": estimate(scores.silent.get(stratum)) if scores else None,
            }
        )
    return rows


def name(stratum: Stratum) -> str:
    """A group as addresses name it."""
    return stratum.name.lower()


def whole(found: Survivorship, definitions: Mapping[str, Any]) -> dict[str, Any]:
    """All that the page shows."""
    scores, line = found.scores, found.line
    return {
        "start": form.moment(found.start),
        "end": form.moment(found.end),
        "whole": figure(found.whole),
        "groups": groups(found.whole, scores),
        "features": [figure(each) for each in found.features],
        "features_hidden": found.hidden,
        "sensitivity": None
        if isinstance(line, NotIdentified | TooLittle)
        else [{"delta": delta, "estimate": estimate(each)} for delta, each in zip(DELTAS, line, strict=True)],
        "judge_silent": estimate(scores.all_silent) if scores else None,
        "judge_voters": estimate(scores.voters) if scores else None,
        "judge_apart": estimate(scores.apart) if scores else None,
        "judged_since": form.moment(found.sample.judged_since),
        "anchor_settings": settings(found.anchoring),
        "definitions": dict(definitions),
    }


def settings(found: Anchoring) -> dict[str, Any]:
    """What counts as satisfied."""
    return found.told() | {"is_default": found.is_default, "words": found.words}


def settings_answer(found: Anchoring) -> dict[str, Any]:
    """What counts as satisfied, and what may be chosen."""
    return {"settings": settings(found), "lost": found.lost, "criteria": [choice(each) for each in found.known]}


def choice(found: Judging) -> dict[str, Any]:
    """A criterion that may be chosen."""
    return {
        "judge": found.judge_slug,
        "criterion": found.criterion.key,
        "title": found.criterion.title,
        "low": found.low,
        "high": found.high,
        "suggested": found.suggested,
    }


def day(found: Day) -> dict[str, Any]:
    """The verdict of one day."""
    told = found.figures
    return {
        "day": found.day.isoformat(),
        "start": told["start"],
        "end": told["end"],
        "colour": found.colour,
        "rule": found.rule,
        "sessions": found.sessions,
        "up": told["up"],
        "down": told["down"],
        "votes": told["votes"],
        "coverage": told["coverage"],
        "adjusted": told["calibrated"],
        "anchor": told["anchor"],
        "bounds": None if told["bounds"] is None else {"value": None} | told["bounds"],
        "gap": told["gap"],
        "definition": found.definition,
        "revision": found.revision,
        "computed_at": form.moment(found.computed_at),
    }


def silent(row: Silent) -> dict[str, Any]:
    """A silent session to be read."""
    return {
        "session_id": row.session_id,
        "last_trace_id": form.hex_trace(row.trace_id),
        "feature": row.feature,
        "first_at": form.moment(row.first_at),
        "turns": row.turns,
        "answers": row.answers,
        "length_seconds": row.length_seconds,
        "asked": row.asked,
        "answered": row.answered,
    }
