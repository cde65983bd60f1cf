"""The stand-in for a model: replies that a judge can read, always the same, and faults where they are asked for."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from evals.judges.config import ModelConfig
from evals.judges.material import Document, Material
from evals.judges.prompt import build_prompt, fresh_nonce
from evals.judges.reply import read_reply
from evals.judges.verdict import Unusable, Verdict
from evals.rubrics import Criterion, Rubric, Scale
from telltale.run import stand_in
from telltale.run.stand_in import StandIn, judge

RUBRIC = Rubric(
    (
        Criterion("correctness", "Correctness", "Every figure is in a document.", Scale.points(1, 5)),
        Criterion("polite", "Polite", "No insult.", Scale.yes_no()),
        Criterion("tone", "Tone", "How it sounds.", Scale.of_labels("rude", "plain", "warm")),
    )
)
RULES = Document("rules", "Unopened goods can be returned within 30 days. A label costs 4.90 USD.", 0.8, 1)
GOOD = "You can return unopened goods within 30 days of the day on which they came, with the receipt."
LOOSE = "You can return opened headphones within 60 days, and the money goes back to the card of the buyer."


def material(answer):
    return Material(trace_id="00" * 16, question="Can I return this?", answer=answer, documents=(RULES,))


def reply_to(answer, config=ModelConfig()):  # noqa: B008 - frozen
    asked = material(answer)
    prompt = build_prompt(RUBRIC, config, asked, fresh_nonce(asked))
    told = json.dumps(judge(prompt.user, prompt.schema))
    return read_reply(RUBRIC, told, asked, with_documents=config.with_documents)


def numbers(verdict):
    assert isinstance(verdict, Verdict)
    return [score.number for score in verdict.scores]


@pytest.fixture
def serve():
    servers = []

    def start(**options):
        server = StandIn(**options)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def post(server, body, path="/chat/completions"):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def asking(answer):
    asked = material(answer)
    prompt = build_prompt(RUBRIC, ModelConfig(), asked, fresh_nonce(asked))
    return {
        "model": "any",
        "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "judgement", "schema": prompt.schema}},
    }


def test_a_figure_of_no_source_scores_worse_than_one_that_has_its_source():
    assert sum(numbers(reply_to(LOOSE))) < sum(numbers(reply_to(GOOD)))


@pytest.mark.parametrize(
    ("said", "is_loose"),
    [
        ("The label costs $4.90 and is taken off the refund, and there are 30.0 days.", False),
        ("Das Etikett kostet 4,90 USD und wird von der Erstattung abgezogen.", False),
        ("The label costs $4.80. It is taken off the refund that you get afterwards.", True),
        ("The label costs $490, which is taken off the refund that you get afterwards.", True),
    ],
)
def test_a_figure_is_the_same_however_it_is_written(said, is_loose):
    verdict = reply_to(said)

    assert isinstance(verdict, Verdict)
    assert ("figure that is in none of the sources" in verdict.scores[0].reason) is is_loose


def test_the_same_answer_always_gets_the_same_scores():
    assert numbers(reply_to(GOOD)) == numbers(reply_to(GOOD))


def test_it_says_in_every_reason_that_it_is_no_model_and_quotes_what_is_there():
    verdict = reply_to(LOOSE)

    assert all("Stand-in, not a model" in score.reason for score in verdict.scores)
    assert all(quote in LOOSE for score in verdict.scores for quote in score.evidence)


def test_documents_are_judged_where_they_are_asked_for():
    verdict = reply_to(GOOD, ModelConfig(with_documents=True))

    [document] = verdict.documents
    assert document.relevance > 0.3


def test_it_speaks_chat_completions_and_counts_what_it_would_have_cost(serve):
    server = serve()

    status, answer = post(server, asking(GOOD))

    assert status == 200
    assert answer["model"] == stand_in.MODEL
    read = read_reply(RUBRIC, answer["choices"][0]["message"]["content"], material(GOOD))
    assert numbers(read) == numbers(reply_to(GOOD))
    assert (server.calls, server.billed_tokens) == (1, answer["usage"]["total_tokens"])
    assert server.billed_tokens > 100


def test_a_plain_chat_is_answered_in_words(serve):
    status, answer = post(serve(), {"messages": [{"role": "user", "content": "hello"}]})

    assert status == 200
    assert answer["choices"][0]["message"]["content"] == "Stand-in, not a model. You said: hello"


@pytest.mark.parametrize(
    "body", [[], {}, {"messages": "x"}, {"messages": [{}]}, {"messages": [], "response_format": 1}]
)
def test_what_it_cannot_read_is_refused(serve, body):
    assert post(serve(), body)[0] == 400


def test_faults_are_as_frequent_as_asked_for_and_never_a_score(serve, monkeypatch):
    monkeypatch.setattr(stand_in, "LATE_SECONDS", 0.0)
    server = serve(faults=0.5, seed=3)

    answers = [post(server, asking(GOOD)) for _ in range(60)]

    busy = [status for status, _ in answers if status == 429]
    read = [
        read_reply(RUBRIC, a["choices"][0]["message"]["content"], material(GOOD), a["choices"][0]["finish_reason"])
        for status, a in answers
        if status == 200
    ]
    unusable = {found.kind for found in read if isinstance(found, Unusable)}
    good = [numbers(found) for found in read if isinstance(found, Verdict)]
    assert busy
    assert {"unparsable", "out_of_range", "refused"} <= unusable
    assert all(found == good[0] for found in good)
    # 50 % of 60, a sixth of it late but answered: 25 are expected to fail; limits at 10**-4.
    assert 11 <= 60 - len(good) <= 40


def test_it_tells_its_address_and_asks_for_the_port_it_had(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    told = tmp_path / "stand-in.address"
    told.with_suffix(".before").write_text(f"http://127.0.0.1:{free}/v1\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "telltale.run.cli", "stand-in", "--address-file", str(told)], stdout=subprocess.PIPE
    )
    try:
        line = process.stdout.readline().decode()

        assert told.read_text() == f"http://127.0.0.1:{free}/v1\n"
        assert f"A stand-in, not a model, answers at http://127.0.0.1:{free}/v1." in line
    finally:
        process.terminate()
        assert process.wait(10) == 0
        process.stdout.close()
