"""Encoders that run on this machine: hashed n-grams always, MiniLM where the extra and a model's folder are there."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.drift.packing import unit
from alerts.encoders.kinds import LEXICAL, MINILM, Encoded, EncoderMissing, key_of
from evals.stats.lexical import DIMS, VERSION, lexical_vectors

LEXICAL_KEY = key_of(LEXICAL, f"n-grams:{VERSION}", DIMS)
TOKENS_MAX = 256
BATCH = 16
_MODELS = ("model_quantized.onnx", "model.onnx", "onnx/model_quantized.onnx", "onnx/model.onnx")
_loaded: dict[str, MiniLM] = {}
_loading = threading.Lock()


def encode_here(kind: str, texts: Sequence[str], folder: str = "") -> Encoded:
    """Vectors of `texts` by n-grams or MiniLM; ValueError for other kinds, EncoderMissing where it cannot work."""
    if kind == LEXICAL:
        rows = lexical_vectors(texts)
        return Encoded(LEXICAL_KEY, tuple(row if row.any() else None for row in rows))
    if kind == MINILM:
        return _minilm(folder).encode(texts)
    raise ValueError(f"{kind} does not run here")


def is_installed(folder: str) -> bool:
    """Whether MiniLM's libraries and a model are there; loads neither."""
    found = all(importlib.util.find_spec(name) is not None for name in ("onnxruntime", "tokenizers"))
    return found and bool(folder) and _model_in(Path(folder)) is not None


def _minilm(folder: str) -> MiniLM:
    with _loading:
        if folder not in _loaded:
            _loaded[folder] = MiniLM(folder)
        return _loaded[folder]


def _model_in(folder: Path) -> Path | None:
    if not (folder / "tokenizer.json").is_file():
        return None
    return next((folder / name for name in _MODELS if (folder / name).is_file()), None)


class MiniLM:
    """A sentence encoder of the MiniLM kind as ONNX: mean of the last layer over the text's tokens, at length 1.

    Source: Reimers and Gurevych 2019 (mean pooling); Wang et al. 2020 (MiniLM).
    """

    def __init__(self, folder: str) -> None:
        """EncoderMissing where the extra is not installed or the folder holds no model."""
        if not folder:
            raise EncoderMissing("Set TELLTALE_MINILM_DIR to a folder with tokenizer.json and model.onnx.")
        path = _model_in(Path(folder))
        if path is None:
            raise EncoderMissing("The folder of TELLTALE_MINILM_DIR holds no tokenizer.json and model.onnx.")
        try:
            # An optional extra: named here, not imported above, where it would have to be installed.
            runtime: Any = importlib.import_module("onnxruntime")
            tokenizers: Any = importlib.import_module("tokenizers")
        except ImportError:
            raise EncoderMissing("MiniLM needs an extra: pip install 'telltale[minilm]'.") from None
        try:
            options = runtime.SessionOptions()
            options.intra_op_num_threads = 1
            self._session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self._tokenizer = tokenizers.Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        except Exception as error:  # noqa: BLE001 - what the two libraries raise for a damaged file has no common base
            told = f"The model in TELLTALE_MINILM_DIR cannot be loaded ({type(error).__name__})."
            raise EncoderMissing(told) from None
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.enable_padding()
        self._inputs = {each.name for each in self._session.get_inputs()}
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
        self._name = f"{Path(folder).name}:{digest}"

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Vectors of `texts`; None for empty ones."""
        vectors: list[NDArray[np.float64] | None] = [None] * len(texts)
        dims = 0
        wanted = [at for at, text in enumerate(texts) if text.strip()]
        for start in range(0, len(wanted), BATCH):
            some = wanted[start : start + BATCH]
            rows = self._encode([texts[at] for at in some])
            dims = rows.shape[1]
            for at, row in zip(some, rows, strict=True):
                vectors[at] = unit(row)
        return Encoded(key_of(MINILM, self._name, dims or 384), tuple(vectors))

    def _encode(self, texts: list[str]) -> NDArray[np.float64]:
        tokens = self._tokenizer.encode_batch(texts)
        told = {
            "input_ids": np.array([each.ids for each in tokens], dtype=np.int64),
            "attention_mask": np.array([each.attention_mask for each in tokens], dtype=np.int64),
            "token_type_ids": np.array([each.type_ids for each in tokens], dtype=np.int64),
        }
        given = {name: values for name, values in told.items() if name in self._inputs}
        out = np.asarray(self._session.run(None, given)[0], dtype=np.float64)
        if out.ndim == 2:  # the model takes the mean itself
            return out
        mask = told["attention_mask"][:, :, None].astype(np.float64)
        return np.asarray((out * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1.0))
