"""Comments and labels: what a person may write on a trace, and who may change it.

Comments are plain text. Labels are people's and stand apart from the tags that senders set. Both go when their trace
goes, by retention or erasure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from django.db import transaction
from django.http import HttpRequest

from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.projects.access import may
from telltale.projects.keys import KeyHolder
from telltale.projects.models import ApiKey, Project
from traces.canonical.text import clean_text
from traces.masks import mask_text
from traces.read import TraceRow, get_rows
from traces.read.notes import NAMES_MAX, Comment, get_comment
from traces.write import notes as write
from traces.write.notes import TooMany

COMMENT_CHARS_MAX = 4000
COMMENTS_MAX = 500
LABEL_CHARS_MAX = 64
LABELS_MAX = 20
_SPACE = re.compile(r"\s+")


class NoteRefused(Exception):
    """A comment or label that cannot be: which field, what is wrong, what is accepted."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


class NoteGone(Exception):
    """The trace or the comment is not there (any more)."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: a person, or a key of the project. `is_admin` may remove what others wrote."""

    name: str
    user_id: int | None
    key_id: int | None
    is_admin: bool

    def wrote(self, comment: Comment) -> bool:
        """Whether the comment is theirs."""
        if self.user_id is not None:
            return comment.author_id == self.user_id
        return self.key_id is not None and comment.key_id == self.key_id


def author_of(project: Project, person: User | None, holder: KeyHolder | None = None) -> Author:
    """The author that a person signed in, or the holder of a key, is."""
    if person is not None:
        return Author(person.name or person.email, person.pk, None, may(project, "settings"))
    assert holder is not None  # noqa: S101 - one of the two asks
    name = ApiKey.objects.filter(pk=holder.key_id).values_list("name", flat=True).first()
    return Author(f"API key {name or holder.key_id}", None, holder.key_id, "admin" in holder.scopes)


def add_comment(project: Project, trace: TraceRow, span_id: int | None, body: str, author: Author) -> Comment:
    """Write a comment on the trace or one of its spans. NoteRefused, or NoteGone where the trace went meanwhile."""
    text = mask_text(project.pk, clean_body(body), trace.feature or "")
    if span_id is not None and not get_rows(project.pk, trace, [span_id]):
        raise NoteRefused("span_id", "is no span of this trace")
    try:
        comment_id = write.add_comment(
            project.pk,
            trace.trace_id,
            span_id,
            text,
            author=author.name,
            author_id=author.user_id,
            key_id=author.key_id,
            most=COMMENTS_MAX,
        )
    except TooMany:
        raise NoteRefused("body", "is one too many", f"{COMMENTS_MAX} comments on a trace") from None
    return _there(None if comment_id is None else get_comment(project.pk, trace.trace_id, comment_id))


def edit_comment(project: Project, trace: TraceRow, comment: Comment, body: str, author: Author) -> Comment:
    """Change one's own comment; PermissionError for another's, NoteRefused, NoteGone."""
    if not author.wrote(comment):
        raise PermissionError("A comment is changed by who wrote it.")
    text = mask_text(project.pk, clean_body(body), trace.feature or "")
    write.edit_comment(project.pk, trace.trace_id, comment.id, text)
    return _there(get_comment(project.pk, trace.trace_id, comment.id))


def delete_comment(
    project: Project, trace: TraceRow, comment: Comment, author: Author, *, request: HttpRequest | None = None
) -> None:
    """Remove one's own comment, or as an admin anybody's, which is audited. PermissionError for others; NoteGone."""
    is_own = author.wrote(comment)
    if not is_own and not author.is_admin:
        raise PermissionError("A comment is removed by who wrote it, or by an admin.")
    with transaction.atomic():
        if not write.delete_comment(project.pk, trace.trace_id, comment.id):
            raise NoteGone
        if not is_own:
            record_in(
                project,
                "comment.delete",
                f"trace {trace.hex_id}",
                request=request,
                actor="" if author.user_id is not None else author.name,
                before={"author": comment.author, "written_at": comment.created_at.isoformat()},
            )


def add_label(project: Project, trace: TraceRow, label: str, author: Author) -> str:
    """Put a label on the trace; the label as it is kept. NoteRefused, NoteGone."""
    name = mask_text(project.pk, clean_label(label), trace.feature or "")
    try:
        done = write.add_label(
            project.pk, trace.trace_id, name, author=author.name, most=LABELS_MAX, most_names=NAMES_MAX
        )
    except TooMany as error:
        limit = f"{LABELS_MAX} on a trace" if error.limit == LABELS_MAX else f"{NAMES_MAX} different ones in a project"
        raise NoteRefused("label", "is one too many", limit, name) from None
    if done is None:
        raise NoteGone
    return name


def remove_label(project: Project, trace: TraceRow, label: str) -> None:
    """Take a label off the trace; NoteGone where it has none of the name."""
    if not write.delete_label(project.pk, trace.trace_id, label):
        raise NoteGone


def clean_body(body: str) -> str:
    """A comment's text as it is kept; NoteRefused where it is empty or too long."""
    text = clean_text(body).replace("\r\n", "\n").strip()
    if not _is_seen(text):
        raise NoteRefused("body", "is empty")
    if len(text) > COMMENT_CHARS_MAX:
        raise NoteRefused("body", "is too long", f"{COMMENT_CHARS_MAX} characters", f"{len(text)} characters")
    return text


def _is_seen(text: str) -> bool:
    """Whether anything of it shows: control, format and space characters alone do not."""
    return any(unicodedata.category(character)[0] not in "CZ" for character in text)


def clean_label(label: str) -> str:
    """A label as it is kept, in lower case with single spaces; NoteRefused where it is none."""
    name = _SPACE.sub(" ", clean_text(label)).strip().lower()
    if not _is_seen(name):
        raise NoteRefused("label", "is empty")
    if len(name) > LABEL_CHARS_MAX:
        raise NoteRefused("label", "is too long", f"{LABEL_CHARS_MAX} characters", f"{len(name)} characters")
    if not name.isprintable():
        raise NoteRefused("label", "holds characters that cannot be seen", "letters, digits, signs and spaces", name)
    return name


def _there(comment: Comment | None) -> Comment:
    if comment is None:
        raise NoteGone
    return comment
