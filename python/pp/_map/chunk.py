"""What a worker runs for `Server.map`: a function over some items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, starmap
from time import perf_counter_ns
from typing import Any

from pp._errors import JobInterrupted, SerializationError

__all__ = ["Answer", "run_chunk"]

# How often the clock is looked at: about this many times in a chunk, but after this many
# items at the latest. A look costs as much as some ten of the quickest calls.
_LOOKS = 16
_MOST_BETWEEN_LOOKS = 256


class Answer:
    """What came of a chunk. The client gets it as a tuple of the attributes.

    Attributes:
        results: the results, in order; None in the place of each failure.
        nanoseconds: how long the calls took.
        failures: pairs of a place in `results` and what `pp._serialize.failures.capture`
            made of the exception.
    """

    __slots__ = (
        "caller",
        "failures",
        "first",
        "is_checked",
        "keep_going",
        "nanoseconds",
        "results",
    )

    def __init__(self, caller: str, first: int, keep_going: bool) -> None:
        self.caller = caller
        self.first = first
        self.keep_going = keep_going
        self.is_checked = False
        self.results: list[Any] = []
        self.nanoseconds = 0
        self.failures: list[tuple[int, bytes]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, ((self.results, self.nanoseconds, self.failures),)

    def fail(self, place: int, error: BaseException) -> None:
        """Notes what was raised in the place of a result."""
        # It is long, and most workers never need it.
        from pp._serialize.failures import capture  # noqa: PLC0415

        del self.results[place + 1 :]
        self.results[place:] = [None]
        self.failures.append((place, capture(error)))

    def without_unserializable(self, proto: int) -> Answer:
        """The same, with a `SerializationError` in the place of what cannot be sent."""
        from pp._serialize.values import dumps_result  # noqa: PLC0415 - it comes from there

        answer = Answer(self.caller, self.first, self.keep_going)
        answer.nanoseconds = self.nanoseconds
        answer.is_checked = True
        failures = dict(self.failures)
        for place, result in enumerate(self.results):
            try:
                if place not in failures:
                    dumps_result(result, proto)
                answer.results.append(result)
            except SerializationError as error:
                item = f"item {self.first + place} of {self.caller}()"
                told = SerializationError(f"{item}: {error}")
                told.__cause__ = error.__cause__
                answer.fail(place, told)
                if not self.keep_going:
                    return answer
            else:
                if place in failures:
                    answer.failures.append((place, failures[place]))
        return answer


def run_chunk(
    func: Callable[..., Any],
    caller: str,
    first: int,
    budget: int,
    keep_going: bool,
    is_rows: bool,
    columns: tuple[Any, ...],
) -> Answer:
    """Calls a function with some items, one after another.

    Args:
        func: the function.
        caller: the method of the server that was called, for messages.
        first: the number of the first item, likewise.
        budget: after so many nanoseconds, what has not begun is left to the client, which
            finds fewer results than items; 0 for never.
        keep_going: whether to go on after an item has raised.
        is_rows: whether there is one column, of iterables of arguments.
        columns: for each argument its values, a list or the (start, stop, step) of a range.
    """
    columns = tuple(range(*c) if type(c) is tuple else c for c in columns)
    count = len(columns[0])
    calls = starmap(func, columns[0]) if is_rows else map(func, *columns)
    answer = Answer(caller, first, keep_going)
    stretch = max(1, min(count // _LOOKS, _MOST_BETWEEN_LOOKS)) if budget else count
    start = perf_counter_ns()
    end = start + budget
    while (done := len(answer.results)) < count:
        _run_stretch(calls, min(stretch, count - done), answer)
        if answer.failures and not keep_going:
            break
        now = perf_counter_ns()
        if budget and now > end:
            break
    answer.nanoseconds = perf_counter_ns() - start
    return answer


def _run_stretch(calls: Iterator[Any], count: int, answer: Answer) -> None:
    """Makes the next calls, up to and with the first that raises."""
    results = answer.results
    wanted = len(results) + count
    try:
        # What came before an exception stays in the list.
        results.extend(islice(calls, count))
    except JobInterrupted:
        # It is the chunk that was cancelled, not this item that failed.
        raise
    except BaseException as error:
        answer.fail(len(results), error)
        return
    if len(results) < wanted:
        # To whoever collects results, it looks like the end.
        answer.fail(len(results), RuntimeError("the function raised StopIteration"))
