"""REST: sessions and their turns."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.rest import form, paging, params, shapes
from telltale.rest.problems import not_found
from telltale.rest.views import ProjectView
from traces.api import listing, session_shapes, trace_json
from traces.api.traces import answers
from traces.canonical.content import Message
from traces.canonical.types import BUCKETS
from traces.pages.addresses import read_ids, write_id
from traces.pages.export import FORMATS
from traces.pages.session_columns import did_record
from traces.pages.session_list import export_sessions
from traces.read.asking import asking
from traces.read.session_did import SAMPLE, Did, Tally, did_of_sessions, tally_sessions
from traces.read.session_rows import SessionRow
from traces.read.sessions import (
    DEFAULT_SORT,
    SESSION_FIELDS,
    SESSION_SORTS,
    find_session_id,
    get_session,
    list_sessions,
)
from traces.read.turns import TURNS_PAGE, TurnRow, Words, list_turns, read_words, session_of

FILTERS = listing.filter_names(SESSION_FIELDS)
ID = OpenApiParameter(
    "session",
    OpenApiTypes.STR,
    OpenApiParameter.PATH,
    description="The session's id; one with slashes or other signs as its `address`: ~ and base64url of its UTF-8.",
)


class SessionListView(ProjectView):
    query = {"GET": ("from", "to", "q", "sort", "limit", "cursor", "format", "include", *FILTERS)}

    @shapes.describe(
        "List sessions",
        session_shapes.session_page(),
        tag="Sessions",
        detail="Newest first unless sorted otherwise. The window is about what the list is sorted by: the last "
        "activity for `last_at`, else the start. Repeated keys mean any of them, different keys all of them.",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter("q", OpenApiTypes.STR, description="A session's id, or words in id, user or previews."),
            listing.sort_parameter(SESSION_SORTS),
            shapes.LIMIT,
            shapes.CURSOR,
            listing.FORMAT,
            OpenApiParameter(
                "include", OpenApiTypes.STR, enum=["tally"],
                description=f"How many of the newest {SAMPLE:,} sessions that match did what, and how many voted.",
            ),
            *listing.filter_parameters(SESSION_FIELDS),
        ),
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponseBase:
        query = request.query_params
        wanted, ask = listing.read_filter(query, SESSION_FIELDS), listing.read_ask(query)
        kind, sort = listing.read_format(query), params.text(query, "sort") or DEFAULT_SORT
        wants_tally = params.choice(query, "include", ("tally",)) == "tally"
        with answers():
            only = find_session_id(self.project.pk, wanted.q)
            if kind in FORMATS:
                return export_sessions(self.project, wanted, sort, kind, only, request.method == "HEAD")
            page = list_sessions(self.project.pk, wanted, sort, ask, only)
            did = did_of_sessions(self.project.pk, [row.key for row in page.rows])
            tally = None
            if wants_tally:
                with asking() as cursor:
                    tally = tally_sessions(cursor, self.project.pk, wanted)
        items = [as_json(row, did.get(row.key)) for row in page.rows]
        told = paging.page(request, items, *listing.cursors(page.older, page.newer))
        return Response(told | ({"tally": tally_json(tally)} if tally is not None else {}))


class SessionView(ProjectView):
    @shapes.describe("One session with its sums", session_shapes.SessionShape, tag="Sessions", path=(ID,))
    def get(self, request: Request, session: str) -> Response:
        with answers():
            row = self._find(session)
            return Response(as_json(row, did_of_sessions(self.project.pk, [row.key]).get(row.key)))

    def _find(self, session: str) -> SessionRow:
        with asking() as cursor:
            for session_id in read_ids(session):
                page = list_turns(cursor, self.project.pk, session_id)
                row = session_of(session_id, page, get_session(cursor, self.project.pk, session_id))
                if row is not None:
                    return row
        raise not_found()


class TurnListView(ProjectView):
    query = {"GET": ("limit", "cursor", "include")}

    @shapes.describe(
        "The turns of a session",
        shapes.page_of(session_shapes.TurnShape, "TurnPage"),
        tag="Sessions",
        detail=f"Its traces in order of start. With `include=text` what was said in each too, {TURNS_PAGE} a page.",
        path=(ID,),
        query=(
            shapes.LIMIT,
            shapes.CURSOR,
            OpenApiParameter("include", OpenApiTypes.STR, enum=["text"], description="What else to send."),
        ),
    )
    def get(self, request: Request, session: str) -> Response:
        query = request.query_params
        limit = params.page_size(query)
        wants_text = params.choice(query, "include", ("text",)) == "text"
        if wants_text:
            limit = min(limit, TURNS_PAGE)
        side, place = listing.read_side(query)
        # Turns run forward: the next page is later, where lists call it older.
        after, before = place if side == "before" else "", place if side == "after" else ""
        with answers(), asking() as cursor:
            for session_id in read_ids(session):
                page = list_turns(cursor, self.project.pk, session_id, after=after, before=before, limit=limit)
                if page.turns or get_session(cursor, self.project.pk, session_id) is not None:
                    break
            else:
                raise not_found()
            words = read_words(cursor, self.project.pk, page.turns) if wants_text else {}
        items = [turn_json(n, turn, words.get(turn.trace.trace_id)) for n, turn in enumerate(page.turns, page.first)]
        return Response(paging.page(request, items, *listing.cursors(page.later, page.earlier)))


def tally_json(tally: Tally) -> dict[str, Any]:
    """How many of the newest sessions that match did what."""
    known = {stratum.name.lower(): n for stratum, n in tally.strata.items() if stratum is not None}
    return {
        "sessions": tally.n,
        "is_whole": tally.is_whole,
        "behaviour": known,
        "not_looked_at": tally.strata.get(None, 0),
        "over": tally.closed,
        "voted": tally.voted,
        "up": tally.up,
        "down": tally.down,
    }


def as_json(row: SessionRow, did: Did | None) -> dict[str, Any]:
    """A session with its sums, and what its user did; unknown is null."""
    return {
        "session_id": row.session_id,
        "address": write_id(row.session_id),
        "started_at": form.moment(row.first_started_at),
        "last_at": form.moment(row.last_started_at),
        "ended_at": form.moment(row.ended_at),
        "length_ms": row.length_ms,
        "turns": row.turns,
        "turns_with_errors": row.error_turns,
        "turns_failed": row.failed_turns,
        "turns_removed": row.removed_count,
        "span_count": row.span_count,
        "generation_count": row.generation_count,
        "error_count": row.error_count,
        "tokens": dict(zip(BUCKETS, row.tokens, strict=True)) if row.usage_count else None,
        "input_tokens": row.tokens_in,
        "output_tokens": row.tokens_out,
        "cost": trace_json.cost(row.cost),
        "slowest_ms": row.worst_ms,
        "slowest_trace_id": form.hex_trace(row.worst_trace_id),
        "user_id": row.user_id,
        "user_count": row.user_count,
        "features": list(row.features),
        "models": list(row.models),
        "service": row.service,
        "environment": row.environment,
        "release": row.release,
        "first_question": row.preview_in,
        "last_answer": row.preview_out,
        "summed_at": form.moment(row.refreshed_at),
        "is_behind": row.is_stale,
        **did_record(did),
    }


def turn_json(number: int, turn: TurnRow, words: Words | None) -> dict[str, Any]:
    """One turn, with what was said where that was read."""
    held: dict[str, Any] = {"number": number, "trace": trace_json.trace(turn.trace)}
    if words is not None:
        held["asked"] = _said(words.asked) if words.asked else None
        held["answered"] = [_said(message) for message in words.answered]
        held["is_cut"] = words.is_cut
    return held


def _said(message: Message) -> dict[str, str]:
    return {"role": message.role, "text": message.text()}
