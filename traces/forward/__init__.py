"""Stored spans as OTLP again: what forwarding sends on and what "copy as curl" sends once more. Pure."""

from traces.forward.content import without_content
from traces.forward.otlp import export_request
from traces.forward.otlp_json import traces_json
from traces.forward.outgoing import NewIds, Outgoing, Sender

__all__ = [
    "NewIds",
    "Outgoing",
    "Sender",
    "export_request",
    "traces_json",
    "without_content",
]
