"""REST: comments and labels on traces."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.projects.keys import KeyHolder
from telltale.rest import form, paging, params, shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem, bad_field, not_found
from telltale.rest.views import ProjectView
from traces import notes
from traces.api.traces import TRACE_ID, find_trace
from traces.read import TraceRow
from traces.read.notes import Comment, Label, get_comment, list_comments, list_label_names, list_labels

COMMENT_ID = OpenApiParameter("comment_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The comment's id.")


class CommentShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    span_id = serializers.CharField(allow_null=True, help_text="null: about the whole trace")
    author = serializers.CharField(help_text="As they were called then; a key's name behind “API key”.")
    body = serializers.CharField(help_text="Plain text.")
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)
    is_own = serializers.BooleanField()


class CommentBody(serializers.Serializer[Any]):
    body = serializers.CharField(
        trim_whitespace=True, help_text=f"Plain text, at most {notes.COMMENT_CHARS_MAX} characters."
    )
    span_id = serializers.CharField(
        required=False, allow_null=True, help_text="16 hex digits: about this span of the trace alone."
    )


class CommentChange(serializers.Serializer[Any]):
    body = serializers.CharField(trim_whitespace=True)


class LabelShape(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    author = serializers.CharField()
    created_at = serializers.DateTimeField()


class LabelsShape(serializers.Serializer[Any]):
    items = LabelShape(many=True)


class LabelNamesShape(serializers.Serializer[Any]):
    items = serializers.ListField(child=serializers.CharField())


class LabelBody(serializers.Serializer[Any]):
    label = serializers.CharField(  # type: ignore[assignment]
        help_text=f"At most {notes.LABEL_CHARS_MAX} characters; kept in lower case."
    )


class _NoteView(ProjectView):
    def author(self) -> notes.Author:
        """Who asks, as an author."""
        holder = self.request.auth
        return notes.author_of(self.project, self.person, holder if isinstance(holder, KeyHolder) else None)


class CommentsView(_NoteView):
    acts = {"GET": "read", "POST": "note"}
    query = {"GET": ("limit", "cursor")}

    @shapes.describe(
        "The comments on a trace",
        shapes.page_of(CommentShape, "CommentPage"),
        tag="Traces",
        detail=f"Oldest first, at most {notes.COMMENTS_MAX} a trace. They go when their trace goes.",
        path=(TRACE_ID,),
        query=(shapes.LIMIT, shapes.CURSOR),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        limit = params.page_size(request.query_params)
        position = paging.read_cursor(params.text(request.query_params, "cursor"), str, int)
        if position is not None and position[0] not in {"after", "before"}:
            raise paging.bad_cursor(str(position[0]))
        row, author = find_trace(self, trace_id), self.author()
        found = list_comments(self.project.pk, row.trace_id)
        start = 0
        if position is not None and position[0] == "after":
            start = sum(comment.id <= position[1] for comment in found)
        elif position is not None:
            start = max(sum(comment.id < position[1] for comment in found) - limit, 0)
        chosen = found[start : start + limit]
        after = paging.write_cursor("after", chosen[-1].id) if chosen and start + limit < len(found) else None
        before = paging.write_cursor("before", chosen[0].id) if chosen and start else None
        return Response(paging.page(request, [_comment(each, author) for each in chosen], after, before))

    @shapes.describe("Comment on a trace", CommentShape, tag="Traces", status=201, body=CommentBody, path=(TRACE_ID,))
    def post(self, request: Request, trace_id: str) -> Response:
        row, told = find_trace(self, trace_id), checked(CommentBody, request)
        span_id = None
        if told.get("span_id"):
            span_id = params.span_id(told["span_id"])
            if span_id is None:
                raise bad_field("span_id", "is no span's id", limit="16 hex digits", value=told["span_id"])
        try:
            comment = notes.add_comment(self.project, row, span_id, told["body"], self.author())
        except notes.NoteRefused as refused:
            raise _problem(refused) from None
        except notes.NoteGone:
            raise not_found() from None
        return Response(_comment(comment, self.author()), status=201)


class CommentView(_NoteView):
    acts = {"GET": "read", "PATCH": "note", "DELETE": "note"}

    @shapes.describe("One comment", CommentShape, tag="Traces", path=(TRACE_ID, COMMENT_ID))
    def get(self, request: Request, trace_id: str, comment_id: str) -> Response:
        return Response(_comment(self._find(trace_id, comment_id)[1], self.author()))

    @shapes.describe(
        "Change one's own comment", CommentShape, tag="Traces", body=CommentChange, path=(TRACE_ID, COMMENT_ID)
    )
    def patch(self, request: Request, trace_id: str, comment_id: str) -> Response:
        row, comment = self._find(trace_id, comment_id)
        told = checked(CommentChange, request)
        try:
            changed = notes.edit_comment(self.project, row, comment, told["body"], self.author())
        except notes.NoteRefused as refused:
            raise _problem(refused) from None
        except notes.NoteGone:
            raise not_found() from None
        except PermissionError as error:
            raise Problem(403, str(error)) from None
        return Response(_comment(changed, self.author()))

    @shapes.describe(
        "Remove a comment",
        None,
        tag="Traces",
        status=204,
        path=(TRACE_ID, COMMENT_ID),
        detail="One's own; admins, and keys with the scope admin, remove any, which the audit log keeps.",
    )
    def delete(self, request: Request, trace_id: str, comment_id: str) -> Response:
        row, comment = self._find(trace_id, comment_id)
        try:
            notes.delete_comment(self.project, row, comment, self.author(), request=self.http)
        except notes.NoteGone:
            raise not_found() from None
        except PermissionError as error:
            raise Problem(403, str(error)) from None
        return Response(status=204)

    def _find(self, trace_id: str, comment_id: str) -> tuple[TraceRow, Comment]:
        row = find_trace(self, trace_id)
        comment = get_comment(self.project.pk, row.trace_id, params.row_id(comment_id))
        if comment is None:
            raise not_found()
        return row, comment


class LabelsView(_NoteView):
    acts = {"GET": "read", "POST": "note", "DELETE": "note"}
    query = {"DELETE": ("label",)}

    @shapes.describe(
        "The labels on a trace",
        LabelsShape,
        tag="Traces",
        detail="Put there by people; the tags that senders set are `tags` of the trace.",
        path=(TRACE_ID,),
    )
    def get(self, request: Request, trace_id: str) -> Response:
        row = find_trace(self, trace_id)
        return Response({"items": [_label(each) for each in list_labels(self.project.pk, row.trace_id)]})

    @shapes.describe(
        "Label a trace",
        LabelsShape,
        tag="Traces",
        body=LabelBody,
        path=(TRACE_ID,),
        detail=f"At most {notes.LABELS_MAX} on a trace. One that is there already changes nothing.",
    )
    def post(self, request: Request, trace_id: str) -> Response:
        row, told = find_trace(self, trace_id), checked(LabelBody, request)
        try:
            notes.add_label(self.project, row, told["label"], self.author())
        except notes.NoteRefused as refused:
            raise _problem(refused) from None
        except notes.NoteGone:
            raise not_found() from None
        return Response({"items": [_label(each) for each in list_labels(self.project.pk, row.trace_id)]})

    @shapes.describe(
        "Take a label off a trace",
        None,
        tag="Traces",
        status=204,
        path=(TRACE_ID,),
        query=(OpenApiParameter("label", OpenApiTypes.STR, required=True, description="The label as it is kept."),),
    )
    def delete(self, request: Request, trace_id: str) -> Response:
        row, label = find_trace(self, trace_id), params.text(request.query_params, "label")
        if not label:
            raise bad_field("label", "is required")
        try:
            notes.remove_label(self.project, row, label)
        except notes.NoteGone:
            raise not_found() from None
        return Response(status=204)


class LabelNamesView(ProjectView):
    @shapes.describe("The labels of a project", LabelNamesShape, tag="Traces", detail="Those that some trace has.")
    def get(self, request: Request) -> Response:
        return Response({"items": list_label_names(self.project.pk)})


def _comment(comment: Comment, author: notes.Author) -> dict[str, Any]:
    return {
        "id": str(comment.id),
        "span_id": comment.span_hex or None,
        "author": comment.author,
        "body": comment.body,
        "created_at": form.moment(comment.created_at),
        "edited_at": form.moment(comment.edited_at),
        "is_own": author.wrote(comment),
    }


def _label(label: Label) -> dict[str, Any]:
    return {"label": label.label, "author": label.author, "created_at": form.moment(label.created_at)}


def _problem(refused: notes.NoteRefused) -> Problem:
    error = FieldError(refused.field, refused.message, refused.limit or None, refused.value or None)
    return Problem(400, str(refused), error)
