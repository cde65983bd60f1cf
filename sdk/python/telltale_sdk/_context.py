"""Who is asking, about what, and in which span we are: an immutable frame in a context variable.

Every thread and every asyncio task sees its own frame, so requests that run at once never mix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from opentelemetry import context as otel_context
from opentelemetry.trace import set_span_in_context

from telltale_sdk._guard import guarded, warn_once

if TYPE_CHECKING:
    from telltale_sdk._span import Span

P = ParamSpec("P")
R = TypeVar("R")
Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Frame:
    """What spans that start here inherit: `labels` each, `prompt` generations, `once` the next level only."""

    span: Span | None = None
    labels: Attributes = field(default_factory=dict)
    prompt: Attributes = field(default_factory=dict)
    once: Attributes = field(default_factory=dict)


EMPTY = Frame()
frame: ContextVar[Frame] = ContextVar("telltale_frame", default=EMPTY)


class Entered:
    """A frame that is in force, and the way back to the one before."""

    __slots__ = ("_before", "_otel_token", "_token")

    def __init__(self, inside: Frame) -> None:
        self._before = frame.get()
        self._token: Token[Frame] | None = frame.set(inside)
        self._otel_token: Any = None
        span = inside.span
        if span is not None and span._is_shared and span._otel is not None:
            # Beside other instrumentations of one provider: theirs become children of ours, and ours of theirs.
            self._otel_token = otel_context.attach(set_span_in_context(span._otel))

    def leave(self) -> Frame:
        """Go back; the frame that was in force. A generator may be closed in another context than it was opened in."""
        inside = frame.get()
        token, self._token = self._token, None
        if token is not None:
            if self._otel_token is not None:
                otel_context.detach(self._otel_token)
            try:
                frame.reset(token)
            except (ValueError, RuntimeError):
                frame.set(self._before)
        return inside


class Setting:
    """What `user()`, `session()` and their kin give: in force inside `with`, or, in an open span, until it ends.

    `at_once`, where given, tells the open span itself instead of those below it.
    """

    def __init__(
        self,
        what: str,
        change: Callable[[Frame], Frame] | None = None,
        at_once: Callable[[Span], None] | None = None,
    ) -> None:
        self._what = what
        self._change = change
        self._entered: Entered | None = None
        current = frame.get()
        self._is_in_force = current.span is not None or change is None
        if current.span is not None and change is not None:
            if at_once is not None:
                at_once(current.span)
            else:
                # The span puts the frame back when it ends: nothing set here reaches the thread's next request.
                self._entered = Entered(change(current))

    @guarded(None)
    def _enter(self) -> None:
        if not self._is_in_force and self._change is not None:
            self._entered = Entered(self._change(frame.get()))
            self._is_in_force = True

    @guarded(None)
    def _exit(self) -> None:
        if self._entered is not None:
            self._entered.leave()
            self._entered = None

    def __enter__(self) -> Setting:
        self._enter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit()

    async def __aenter__(self) -> Setting:
        self._enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit()

    def __del__(self) -> None:
        if not getattr(self, "_is_in_force", True):
            warn_once(f"setting/{self._what}", "%s() outside of a span needs `with`; it had no effect", self._what)


def with_labels(told: Attributes) -> Callable[[Frame], Frame]:
    """A change of a frame: labels for every span; those that are None are taken away."""

    def change(before: Frame) -> Frame:
        merged = {**before.labels, **told}
        return replace(before, labels={key: value for key, value in merged.items() if value is not None})

    return change


def with_prompt(told: Attributes) -> Callable[[Frame], Frame]:
    """A change of a frame: the prompt of the generations below."""
    return lambda before: replace(before, prompt=told)


def with_once(told: Attributes) -> Callable[[Frame], Frame]:
    """A change of a frame: for the spans that start directly here, not for those below them."""
    return lambda before: replace(before, once={**before.once, **told})


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """The function bound to the span and people of here, for another thread: `pool.submit(carry(work), x)`."""
    here = frame.get()

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        entered = Entered(here)
        try:
            return function(*args, **kwargs)
        finally:
            entered.leave()

    return call
