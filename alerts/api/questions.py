"""REST: the questions a team asks, what its monitors earned, and proposals to retire some."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from alerts import asking, retiring
from alerts.api import question_shapes as said
from alerts.api.views import MonitorView, problem_of
from alerts.questions.presets import APPLICATIONS
from alerts.read.questions import QuestionRow, list_questions, shipped
from alerts.read.worth import STATES, ProposalRow, get_proposal, get_report, get_worths, list_proposals
from telltale.lib.faults import ItemRefused
from telltale.rest import form, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import bad_field, not_found

QUESTION = OpenApiParameter("question", OpenApiTypes.STR, OpenApiParameter.PATH, description="The question's id.")
PROPOSAL = OpenApiParameter("proposal", OpenApiTypes.STR, OpenApiParameter.PATH, description="The proposal's id.")
_TAG = "Questions"
_METRIC = tuple(said.MetricWorthShape().get_fields())


@contextmanager
def told() -> Iterator[None]:
    """Raise what is refused as the problem a caller can mend."""
    try:
        yield
    except ItemRefused as refused:
        raise problem_of(refused) from None
    except (asking.NotThere, retiring.NotThere):
        raise not_found() from None


class QuestionView(MonitorView):
    @property
    def by(self) -> dict[str, Any]:
        """Who acts, as every act takes it."""
        return {"request": self.http, "actor": self.actor}

    def question(self, raw: str) -> QuestionRow:
        """The question that an address names; 404."""
        key = params.row_id(raw)
        found = next((each for each in list_questions(self.project.pk) if each.id == key), None)
        if found is None:
            raise not_found()
        return found


class QuestionsView(QuestionView):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe(
        "List questions", said.QuestionListShape, tag=_TAG,
        detail="In the team's order. Where none is written, the shipped ones, without monitors.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        written = list_questions(self.project.pk)
        items = written or shipped({})
        return Response({"is_written": bool(written), "items": [question_json(each) for each in items]})

    @shapes.describe(
        "Write a question", said.QuestionShape, tag=_TAG, body=said.QuestionBody, status=201,
        detail="`text` and `pillar` are needed.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        body = checked(said.QuestionBody, request)
        with told():
            key = asking.create(self.project, body, by_id=self.person_id, **self.by)
        return Response(question_json(self.question(str(key))), status=201)


class OneQuestionView(QuestionView):
    acts = {"GET": "read", "PATCH": "measure", "DELETE": "measure"}

    @shapes.describe("One question", said.QuestionShape, tag=_TAG, path=(QUESTION,))
    def get(self, request: Request, question: str) -> Response:
        return Response(question_json(self.question(question)))

    @shapes.describe(
        "Change a question", said.QuestionShape, tag=_TAG, path=(QUESTION,), body=said.QuestionBody,
        detail="What is given; `monitors` takes the place of all before.",
    )  # fmt: skip
    def patch(self, request: Request, question: str) -> Response:
        held = self.question(question)
        body = checked(said.QuestionBody, request)
        with told():
            asking.change(self.project, held.id or 0, body, **self.by)
        return Response(question_json(self.question(question)))

    @shapes.describe("Put a question away", None, tag=_TAG, path=(QUESTION,), status=204, detail="Its monitors stay.")
    def delete(self, request: Request, question: str) -> Response:
        held = self.question(question)
        with told():
            asking.archive(self.project, held.id or 0, **self.by)
        return Response(status=204)


class QuestionMoveView(QuestionView):
    acts = {"POST": "measure"}

    @shapes.describe(
        "Move a question one place", said.QuestionListShape, tag=_TAG, path=(QUESTION,), body=said.QuestionMoveBody
    )
    def post(self, request: Request, question: str) -> Response:
        held = self.question(question)
        body = checked(said.QuestionMoveBody, request)
        with told():
            asking.move(self.project, held.id or 0, up=body["up"], **self.by)
        items = [question_json(each) for each in list_questions(self.project.pk)]
        return Response({"is_written": True, "items": items})


class QuestionSetsView(QuestionView):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe("Questions to begin with", said.QuestionSetsShape, tag=_TAG, detail="By kind of application.")
    def get(self, request: Request) -> Response:
        items = [
            {
                "slug": each.slug, "name": each.name, "why": each.why,
                "questions": [
                    {"text": one.text, "pillar": one.pillar.value, "decision": one.decision,
                     "metrics": list(one.metrics)} for one in each.questions
                ],
            }
            for each in APPLICATIONS
        ]  # fmt: skip
        return Response({"items": items})

    @shapes.describe(
        "Write the questions of a kind of application", said.QuestionListShape, tag=_TAG, body=said.QuestionSetBody,
        status=201, detail="Those written already are left out; each is bound to monitors that watch its metrics.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        body = checked(said.QuestionSetBody, request)
        with told():
            asking.begin_with(self.project, body["application"], by_id=self.person_id, **self.by)
        items = [question_json(each) for each in list_questions(self.project.pk)]
        return Response({"is_written": True, "items": items}, status=201)


class WorthsView(QuestionView):
    acts = {"GET": "read", "PUT": "measure"}

    @shapes.describe("What incidents and pages are worth", said.WorthsShape, tag=_TAG)
    def get(self, request: Request) -> Response:
        return Response(self.answer())

    @shapes.describe("Change what incidents and pages are worth", said.WorthsShape, tag=_TAG, body=said.WorthsBody)
    def put(self, request: Request) -> Response:
        body = checked(said.WorthsBody, request)
        if not body:
            raise bad_field("worth", "or page_cost is required: there is nothing to change")
        with told():
            asking.set_worths(self.project, body, by_id=self.person_id, **self.by)
        return Response(self.answer())

    def answer(self) -> dict[str, Any]:
        """What is in force."""
        held = get_worths(self.project.pk)
        worth = {str(key): value for key, value in held.worth.items()}
        return {"worth": worth, "page_cost": held.page_cost, "is_default": held.is_default}


class ReportView(QuestionView):
    acts = {"GET": "read", "POST": "measure"}

    @shapes.describe(
        "What monitors earned", said.MetricReportShape, tag=_TAG,
        detail="Of the last 90 days, made once a day, or when asked for by POST.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        return Response(self.answer())

    @shapes.describe(
        "Work out anew what monitors earned", said.MetricReportShape, tag=_TAG, status=202,
        detail="It is made within a minute; `state` says when.",
    )  # fmt: skip
    def post(self, request: Request) -> Response:
        asking.ask_report(self.project)
        return Response(self.answer(), status=202)

    def answer(self) -> dict[str, Any]:
        """The last report."""
        held = get_report(self.project.pk)
        body = held.body if held else {}
        return {
            "state": held.state if held else "none",
            "error": held.error if held else "",
            "made_at": form.moment(held.made_at) if held else None,
            "days": body.get("days"),
            "incidents": body.get("incidents"),
            "metrics": [{name: line[name] for name in _METRIC} for line in body.get("metrics", [])],
            "cover": [
                {"monitor": int(one["name"]), "name": one["title"], "adds": one["adds"], "net": one["net"],
                 "covered": one["covered"]} for one in body.get("cover", [])
            ],
            "core": body.get("core", []),
            "alike": [
                {"metric": int(one["metric"]), "other": int(one["other"]), "rho": one["rho"],
                 "windows": one["windows"]} for one in body.get("alike", [])
            ],
            "not_compared": body.get("not_compared", 0),
        }  # fmt: skip


class ProposalsView(QuestionView):
    query = {"GET": ("state",)}

    @shapes.describe(
        "List proposals about monitors", said.ProposalListShape, tag=_TAG, detail="The newest 200, newest first.",
        query=(OpenApiParameter("state", OpenApiTypes.STR, enum=STATES),),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        state = params.choice(request.query_params, "state", STATES)
        rows = list_proposals(self.project.pk, states=(state,) if state else ())
        return Response({"items": [proposal_json(row) for row in rows]})


class OneProposalView(QuestionView):
    acts = {"GET": "read", "PATCH": "measure"}

    @shapes.describe("One proposal", said.ProposalShape, tag=_TAG, path=(PROPOSAL,))
    def get(self, request: Request, proposal: str) -> Response:
        return Response(proposal_json(self._proposal(proposal)))

    @shapes.describe("Decide a proposal", said.ProposalShape, tag=_TAG, path=(PROPOSAL,), body=said.ProposalBody)
    def patch(self, request: Request, proposal: str) -> Response:
        held = self._proposal(proposal)
        body = checked(said.ProposalBody, request)
        act: Callable[..., None] = {
            "accepted": retiring.accept, "refused": retiring.refuse, "undone": retiring.undo
        }[body["state"]]  # fmt: skip
        with told():
            act(self.project, held.id, body.get("note", ""), by_id=self.person_id, **self.by)
        return Response(proposal_json(self._proposal(proposal)))

    def _proposal(self, raw: str) -> ProposalRow:
        found = get_proposal(self.project.pk, params.row_id(raw))
        if found is None:
            raise not_found()
        return found


def question_json(row: QuestionRow) -> dict[str, Any]:
    """One question."""
    return {
        "id": row.id, "text": row.text, "pillar": row.pillar.value, "decision": row.decision,
        "monitors": list(row.monitor_ids),
    }  # fmt: skip


def proposal_json(row: ProposalRow) -> dict[str, Any]:
    """One proposal."""
    return {
        "id": row.id,
        "monitor": row.monitor_id,
        "monitor_name": row.monitor_name,
        "kind": row.kind,
        "into": row.into_id,
        "reasons": list(row.reasons),
        "evidence": dict(row.evidence),
        "state": row.state,
        "note": row.note,
        "made_at": form.moment(row.made_at),
        "decided_by": row.decided_by or None,
        "decided_at": form.moment(row.decided_at),
    }
