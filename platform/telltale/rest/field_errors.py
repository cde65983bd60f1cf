"""What is wrong with a body, by field: DRF's own messages, with the limit of the field and the value that came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rest_framework import serializers

from telltale.rest.problems import FieldError, shown_value

CHOICES_SHOWN = 20
# Messages of the framework repeat what came, however long.
MESSAGE_MAX = 300
ABSENT = object()


def explain(errors: Any, form: serializers.BaseSerializer[Any], data: Any) -> Iterator[FieldError]:
    """The errors of a checked `form` as field errors; `data` is the body it was given."""
    return _walk(errors, form, data, "")


def limit_of(field: Any) -> str | None:
    """What `field` accepts, in words; `style={"limit": ...}` says it where the type does not. None where nothing is
    to be said."""
    said = getattr(field, "style", {}).get("limit")
    if said:
        return str(said)
    if isinstance(field, serializers.ChoiceField):
        names = [str(name) for name in field.choices]
        return "one of " + ", ".join(names[:CHOICES_SHOWN]) + (", …" if len(names) > CHOICES_SHOWN else "")
    if isinstance(field, serializers.EmailField):
        return "an e-mail address" + (f" of at most {field.max_length} characters" if field.max_length else "")
    if isinstance(field, serializers.CharField):
        return _length(0 if field.allow_blank else 1, field.max_length, "characters")
    if isinstance(field, serializers.IntegerField):
        return _range("a whole number", field.min_value, field.max_value)
    if isinstance(field, serializers.FloatField | serializers.DecimalField):
        return _range("a number", field.min_value, field.max_value)
    if isinstance(field, serializers.BooleanField):
        return "true or false"
    if isinstance(field, serializers.DateTimeField):
        return "a time, ISO 8601"
    if isinstance(field, serializers.ListField | serializers.ListSerializer):
        low, high = getattr(field, "min_length", None) or 0, getattr(field, "max_length", None)
        return "an array of " + (_length(low, high, "items") or "items")
    if isinstance(field, serializers.Serializer | serializers.DictField):
        return "an object"
    return None


def _length(low: int, high: int | None, what: str) -> str | None:
    if high is None:
        return f"at least {low} {what}" if low else None
    return f"{low} to {high} {what}" if low else f"at most {high} {what}"


def _range(what: str, low: Any, high: Any) -> str:
    if low is not None and high is not None:
        return f"{what} from {low} to {high}"
    if low is not None:
        return f"{what}, {low} or more"
    return what if high is None else f"{what}, {high} or less"


def _walk(errors: Any, field: Any, value: Any, path: str) -> Iterator[FieldError]:
    if isinstance(errors, dict):
        for name, inner in errors.items():
            if name == "non_field_errors":
                yield from _walk(inner, field, value, path)
            else:
                below = f"{path}.{shown_value(str(name))}".lstrip(".")
                yield from _walk(inner, _field_in(field, name), _value_in(value, name), below)
        return
    for at, message in enumerate(errors if isinstance(errors, list) else [errors]):
        if isinstance(message, dict):
            if message:
                yield from _walk(message, _field_in(field, at), _value_in(value, at), f"{path}[{at}]")
            continue
        said = str(message)
        said = said if len(said) <= MESSAGE_MAX else said[:MESSAGE_MAX] + "…"
        yield FieldError(path or "body", said, limit_of(field), _shown(value))


def _field_in(field: Any, name: Any) -> Any:
    if isinstance(field, serializers.ListField | serializers.ListSerializer | serializers.DictField):
        return field.child
    return field.fields.get(name) if isinstance(field, serializers.Serializer) else None


def _value_in(value: Any, name: Any) -> Any:
    if isinstance(value, dict):
        return value.get(name, ABSENT)
    if isinstance(value, list) and isinstance(name, int) and name < len(value):
        return value[name]
    return ABSENT


def _shown(value: Any) -> Any:
    """The value as an error repeats it; None (which is left out) where nothing came."""
    if value is ABSENT:
        return None
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"an array of {len(value)} items"
    return "an object" if isinstance(value, dict) else value
