"""The kinds of changes and where they come from."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What changed."""

    DEPLOY = "deploy"
    PROMPT = "prompt"
    MODEL = "model"
    INDEX = "index"
    CONFIGURATION = "configuration"
    PROVIDER = "provider"
    NOTE = "note"


class Source(StrEnum):
    """Who says so."""

    API = "api"
    CLI = "cli"
    CI = "ci"
    PAGE = "page"
    DERIVED = "derived"


KIND_WORDS = {
    Kind.DEPLOY: "Deploy",
    Kind.PROMPT: "Prompt",
    Kind.MODEL: "Model",
    Kind.INDEX: "Index",
    Kind.CONFIGURATION: "Configuration",
    Kind.PROVIDER: "Provider",
    Kind.NOTE: "Note",
}
SOURCE_WORDS = {
    Source.API: "by the API",
    Source.CLI: "by the command line",
    Source.CI: "by CI",
    Source.PAGE: "by hand",
    Source.DERIVED: "seen in traces",
}
