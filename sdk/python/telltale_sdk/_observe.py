"""`observe_span`, the block, and `@observe`, the same around functions: plain, async, generators, async generators."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from types import TracebackType
from typing import Any, TypeVar, cast, overload

from telltale_sdk import _client
from telltale_sdk._context import EMPTY, Entered, Frame, frame
from telltale_sdk._guard import guarded, trouble, warn_once
from telltale_sdk._pieces import Pieces
from telltale_sdk._span import Span

F = TypeVar("F", bound=Callable[..., Any])


class Opened:
    """An open span with its frame; `enter` puts it in force, `close` ends it and leaves."""

    __slots__ = ("_entered", "inside", "span", "started")

    def __init__(self, name: Any, kind: Any, around: Frame, start_ns: int | None = None) -> None:
        self._entered: Entered | None = None
        try:
            self.span = _client.start_span(name, kind, around, start_ns)
            self.started = self.inside = Frame(self.span, around.labels, around.prompt)
        except Exception as error:  # noqa: BLE001 - nothing of ours may end the application's request
            trouble("observe", error)
            self.span = Span("", "span", None, None, 0)
            self.started = self.inside = EMPTY

    @guarded(None)
    def enter(self) -> None:
        """Be inside the span."""
        if self.inside is not EMPTY:
            self._entered = Entered(self.inside)

    @guarded(None)
    def leave(self) -> None:
        """Be outside of it; it stays open, and what was set inside is there at the next `enter`."""
        if self._entered is not None:
            self.inside = self._entered.leave()
            self._entered = None

    @guarded(None)
    def close(self, end_ns: int | None = None) -> None:
        """End the span and be outside of it. A second time does nothing."""
        self.leave()
        self.span._end(self.inside, self.started, end_ns)


class observe_span:
    """A span around a block, `with` or `async with`.

    `start_ns` and `end_ns` (nanoseconds since 1970) are for telling of the past.
    """

    def __init__(
        self,
        name: str,
        *,
        kind: str = "span",
        input: Any = None,
        attributes: Mapping[str, Any] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        self._name = name
        self._kind = kind
        self._input = input
        self._attributes = attributes
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._opened: list[Opened] = []

    def __enter__(self) -> Span:
        opened = Opened(self._name, self._kind, frame.get(), self._start_ns)
        opened.enter()
        self._opened.append(opened)
        self._tell(opened.span)
        return opened.span

    @guarded(None)
    def _tell(self, span: Span) -> None:
        if self._input is not None:
            span.set_input(self._input)
        for key, value in (self._attributes or {}).items():
            span.set_attribute(key, value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._opened:
            opened = self._opened.pop()
            if error is not None and not isinstance(error, GeneratorExit):
                opened.span.set_error(error)
            opened.close(self._end_ns)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)


@overload
def observe(function: F) -> F: ...
@overload
def observe(
    *, name: str | None = None, kind: str = "span", capture_input: bool = True, capture_output: bool = True
) -> Callable[[F], F]: ...
def observe(
    function: F | None = None,
    *,
    name: str | None = None,
    kind: str = "span",
    capture_input: bool = True,
    capture_output: bool = True,
) -> F | Callable[[F], F]:
    """A function whose calls are spans, whatever kind of function it is. What it gives and raises stays as it was.

    The span of a generator begins with its first step and ends when it is exhausted or closed; of `kind="generation"`
    the time to the first piece is kept, and pieces of text are put together as its output.
    """

    def decorate(decorated: F) -> F:
        if inspect.isclass(decorated):
            warn_once("observe/class", "@observe is for functions; the class %s stays as it is", decorated.__name__)
            return decorated
        if isinstance(decorated, staticmethod | classmethod):
            return cast(F, type(decorated)(decorate(cast(F, decorated.__func__))))
        try:
            return cast(F, _Observed(decorated, name, kind, capture_input, capture_output).wrapper())
        except Exception as error:  # noqa: BLE001 - an import of the application must not fail on us
            trouble("observe", error)
            return decorated

    return decorate if function is None else decorate(function)


class _Observed:
    """One decorated function."""

    def __init__(
        self, function: Callable[..., Any], name: str | None, kind: str, capture_input: bool, capture_output: bool
    ) -> None:
        self.function = function
        self.name = name or getattr(function, "__name__", None) or type(function).__name__
        self.kind = kind
        self.capture_input = capture_input
        self.capture_output = capture_output
        try:
            self.signature: inspect.Signature | None = inspect.signature(function)
        except (TypeError, ValueError):
            self.signature = None

    def wrapper(self) -> Callable[..., Any]:
        """The function to call instead."""
        function = self.function
        if inspect.isasyncgenfunction(function):

            @functools.wraps(function)
            def async_generator(*args: Any, **kwargs: Any) -> Any:
                around = frame.get()
                return self.drive_async(function(*args, **kwargs), lambda: self.open(around, args, kwargs))

            return async_generator
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                around = frame.get()
                return self.drive(function(*args, **kwargs), lambda: self.open(around, args, kwargs))

            return generator
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def coroutine(*args: Any, **kwargs: Any) -> Any:
                opened = self.open(frame.get(), args, kwargs)
                opened.enter()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    opened.span.set_error(error)
                    opened.close()
                    raise
                return self.finish(opened, result)

            return coroutine

        @functools.wraps(function)
        def plain(*args: Any, **kwargs: Any) -> Any:
            opened = self.open(frame.get(), args, kwargs)
            opened.enter()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                opened.span.set_error(error)
                opened.close()
                raise
            return self.finish(opened, result)

        return plain

    def open(self, around: Frame, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Opened:
        """A span with what the function was called with."""
        opened = Opened(self.name, self.kind, around)
        if self.capture_input and opened.span.is_recording and (args or kwargs):
            self.tell_input(opened.span, args, kwargs)
        return opened

    @guarded(None)
    def tell_input(self, span: Span, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The arguments by the names of their parameters; a single one stands for itself."""
        told: dict[str, Any] = {}
        if self.signature is None:
            told = {**{str(at): value for at, value in enumerate(args)}, **kwargs}
        else:
            for at, (name, value) in enumerate(self.signature.bind(*args, **kwargs).arguments.items()):
                if at == 0 and name in ("self", "cls"):
                    continue
                if self.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                    told.update(value)
                else:
                    told[name] = value
        if told:
            span.set_input(next(iter(told.values())) if len(told) == 1 else told)

    def finish(self, opened: Opened, result: Any) -> Any:
        """End the span with its result; one that is still to come keeps the span open until it came."""
        driven: Any = None
        if inspect.isgenerator(result):
            driven = self.drive(result, lambda: opened)
        elif inspect.isasyncgen(result):
            driven = self.drive_async(result, lambda: opened)
        elif inspect.iscoroutine(result):
            driven = self.wait_for(result, opened)
        if driven is not None:
            opened.leave()
            # Nobody may ever ask for the result.
            weakref.finalize(driven, opened.close).atexit = False
            return driven
        if self.capture_output and result is not None:
            opened.span.set_output(result)
        opened.close()
        return result

    async def wait_for(self, awaited: Any, opened: Opened) -> Any:
        """The result of a coroutine that a plain function made."""
        opened.enter()
        try:
            result = await awaited
        except BaseException as error:
            opened.span.set_error(error)
            opened.close()
            raise
        return self.finish(opened, result)

    def drive(self, inner: Generator[Any, Any, Any], begin: Callable[[], Opened]) -> Generator[Any, Any, Any]:
        """A generator step by step: its span is current while it runs, and not while its caller does."""
        opened = begin()
        pieces = Pieces(opened.span, self.capture_output)
        sent: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                opened.enter()
                try:
                    item = inner.send(sent) if thrown is None else inner.throw(thrown)
                finally:
                    opened.leave()
                pieces.add(item)
                sent = thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    opened.enter()
                    inner.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on to where it was meant to go
                    thrown = error
        except StopIteration as stop:
            pieces.end(stop.value)
            return stop.value
        except GeneratorExit:
            pieces.end(is_early=True)
            raise
        except BaseException as error:
            opened.span.set_error(error)
            pieces.end()
            raise
        finally:
            opened.close()

    async def drive_async(
        self, inner: AsyncGenerator[Any, Any], begin: Callable[[], Opened]
    ) -> AsyncGenerator[Any, Any]:
        """The same for an async generator."""
        opened = begin()
        pieces = Pieces(opened.span, self.capture_output)
        sent: Any = None
        thrown: BaseException | None = None
        try:
            while True:
                opened.enter()
                try:
                    item = await (inner.asend(sent) if thrown is None else inner.athrow(thrown))
                finally:
                    opened.leave()
                pieces.add(item)
                sent = thrown = None
                try:
                    sent = yield item
                except GeneratorExit:
                    opened.enter()
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - handed on to where it was meant to go
                    thrown = error
        except StopAsyncIteration:
            pieces.end()
        except GeneratorExit:
            pieces.end(is_early=True)
            raise
        except BaseException as error:
            opened.span.set_error(error)
            pieces.end()
            raise
        finally:
            opened.close()
