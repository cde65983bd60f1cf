"""Links of the OpenAPI document: what was made or listed, and the addresses that take its name. Pure."""

from __future__ import annotations

from typing import Any

JSON = "application/json"
# What a thing is called by in its address, the first of its fields that there is, where none is called as the address
# calls it.
NAMES = ("slug", "number", "id")
# What these make is not what is below them: an invitation is no member yet.
OTHERS = {("post", "/api/v1/members")}


def add_links(document: dict[str, Any]) -> None:
    """Say of each answer that makes or lists things which addresses below take their names.

    `POST /x` with 201 links to every method of `/x/{y}` and of `/x/{y}/...` that needs no other name; `GET /x` links to
    them by its first item. Needs nothing but names of addresses and fields: what has no such field gets no link.
    """
    paths = document["paths"]
    for path, methods in paths.items():
        below = _below(path, paths)
        if not below:
            continue
        for method, status, place in (("post", "201", "$response.body#/"), ("get", "200", "$response.body#/items/0/")):
            answer = methods.get(method, {}).get("responses", {}).get(status)
            fields = _fields(document, answer, is_list=method == "get") if answer else ()
            if answer is None or (method, path) in OTHERS:
                continue
            links = {}
            for operation, own in below:
                if name := next((name for name in (own, *NAMES) if name in fields), None):
                    told = {"operationId": operation["operationId"], "parameters": {own: place + name}}
                    links[operation["operationId"]] = told
            if links:
                answer["links"] = links


def _below(path: str, paths: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """The operations below one thing of `path`, each with the parameter that names it."""
    found = []
    for other, methods in paths.items():
        own, _, rest = other.removeprefix(path + "/{").partition("}")
        if other.startswith(path + "/{") and "{" not in path and "{" not in rest:
            found += [(operation, own) for operation in methods.values() if "operationId" in operation]
    return found


def _fields(document: dict[str, Any], answer: dict[str, Any], *, is_list: bool) -> tuple[str, ...]:
    """The fields of what an answer holds, or of each of its items."""
    shape = _resolved(document, answer.get("content", {}).get(JSON, {}).get("schema", {}))
    if is_list:
        items = _resolved(document, shape.get("properties", {}).get("items", {}))
        shape = _resolved(document, items.get("items", {}))
    return tuple(shape.get("properties", ()))


def _resolved(document: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in shape:
        shape = document["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    return shape
