"""The examples of the page about reviewing, run as they stand and one after the other; its keys and limits."""

from __future__ import annotations

import gzip
import json
import re

import pytest
from django.test import Client

from evals.api.labels import BODY_MAX_BYTES
from evals.models import Review, ReviewItem
from evals.reviewing import filling, handing
from evals.reviewing.config import KINDS, RULE_WORDS, VERDICTS
from evals.reviewing.label_rows import FIELDS, ROWS_MAX
from evals.reviewing.verdicts import UNDO_WITHIN
from tests.evals.documented import DOCS, commands
from tests.evals.review_rows import make_rubric, send_traces

pytestmark = pytest.mark.django_db
PAGE = (DOCS / "review.md").read_text()
SPEC = {
    "criteria": [
        {
            "key": "correctness", "title": "Correctness", "definition": "Every claim stands in a document.",
            "scale": {"kind": "points", "low": 1, "high": 5},
        }
    ]
}  # fmt: skip


class Shell:
    """Runs the curls of the page: files that the page writes or fetches, and what a reader would put in."""

    def __init__(self, secret):
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})
        self.files = {
            name: text.encode() for name, text in re.findall(r"^cat > (\S+) <<'EOF'\n(.*?)^EOF", PAGE, re.M | re.S)
        }
        for name in re.findall(r"^gzip -kf (\S+)", PAGE, re.M):
            self.files[f"{name}.gz"] = gzip.compress(self.files[name])

    def run(self, words, **names):
        path, body, headers, out = "", None, {}, None
        rest = iter(words[1:])
        for word in rest:
            if word == "-d":
                body = next(rest)
            elif word == "--data-binary":
                body = self.files[next(rest).removeprefix("@")]
            elif word == "-H":
                name, _, value = next(rest).partition(": ")
                headers[name] = value
            elif word == "-o":
                out = next(rest)
            elif not word.startswith("-"):
                path = word.removeprefix("$TELLTALE")
        assert headers.pop("Authorization") == "Bearer $KEY"
        for old, new in names.items():
            path = path.replace(f"/{old}/", f"/{new}/")
            body = body.replace(old, new) if isinstance(body, str) else body
        if body is None:
            answer = self.client.get(path)
            self.files[out] = b"".join(answer.streaming_content)
            return answer
        return self.client.generic("POST", path, body, headers.pop("Content-Type"), headers=headers)


def test_every_example_works(project, key):
    make_rubric(project, "Answers", SPEC)
    (trace_id,) = send_traces(project, 1)
    shell = Shell(key.secret)
    made, claim, verdict, csv_in, ndjson_in, out, back = commands("review.md")

    queue = shell.run(made)
    assert queue.status_code == 201, queue.content
    stars = {"name": "stars", "value": 2, "trace_id": trace_id.hex}
    assert shell.client.post("/api/v1/scores", stars, "application/json").status_code == 200
    assert filling.fill() == 1
    held = shell.run(claim)
    assert held.status_code == 200, held.content
    told = held.json()
    said = shell.run(verdict, **{"12": told["id"], "3f9c2b7d5e1a8046": told["tab"]})
    assert said.status_code == 201, said.content
    assert (said.json()["state"], ReviewItem.objects.get().reviews_count) == ("open", 1)

    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.M | re.S)
    assert shell.run(csv_in).json() == json.loads(example)
    packed = shell.run(ndjson_in).json()
    assert (packed["accepted"], packed["rejected"]) == (3, 0)
    before = Review.objects.count()
    assert shell.run(out).status_code == 200
    again = shell.run(back).json()
    assert (again["accepted"], again["rejected"]) == (8, 0)
    assert again["reviews"] == {"created": 0, "updated": 5, "unchanged": 1}
    assert again["judgements"] == {"created": 0, "updated": 2, "unchanged": 0}
    assert Review.objects.count() == before


def test_the_page_names_what_the_code_knows():
    named = set(re.findall(r"`([^`\n]+)`", PAGE))
    columns = {name for row in re.findall(r"^\| (`[^|]+) \|", PAGE, re.M) for name in re.findall(r"`([^`]+)`", row)}

    assert {*KINDS, *RULE_WORDS, *VERDICTS} <= named
    assert {*FIELDS} - {"scores", "name", "value", "reason"} <= columns
    assert f"{ROWS_MAX:,} rows and {BODY_MAX_BYTES // 2**20} MiB" in PAGE
    assert f"for {handing.HOLD_SECONDS // 60} minutes" in PAGE
    assert f"last {UNDO_WITHIN.total_seconds() / 3600:.0f} hours" in PAGE
    assert f"last {filling.LOOK_BACK_DAYS} days" in PAGE


def test_the_page_has_the_keys_of_the_help():
    template = (DOCS.parent / "templates/evals/review.html").read_text()
    dialog = template[template.index('id="review-keys"') :]
    keys = set(re.findall(r"<kbd>([^<]+)</kbd>", dialog)) - {"Esc"}

    told = PAGE[PAGE.index("## Keys") : PAGE.index("## REST")]
    assert keys
    assert keys <= set(re.findall(r"`([^`]+)`", told))
