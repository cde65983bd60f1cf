"""The OpenAPI document and its page. Both are public: they say what the code says, and nothing about any project."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import yaml
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from telltale.rest.schema import document

JSON = "application/vnd.oai.openapi+json"
YAML = "application/vnd.oai.openapi+yaml"
METHODS = ("get", "post", "put", "patch", "delete")
TAG_ORDER = ("Ingest", "Traces", "Accounting", "Prices", "Project", "Keys", "Members")


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter or field: its name, where it goes, what it takes, what it means."""

    name: str
    where: str
    kind: str
    is_required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address."""

    anchor: str
    method: str
    path: str
    summary: str
    text: str
    parameters: tuple[Field, ...]
    body: tuple[Field, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Group:
    anchor: str
    name: str
    operations: tuple[Operation, ...]


@require_http_methods(["GET", "HEAD"])
def schema(request: HttpRequest) -> HttpResponse:
    """The document as JSON, or as YAML with `?format=yaml` or an `Accept` that asks for it."""
    asked = request.GET.get("format", "")
    if asked == "yaml" or (not asked and "yaml" in request.headers.get("Accept", "")):
        return HttpResponse(_as_yaml(), content_type=f"{YAML}; charset=utf-8")
    return HttpResponse(_as_json(), content_type=JSON)


@require_http_methods(["GET", "HEAD"])
def page(request: HttpRequest) -> HttpResponse:
    """The document as a page, written on the server."""
    return render(request, "web/api_docs.html", {"groups": groups()})


@cache
def _as_json() -> bytes:
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2)


@cache
def _as_yaml() -> bytes:
    return yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=120).encode()


@cache
def groups() -> tuple[Group, ...]:
    """The operations by tag, in the order a newcomer needs them."""
    told = document()
    by_tag: dict[str, list[Operation]] = {}
    for path, methods in told["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                by_tag.setdefault(operation["tags"][0], []).append(_operation(told, path, method, operation))
    known = [tag for tag in TAG_ORDER if tag in by_tag]
    rest = sorted(set(by_tag) - set(known))
    return tuple(Group(tag.lower(), tag, tuple(by_tag[tag])) for tag in (*known, *rest))


def _operation(told: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Operation:
    parameters = tuple(
        Field(
            parameter["name"],
            parameter["in"],
            _kind(told, parameter.get("schema", {})),
            parameter.get("required", False),
            _plain(parameter.get("description", "")),
        )
        for parameter in operation.get("parameters", ())
    )
    body = _content(operation.get("requestBody", {}))
    text = _plain(operation.get("description", ""))
    return Operation(
        anchor=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text="" if text == operation["summary"] else text,
        parameters=parameters,
        body=_fields(told, body, "body"),
        answers=tuple(
            Answer(
                status,
                _plain(answer.get("description", "")),
                _fields(told, _content(answer), "answer") if status[0] == "2" else (),
            )
            for status, answer in operation["responses"].items()
        ),
    )


def _plain(text: str) -> str:
    """A description without the marks of Markdown, which are for other readers of the document."""
    return text.replace("`", "")


def _content(holder: dict[str, Any]) -> dict[str, Any]:
    content = holder.get("content", {})
    found: dict[str, Any] = content.get("application/json", {}).get("schema", {})
    return found


def _resolve(told: dict[str, Any], schema_: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in schema_:
            schema_ = told["components"]["schemas"][schema_["$ref"].rpartition("/")[2]]
        elif len(schema_.get("allOf", ())) == 1:
            schema_ = schema_["allOf"][0]
        else:
            return schema_


def _fields(
    told: dict[str, Any], schema_: dict[str, Any], where: str, prefix: str = "", depth: int = 0
) -> tuple[Field, ...]:
    schema_ = _resolve(told, schema_)
    required = set(schema_.get("required", ()))
    found: list[Field] = []
    for name, inner in schema_.get("properties", {}).items():
        found.append(
            Field(prefix + name, where, _kind(told, inner), name in required, _plain(inner.get("description", "")))
        )
        item = _resolve(told, inner)
        if item.get("type") == "array":
            found += _fields(told, item["items"], where, f"{prefix}{name}[].", depth + 1) if depth < 2 else ()
        elif item.get("type") == "object" and depth < 2:
            found += _fields(told, item, where, f"{prefix}{name}.", depth + 1)
    return tuple(found)


def _kind(told: dict[str, Any], schema_: dict[str, Any]) -> str:
    is_nullable = schema_.get("nullable", False)
    schema_ = _resolve(told, schema_)
    is_nullable = is_nullable or schema_.get("nullable", False)
    kind = (
        schema_.get("format") if schema_.get("format") in {"date-time", "date", "email"} else schema_.get("type", "any")
    )
    if kind == "array":
        return f"list of {_kind(told, schema_['items'])}"
    values = [value for value in schema_.get("enum", ()) if value not in {None, ""}]
    if values:
        kind = " | ".join(str(value) for value in values)
    low, high = schema_.get("minimum"), schema_.get("maximum")
    if low is not None and high is not None:
        kind = f"{kind}, {low} to {high}"
    return f"{kind} or null" if is_nullable else str(kind)
