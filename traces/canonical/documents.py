"""Retrieved and ranked documents of any client's shape into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from traces.canonical.messages import unflatten
from traces.canonical.text import decode_map

MAX_DOCUMENTS = 1000


@dataclass(frozen=True, slots=True)
class Document:
    """One document as retrieved; None where it was not told."""

    id: str | None = None
    content: str | None = None
    score: float | None = None
    metadata: dict[str, Any] | None = None


def read_documents(value: Any) -> tuple[Document, ...]:
    """The documents in a decoded value: a list of objects or texts, or a map that holds such a list."""
    if isinstance(value, Mapping):
        for key in ("documents", "docs", "results", "matches", "data", "nodes"):
            if isinstance(value.get(key), list):
                return read_documents(value[key])
        return ()
    if not isinstance(value, list):
        return ()
    found = []
    for item in value[:MAX_DOCUMENTS]:
        if isinstance(item, str):
            found.append(Document(content=item))
        elif isinstance(item, Mapping):
            document = read_document(item)
            if document is not None:
                found.append(document)
    return tuple(found)


def read_document(item: Mapping[str, Any]) -> Document | None:
    """One document object, None where it holds neither id nor content."""
    if isinstance(item.get("document"), Mapping):
        item = {**item, **item["document"]}
    if isinstance(item.get("kwargs"), Mapping) and "page_content" in item["kwargs"]:
        item = item["kwargs"]
    metadata = decode_map(item.get("metadata"))
    content = next((item[key] for key in ("content", "page_content", "text", "document") if item.get(key)), None)
    score = next((item[key] for key in ("score", "relevance_score", "similarity") if item.get(key) is not None), None)
    if score is None and metadata is not None:
        score = metadata.get("score", metadata.get("relevance_score"))
    told_id = next((item[key] for key in ("id", "doc_id", "document_id") if item.get(key) not in (None, "")), None)
    if told_id is None and content is None:
        return None
    return Document(
        id=None if told_id is None else str(told_id),
        content=None if content is None else content if isinstance(content, str) else str(content),
        score=_number(score),
        metadata=metadata,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def unflatten_documents(raw: Mapping[str, Any], prefix: str) -> tuple[Document, ...]:
    """Documents flattened into indexed attributes (`retrieval.documents.0.document.content`)."""
    return read_documents(unflatten(raw, prefix))
