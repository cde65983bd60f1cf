"""Who sent a group of spans: resource and scope, read once and shared by every span of the group."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from traces.canonical.keys import TYPED_KEYS, Slot
from traces.canonical.scopes import (
    CACHE_BLIND_SCOPES,
    CACHE_BLIND_VOCABULARIES,
    vocabulary_of_attributes,
    vocabulary_of_scope,
)
from traces.canonical.text import cut_text
from traces.canonical.types import Origin, Vocabulary


def digest64(*parts: Any) -> int:
    """A signed 64-bit digest of plain values, the same in every process."""
    data = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)


class Source:
    """One (resource, scope) of a request: what its spans inherit, and their `Origin` by vocabulary."""

    __slots__ = (
        "_origins", "environment", "feature", "release", "release_rank", "resource", "scope_attributes", "scope_name",
        "scope_version", "service", "text_limit", "vocabulary",
    )  # fmt: skip

    def __init__(
        self,
        resource: dict[str, Any],
        scope_name: str = "",
        scope_version: str = "",
        scope_attributes: dict[str, Any] | None = None,
        text_limit: int = 1024,
    ) -> None:
        self.resource = resource
        self.scope_name = scope_name
        self.scope_version = scope_version
        self.scope_attributes = scope_attributes or {}
        self.text_limit = text_limit
        self.vocabulary = vocabulary_of_scope(scope_name)
        self.service = self._first(Slot.SERVICE)[0]
        self.environment = self._first(Slot.ENVIRONMENT)[0]
        self.release, self.release_rank = self._first(Slot.RELEASE)
        self.feature = self._first(Slot.FEATURE)[0]
        self._origins: dict[Vocabulary, Origin] = {}

    def _first(self, slot: int) -> tuple[str | None, int]:
        keys = TYPED_KEYS[slot]
        for rank, key in enumerate(keys):
            value = self.resource.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                value = str(value)
            if isinstance(value, str) and value and value != "null":
                return cut_text(value, self.text_limit), rank
        return None, len(keys)

    def origin(self, attributes: dict[str, Any]) -> Origin:
        """The origin of a span with these attributes, built once per vocabulary."""
        vocabulary = self.vocabulary or vocabulary_of_attributes(attributes)
        found = self._origins.get(vocabulary)
        if found is None:
            found = self._origins[vocabulary] = Origin(
                key=digest64(self.resource, self.scope_name, self.scope_version, self.scope_attributes, vocabulary),
                resource=self.resource,
                scope_name=self.scope_name,
                scope_version=self.scope_version,
                scope_attributes=self.scope_attributes,
                vocabulary=vocabulary,
            )
        return found

    def is_cache_blind(self) -> bool:
        """Whether this speaker shows no cache figures at all, so that their absence does not mean 0."""
        return self.scope_name in CACHE_BLIND_SCOPES or self.vocabulary in CACHE_BLIND_VOCABULARIES
