"""What turns texts into vectors: the sender's own, an endpoint within its budget, MiniLM where it is there."""

from __future__ import annotations

import importlib
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from alerts.encoders import EncoderMissing, encode_here, is_installed, key_of, local, sent_vectors, short_text
from evals import embedding
from evals.calling.kinds import CallFailed, Embedded
from evals.embedding import EMBEDDINGS, Limits, NotNow, NotSo, embed_texts
from evals.models import Connection, SpendDay
from telltale.lib import clock
from telltale.projects.models import Project
from traces.canonical.types import Kind

LEXICAL = "lexical:n-grams:1/256"


def span(*, kind=Kind.GENERATION, parent=None, attributes=None, raw=None, model=None):
    held = SimpleNamespace(kind=kind, parent_span_id=parent, attributes=attributes or {}, model=model)
    return SimpleNamespace(span=held, body={"raw": raw or {}}, content=SimpleNamespace(input_text=None))


# --- here -----------------------------------------------------------------------------------------------------------


def test_n_grams_need_nothing_and_leave_out_what_has_no_letters():
    found = encode_here("lexical", ["hello there", "???"])

    assert found.key == LEXICAL
    assert np.linalg.norm(found.vectors[0]) == pytest.approx(1)
    assert found.vectors[1] is None


def test_keys_hold_kind_name_and_numbers_and_texts_are_cut():
    assert key_of("endpoint", "m" * 400, 3) == f"endpoint:{'m' * 250}/3"
    assert short_text("  a" + " b" * 9_000) == ("a" + " b" * 9_000)[:8_000]
    with pytest.raises(ValueError, match="does not run here"):
        encode_here("endpoint", ["a"])


def test_minilm_says_what_is_missing(tmp_path):
    assert not is_installed("")
    assert not is_installed(str(tmp_path))
    with pytest.raises(EncoderMissing, match="TELLTALE_MINILM_DIR"):
        encode_here("minilm", ["a"])
    with pytest.raises(EncoderMissing, match="holds no"):
        encode_here("minilm", ["a"], str(tmp_path))


def test_minilm_takes_the_mean_of_a_texts_own_tokens(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"weights")

    class Tokenizer:
        """Words are tokens; padded to the longest."""

        @classmethod
        def from_file(cls, path):
            return cls()

        def enable_truncation(self, n):
            self.most = n

        def enable_padding(self):
            pass

        def encode_batch(self, texts):
            longest = max(len(text.split()) for text in texts)
            return [
                SimpleNamespace(
                    ids=[len(word) for word in text.split()] + [0] * (longest - len(text.split())),
                    attention_mask=[1] * len(text.split()) + [0] * (longest - len(text.split())),
                    type_ids=[0] * longest,
                )
                for text in texts
            ]

    class Session:
        def __init__(self, *_, **__):
            pass

        def get_inputs(self):
            return [SimpleNamespace(name="input_ids"), SimpleNamespace(name="attention_mask")]

        def run(self, _, given):
            assert set(given) == {"input_ids", "attention_mask"}
            ids = given["input_ids"].astype(float)
            return [np.stack([ids, np.ones_like(ids) * 2], axis=2)]

    modules = {
        "onnxruntime": SimpleNamespace(InferenceSession=Session, SessionOptions=SimpleNamespace),
        "tokenizers": SimpleNamespace(Tokenizer=Tokenizer),
    }
    real = importlib.import_module
    monkeypatch.setattr(local.importlib, "import_module", lambda name: modules.get(name) or real(name))
    monkeypatch.setattr(local, "_loaded", {})

    found = encode_here("minilm", ["aa bbbb", "", "c"], str(tmp_path))

    assert found.key.startswith(f"minilm:{tmp_path.name}:")
    assert found.key.endswith("/2")
    assert found.vectors[0] == pytest.approx(np.array([3, 2]) / np.sqrt(13))
    assert found.vectors[1] is None
    assert found.vectors[2] == pytest.approx(np.array([1, 2]) / np.sqrt(5))


def test_a_damaged_model_is_said_and_breaks_nothing(tmp_path, monkeypatch):
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.onnx").write_bytes(b"rubbish")

    def broken(*_, **__):
        raise RuntimeError("bad protobuf")

    module = SimpleNamespace(InferenceSession=broken, SessionOptions=SimpleNamespace)
    monkeypatch.setattr(local.importlib, "import_module", lambda name: module)
    monkeypatch.setattr(local, "_loaded", {})

    with pytest.raises(EncoderMissing, match="RuntimeError"):
        encode_here("minilm", ["a"], str(tmp_path))


# --- sent -----------------------------------------------------------------------------------------------------------


def test_vectors_on_the_root_go_before_all_others():
    spans = [
        span(parent=1, attributes={"telltale.embedding.input": [1.0, 0.0]}),
        span(attributes={"telltale.embedding.input": "[0, 2]", "telltale.embedding.model": "own-v2"}),
    ]

    found = sent_vectors(spans, {"input": "a question", "output": "an answer"})

    assert found.keys() == {"input"}
    assert found["input"].key == "sender:own-v2/2"
    assert found["input"].vectors[0].tolist() == [0.0, 1.0]


def test_openinferences_vector_of_the_same_text_is_taken():
    raw = {
        "embedding.embeddings.0.embedding.text": "another text",
        "embedding.embeddings.0.embedding.vector": [1.0, 0.0],
        "embedding.embeddings.10.embedding.text": "what   was asked",
        "embedding.embeddings.10.embedding.vector": [0.0, 3.0],
    }

    found = sent_vectors([span(kind=Kind.EMBEDDING, parent=1, raw=raw, model="ada")], {"input": "what was asked"})

    assert found["input"].key == "sender:ada/2"
    assert found["input"].vectors[0].tolist() == [0.0, 1.0]


def test_the_only_vector_of_a_trace_is_its_inputs_and_several_are_nobodys():
    one = span(kind=Kind.EMBEDDING, parent=1, raw={"embedding.embeddings.0.embedding.vector": [3.0, 4.0]})

    assert sent_vectors([one], {"input": "", "output": ""}).keys() == {"input"}
    assert sent_vectors([one, one], {"input": "", "output": ""}) == {}


@pytest.mark.parametrize(
    "broken",
    [None, "", "[", "{}", "[1]", [1.0], [0, 0], [1, "a"], [True, False], [float("nan"), 1], [10**400, 1], [[1, 2]], 5,
     "[" * 1000],
)  # fmt: skip
def test_what_is_no_vector_is_left_alone(broken):
    assert sent_vectors([span(attributes={"telltale.embedding.input": broken})], {"input": "x"}) == {}


# --- an endpoint ----------------------------------------------------------------------------------------------------


@pytest.fixture
def connection(project):
    return Connection.objects.create(
        project=project, name="vectors", kind="openai", base_url="https://api.example.com/v1", input_pico=20_000,
        output_pico=0,
    )  # fmt: skip


def spent(project, account=EMBEDDINGS):
    row = SpendDay.objects.get(project=project, judge_id=account)
    return row.calls, row.spent_pico, row.reserved_calls, row.reserved_pico, row.lost_calls


def test_a_call_is_set_aside_before_and_settled_after(project, connection, monkeypatch):
    seen = []

    def embed(endpoint, texts):
        seen.append((endpoint.model, spent(project)[2]))
        return Embedded(((1.0, 0.0), (0.0, 1.0)), 9, "answered-model", 1.0)

    monkeypatch.setattr(embedding, "embed", embed)

    found = embed_texts(project.pk, connection.pk, "small", ["a", "b"])

    assert seen == [("small", 1)]
    assert found.cost_pico == 180_000
    assert spent(project) == (1, 180_000, 0, 0, 0)
    assert spent(project, 0)[:2] == (1, 180_000)


@pytest.mark.parametrize("limits", [Limits(pico_day=1_000), Limits(calls_day=0)])
def test_beyond_its_budget_nothing_is_called_until_tomorrow(project, connection, monkeypatch, limits):
    monkeypatch.setattr(embedding, "embed", lambda *_: pytest.fail("called"))

    with pytest.raises(NotNow, match="budget") as ended:
        embed_texts(project.pk, connection.pk, "small", ["a text"], limits=limits)

    assert timedelta(0) < ended.value.until - clock.now() <= timedelta(days=1)


@pytest.mark.parametrize(
    ("failed", "raised", "lost"),
    [
        (CallFailed("timeout", "late"), NotNow, 1),
        (CallFailed("rate_limited", "slow down", retry_after=timedelta(seconds=90), status=429), NotNow, 0),
        (CallFailed("auth", "no key", status=401), NotNow, 0),
        (CallFailed("egress", "refused", was_sent=False), NotNow, 0),
        (CallFailed("refused_request", "too long", status=400), NotSo, 0),
    ],
)
def test_a_failure_is_settled_and_says_when_to_come_again(project, connection, monkeypatch, failed, raised, lost):
    def embed(*_):
        raise failed

    monkeypatch.setattr(embedding, "embed", embed)

    with pytest.raises(raised):
        embed_texts(project.pk, connection.pk, "small", ["a text"])

    assert spent(project)[2:] == (0, 0, lost)
    if failed.kind in ("rate_limited", "auth"):
        connection.refresh_from_db()
        assert connection.paused_until > clock.now() + timedelta(seconds=60)
        with pytest.raises(NotNow):
            embed_texts(project.pk, connection.pk, "small", ["a text"])


def test_what_cannot_be_asked_is_a_matter_of_settings(project, connection, charlie):
    far = Project.objects.get(slug="far")
    address = "https://api.example.com/v1"
    chat = Connection.objects.create(project=project, name="chat", kind="anthropic", base_url=address)
    theirs = Connection.objects.create(project=far, name="theirs", kind="openai", base_url=address)

    for wanted in (chat.pk, theirs.pk, 987_654_321):
        with pytest.raises(NotSo) as refused:
            embed_texts(project.pk, wanted, "small", ["a text"])
        assert refused.value.is_settings
