"""The one module of evals that speaks to models. Values in, values out, no rows."""

from evals.calling.client import ask, chat, embed
from evals.calling.kinds import Called, CallFailed, ChatMessage, Embedded, Endpoint, ToolCall, ToolOffer, price_of

__all__ = [
    "CallFailed",
    "Called",
    "ChatMessage",
    "Embedded",
    "Endpoint",
    "ToolCall",
    "ToolOffer",
    "ask",
    "chat",
    "embed",
    "price_of",
]
