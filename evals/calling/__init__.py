"""The one module of evals that speaks to models. Values in, values out, no rows."""

from evals.calling.client import ask, chat
from evals.calling.kinds import Called, CallFailed, ChatMessage, Endpoint, price_of

__all__ = ["CallFailed", "Called", "ChatMessage", "Endpoint", "ask", "chat", "price_of"]
