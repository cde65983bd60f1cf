"""What the addresses of datasets and experiments share: who asks, larger bodies, refusals as problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson

from evals.experimenting import Conflict, ExperimentRefused
from evals.keeping import By, DatasetRefused
from telltale.projects.keys import KeyHolder
from telltale.rest.body import JsonParser
from telltale.rest.problems import Problem, bad_field
from telltale.rest.views import ProjectView

BODY_MAX_BYTES = 8 * 1024 * 1024


class LargeParser(JsonParser):
    """A JSON object of at most `BODY_MAX_BYTES`: items and results come in batches."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise Problem(413, f"The body is larger than the limit of {BODY_MAX_BYTES:,} bytes; send fewer at once.")
        if not raw.strip():
            return {}
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"The body is not JSON: {error}.") from None
        if not isinstance(value, dict):
            raise Problem(400, "The body must be a JSON object.")
        return value


class KeepingView(ProjectView):
    """An address of datasets or experiments."""

    parser_classes = (LargeParser,)

    @property
    def by(self) -> By:
        """Who asks, as the audit log names them."""
        holder = self.request.auth
        words = f"API key {holder.key_id}" if isinstance(holder, KeyHolder) else ""
        return By(self.person_id, words, self.http)


def problem_of(error: DatasetRefused | ExperimentRefused | Conflict) -> Problem:
    """A refusal as its problem: 400 about a field, or 409."""
    if isinstance(error, Conflict):
        return Problem(409, str(error))
    return bad_field(error.field, error.message, limit=error.limit or None, value=error.value or None)
