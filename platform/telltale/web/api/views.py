"""REST: the overview of a project, and its inbox."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts.stats.shift import Shift
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey
from telltale.rest import paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field
from telltale.rest.views import ProjectView
from telltale.web.api import shapes as said
from telltale.web.front.cards import Card
from telltale.web.front.view import Overview, overview
from telltale.web.inbox.acting import Actor, act
from telltale.web.inbox.gather import gather
from telltale.web.inbox.items import Asked, chosen, ordered
from telltale.web.inbox.page import OWNERS, page_of, record
from traces.read.cost_values import money_of

WEEK = timedelta(days=7)
_LIST = ("kind", "owner", "severity", "feature", "q", "dismissed", "limit", "cursor")
_PARAMETERS = (
    OpenApiParameter("kind", OpenApiTypes.STR, enum=said.KINDS, many=True, description="Any of these."),
    OpenApiParameter("owner", OpenApiTypes.STR, enum=list(OWNERS), description="Whose; `me` is nobody for a key."),
    OpenApiParameter("severity", {"type": "integer", "minimum": 0, "maximum": 3}, description="P0 to P3."),
    OpenApiParameter("feature", OpenApiTypes.STR, description="Of this feature."),
    OpenApiParameter("q", OpenApiTypes.STR, description="Titles and reasons that hold this text."),
    OpenApiParameter("dismissed", OpenApiTypes.BOOL, description="Those that were put aside, instead."),
    shapes.LIMIT,
    shapes.CURSOR,
)


class OverviewView(ProjectView):
    query = {"GET": ()}

    @shapes.describe(
        "The overview of a project",
        said.OverviewShape,
        tag="Overview",
        detail="Each question with its answer in a sentence, open incidents, recent changes, features, and how far the "
        "figures may be trusted. What took too long to read is null and named in `lacking`.",
    )
    def get(self, request: Request) -> Response:
        now = clock.now()
        return Response(_overview(overview(self.project, self.person, now - WEEK, now, now)))


def _overview(found: Overview) -> dict[str, Any]:
    front = found.front
    traffic = front.traffic
    return {
        "at": front.now,
        "headline": found.headline,
        "engine_stands_since": found.engine.stands_since,
        "answers": [_answer(card) for card in found.cards],
        "incidents": [
            {
                "number": row.number,
                "title": row.title,
                "severity": f"P{row.severity}",
                "state": row.state.value,
                "step": row.step.value,
                "step_due_at": row.step_due_at,
                "is_overdue": row.is_overdue,
                "owner": row.assignee or None,
                "opened_at": row.opened_at,
            }
            for row in front.incidents
        ],
        "waiting": found.waiting,
        "changes": None
        if found.changes is None
        else [
            {
                "id": each.change.id,
                "at": each.change.at,
                "title": each.change.title,
                "feature": each.change.feature or None,
                "author": each.change.author or None,
                "is_suspect": each.is_hot,
            }
            for each in found.changes
        ],
        "features": None
        if traffic is None
        else [
            {
                "feature": use.feature,
                "requests": use.sums.n,
                "errors": use.sums.errors,
                "p95_ms": quantile.value / 1e6 if (quantile := use.durations.quantile(0.95)) is not None else None,
                "cost_usd": None if (usd := money_of(use.sums).usd) is None else f"{usd:f}",
                "unpriced_calls": use.sums.unpriced_count,
            }
            for use in traffic.features
        ],
        "budgets": None
        if found.budgets is None
        else [
            {
                "id": each.id,
                "name": each.name,
                "state": each.state,
                "limit": each.limit,
                "period": each.period,
                "spent": each.spent,
                "subject": each.dearest or None,
                "share": each.share or None,
                "forecast": each.forecast or None,
            }
            for each in found.budgets.lines
        ],
        "health": [
            {"key": each.key, "label": each.label, "value": each.value, "note": each.note, "state": each.state}
            for each in found.strip
        ],
        "lacking": list(found.lacking),
    }


def _answer(card: Card) -> dict[str, Any]:
    lead = card.asked.lead if card.asked is not None else None
    alarm = lead.alarm if lead is not None else None
    size = lead.size if lead is not None and isinstance(lead.size, Shift) else None
    return {
        "question": card.question,
        "question_id": card.asked.question.id if card.asked is not None else None,
        "pillar": card.pillar.value,
        "state": card.said.state,
        "word": card.said.word,
        "is_known": card.said.is_known,
        "sentence": card.said.sentence,
        "detail": card.said.detail,
        "monitors": list(card.monitor_ids),
        "monitor": lead.shown.id if lead is not None else None,
        "alarm": alarm.id if alarm is not None else None,
        "incident": lead.incident if lead is not None else None,
        "since": alarm.window_start if alarm is not None else None,
        "before": size.before if size is not None else None,
        "after": size.after if size is not None else None,
        "change": size.value if size is not None else None,
        "change_low": size.low if size is not None else None,
        "change_high": size.high if size is not None else None,
        "unit": lead.metric.unit if lead is not None and lead.metric is not None else None,
    }


class InboxView(ProjectView):
    acts = {"GET": "read", "POST": "review"}
    query = {"GET": _LIST}

    @shapes.describe(
        "What waits for a person",
        said.InboxPage,
        tag="Inbox",
        detail="Yours first, then nobody's by severity and time left, then what others have. Flagged answers are those "
        "of the last 7 days that no person has judged, at most the newest 200.",
        query=_PARAMETERS,
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        severity = params.integer(query, "severity", -1, 0, 3)
        limit = params.page_size(query)
        position = paging.read_cursor(params.text(query, "cursor"), str)
        asked = Asked(
            kinds=tuple(_any(query, "kind", said.KINDS)),
            owner=params.choice(query, "owner", OWNERS),
            severity=None if severity < 0 else severity,
            feature=params.text(query, "feature"),
            search=params.text(query, "q"),
            dismissed=params.boolean(query, "dismissed") or False,
        )
        items = chosen(ordered(gather(self.project, clock.now()).items, self.person_id), asked, self.person_id)
        page, at = page_of(items, position[0] if position else "", limit)
        following = paging.write_cursor(page[-1].key) if page and at + len(page) < len(items) else None
        return Response(paging.page(request, [record(item) for item in page], following, None))

    @shapes.describe(
        "Do something with items of the inbox",
        said.InboxOutcomeShape,
        tag="Inbox",
        body=said.InboxActBody,
        detail="Each goes to where it belongs: incidents are assigned and acknowledged, flagged answers wait in a "
        "review queue, the rest is put aside for everybody or taken back. What cannot be done spoils no other.",
    )
    def post(self, request: Request) -> Response:
        body = checked(said.InboxActBody, request)
        by = Actor(self.person, self._actor(), self.http)
        try:
            made = act(self.project, body["act"], body["keys"], queue=body.get("queue", ""), by=by, now=clock.now())
        except ItemRefused as refused:
            errors = [FieldError(each.field, each.message, each.limit or None, each.value) for each in refused.faults]
            raise Problem(400, "; ".join(f"{each.field}: {each.message}" for each in errors), *errors) from None
        told = [{"key": key, "reason": why} for key, why in made.refused]
        return Response({"act": made.act, "done": list(made.done), "same": list(made.same), "refused": told})

    def _actor(self) -> str:
        """What the audit log calls a key; "" for a person, whom it knows."""
        holder = self.request.auth
        if not isinstance(holder, KeyHolder):
            return ""
        name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
        return f"API key {name or holder.key_id}"


def _any(query: Any, name: str, accepted: list[str]) -> list[str]:
    """The values of a parameter that may be repeated, each of those accepted; 400."""
    told = params.texts(query, name)
    for value in told:
        if value not in accepted:
            raise bad_field(name, "is not accepted", limit=f"one of {', '.join(accepted)}", value=value)
    return told
