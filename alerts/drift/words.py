"""What a change of vectors is called: what the encoder sees decides. Letters are no meaning."""

from __future__ import annotations

LEXICAL, SENDER, ENDPOINT, MINILM = "lexical", "sender", "endpoint", "minilm"
_TITLES = {
    LEXICAL: "words and pieces of words, made here",
    SENDER: "vectors that the application sends",
    ENDPOINT: "an embeddings endpoint",
    MINILM: "MiniLM, run here",
}


def kind_of(encoder: str) -> str:
    """The kind of an encoder by its key."""
    return encoder.partition(":")[0]


def is_lexical(encoder: str) -> bool:
    """Whether the vectors are of wording alone."""
    return kind_of(encoder) == LEXICAL


def change_word(encoder: str) -> str:
    """ "lexical change" where only wording is seen, else "semantic change"."""
    return "lexical change" if is_lexical(encoder) else "semantic change"


def encoder_title(encoder: str) -> str:
    """An encoder in words, by its key: what it is and how many numbers it gives."""
    kind, _, rest = encoder.partition(":")
    name, _, dims = rest.rpartition("/")
    title = _TITLES.get(kind, kind)
    named = "" if kind == LEXICAL else f", {name}"
    return f"{title}{named} ({dims} numbers)"
