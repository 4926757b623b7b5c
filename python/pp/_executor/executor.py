"""The executor."""

from __future__ import annotations

import concurrent.futures
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

from pp._errors import PPError, SerializationError
from pp._executor.backlog import Backlog
from pp._executor.future import JobFuture
from pp._executor.mapping import map_calls
from pp._server import Server

__all__ = ["Executor"]

# The group of the jobs.
_GROUP = "executor"

P = ParamSpec("P")
T = TypeVar("T")


class Executor(concurrent.futures.Executor):
    """Runs calls in the workers of a server, as an executor of `concurrent.futures` does.

    Args:
        max_workers: how many workers to start on this machine; None for one per processor
            that this process may use. 0 if only nodes are to work.
        server: a server to use, instead of one of the executor's own. It is not destroyed
            with the executor.
        initializer: any callable, run in each worker process once, before its first call.
            If it raises, the executor is broken: calls that have not begun fail with
            `InitializerError`, and `submit` raises it.
        initargs: its arguments, a tuple or list.
        max_tasks_per_child: a worker is replaced after this many calls; None for never.
        **server_options: for the executor's own server: what `Server` takes by name, such as
            `ppservers`.

    Raises:
        TypeError, ValueError: an argument has the wrong type or value.
        SerializationError: the initializer cannot be serialized.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        *,
        server: Server | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        max_tasks_per_child: int | None = None,
        **server_options: Any,
    ) -> None:
        if max_tasks_per_child is not None:
            if "max_jobs_per_worker" in server_options:
                raise TypeError("max_tasks_per_child and max_jobs_per_worker are the same")
            server_options["max_jobs_per_worker"] = max_tasks_per_child
        if initializer is not None:
            server_options.update(initializer=initializer, initargs=initargs)
        if server is None:
            self._server = _own_server(max_workers, server_options)
        else:
            _check_given(server, max_workers, server_options)
            self._server = server
        self._is_own = server is None
        self._backlog = Backlog(id(self._server._callbacks))
        can_break = self._server._has_initializer
        self._on_broken = self._backlog.break_off if can_break else None

    @property
    def _max_workers(self) -> int:
        """How many calls can run at a time, under the name that programs look for."""
        return max(1, sum(self._server.get_active_nodes().values()))

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> concurrent.futures.Future[T]:
        """Submits the call `fn(*args, **kwargs)`, to be run by a worker.

        Returns:
            Its future. If the call cannot be serialized, the future has a
            `SerializationError`.

        Raises:
            InitializerError: an initializer has failed.
            RuntimeError: the executor was shut down, the server was destroyed, or the
                program ends.
            TypeError: `fn` is not callable.
        """
        if not callable(fn):
            raise TypeError(f"fn must be callable, not {type(fn).__name__!r}: {fn!r:.100}")
        self._server._engine.check_process()
        future: JobFuture[T] = JobFuture()
        self._backlog.enter(future)
        try:
            if kwargs:
                job = self._server.submit(fn, args, group=_GROUP, kwargs=kwargs)
            else:
                job = self._server.submit(fn, args, group=_GROUP)
            future.begin(job, self._on_broken)
            job.add_done_callback(functools.partial(self._backlog.end, future))
        except BaseException as error:
            self._backlog.leave(future)
            if not _is_of_the_call(error):
                raise
            future.set_exception(error)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Calls `fn` with each item of an iterable, in workers; yields the results in order.

        Args:
            fn: any callable.
            iterables: its arguments, from each iterable one. The shortest one ends the map.
                All items are taken, and submitted, at once, unless there is `buffersize`.
            timeout: how many seconds from this call on the results may take.
            chunksize: how many items to send in one job.
            buffersize: at most so many jobs are submitted ahead of those whose results were
                returned; None for any number.

        Raises:
            TypeError, ValueError: an argument has the wrong type or value.
            RuntimeError: as for `submit`.

        The iterator raises what a call has raised, and `TimeoutError` when the time is over.
        It ends then, as it does when it is closed or dropped, and what has not begun is
        cancelled.
        """
        return map_calls(self, fn, iterables, timeout, chunksize, buffersize)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls, and ends the workers when there is nothing left to do.

        Args:
            wait: whether to return only then. If not, it happens by itself. In a callback of
                a future of this executor, there is no waiting.
            cancel_futures: whether to cancel what has not begun.
        """
        try:
            self._server._engine.check_process()
        except PPError:
            # A forked child has no part in it.
            return
        self._backlog.close()
        if cancel_futures:
            self._backlog.cancel()
        try:
            if wait:
                self._backlog.wait()
        finally:
            # Also if Ctrl-C has ended the wait: it ends as if there had been none.
            if self._is_own:
                self._backlog.when_empty(self._server.destroy)


def _own_server(max_workers: int | None, options: dict[str, Any]) -> Server:
    if "ncpus" in options:
        raise TypeError("say max_workers, not ncpus")
    if max_workers is None:
        return Server(**options)
    if not isinstance(max_workers, int):
        raise TypeError(f"max_workers must be an int or None, not {max_workers!r:.100}")
    if max_workers < (0 if options.get("ppservers") else 1):
        raise ValueError("max_workers must be greater than 0")
    return Server(max_workers, **options)


def _check_given(server: Server, max_workers: int | None, options: dict[str, Any]) -> None:
    if not isinstance(server, Server):
        raise TypeError(f"server must be a pp.Server, not {type(server).__name__!r}")
    given = [*options] if max_workers is None else ["max_workers", *options]
    if given:
        raise TypeError(f"the server has its own settings: {', '.join(given)} cannot be given")


def _is_of_the_call(error: BaseException) -> bool:
    """Whether it is about what was to be called, and not about the executor."""
    if isinstance(error, PPError):
        return isinstance(error, SerializationError)
    return isinstance(error, Exception)
