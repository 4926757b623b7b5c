"""The server: submits jobs to worker processes."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import pickle
import sys
import time
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, ParamSpec, Self, TypeVar, overload

from pp import _arguments, _asked, _logging, _outcome, _processes, _resources
from pp._arguments import Certificates
from pp._callbacks import Callback, CallbackRunner
from pp._core import Engine, Function, Group, Job, KnownFunctions, Ref, Submitter
from pp._errors import DestroyedServerError, PPError
from pp._forks import in_child
from pp._map.aface import MapsItemsAsync
from pp._serialize.form import reformed
from pp._serialize.functions import FunctionPacker, PackedFunction, name_of
from pp._serialize.values import dumps_args
from pp._version import version

if TYPE_CHECKING:
    from pp._decorator import JobFunction
    from pp._serialize.shipping import Shipper

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("pp")

# The first pickle protocol that knows classes with slots.
_LEAST_PROTO = 2

# `retry_on`, where it is not given.
_EXCEPTION = pickle.dumps((Exception,), _LEAST_PROTO)

# Groups beyond this are forgotten when none of their jobs is pending.
_MOST_GROUPS = 1024

# Larger functions are left to the packer, which bounds what it keeps.
_MOST_REMEMBERED = 256 * 1024


class Statistics:
    """What one node has done.

    Attributes:
        ncpus: its number of workers.
        time: seconds that its finished jobs ran, together.
        njobs: how many jobs it has finished.
        rworker: always None; there for programs written for the classic.
    """

    # No dataclass: `dataclasses` would add a third to the time of `import pp`.
    ncpus: int
    time: float
    njobs: int
    rworker: None

    def __init__(self, ncpus: int, time: float = 0.0, njobs: int = 0) -> None:
        self.ncpus = ncpus
        self.time = time
        self.njobs = njobs
        self.rworker = None

    def __repr__(self) -> str:
        return f"Statistics(ncpus={self.ncpus}, time={self.time}, njobs={self.njobs})"


class Server(Submitter, MapsItemsAsync):
    """Runs jobs in worker processes.

    Args:
        ncpus: how many workers to start on this machine; "autodetect" means one
            per processor that this process may use (one, if the server is made
            inside a job). With 0, jobs run on nodes only; without nodes, they wait
            until `set_ncpus`.
        ppservers: nodes that run jobs, too: names or addresses of machines that run
            `ppserver`, as "node-1", "node-1:60001", "10.0.0.7", "::1", "node-[1-16]" or
            "dns:workers.example". Any of them may come later, go, and come back.
        secret: what the nodes know as well, so that each side believes the other. None:
            what `PP_SECRET` or the file that `PP_SECRET_FILE` names has, or else the
            user's own file, which `pp secret path` names.
        restart: whether each job gets a fresh worker process.
        proto: the pickle protocol, 0 to `pickle.HIGHEST_PROTOCOL`. Default 5. 0 and
            1 are taken as 2: the older ones cannot hold what functions need.
        socket_timeout: there for programs written for the classic; see `node_timeout`.
        errors: "raise": `job()` raises what the job raised. "print": it prints
            the traceback and returns None, as the classic did.
        max_worker_deaths: a job that took down this many workers fails with
            `WorkerDied`. Default 3.
        max_jobs_per_worker: a worker is replaced after this many jobs; None for
            never. `restart=True` means 1.
        max_worker_memory: a worker whose process has more memory than this after a job is
            replaced, once the job has ended: a number of bytes, or a text such as "2GiB" or
            "500MB". None: workers are never replaced for that.
        cancel_grace: how many seconds a job that runs and is cancelled, or whose time is over,
            may go on after `JobInterrupted` was raised in it, before its worker is killed and
            replaced. 0: the worker is killed at once. Default 1.
        resources: what this machine has for jobs that ask for it, beside processors, such as
            `{"licence": 2}`. Memory and GPUs are found out, unless they are among these.
        shared_memory: the most bytes of shared memory for big arguments and results.
            None, the default, means half of the memory that this process may use; 0
            means none. What finds no place there is copied more often, no more.
        writable_buffers: whether large arrays arrive, in jobs and from them, as private
            copies that may be changed, and not read-only.
        node_timeout: seconds for which a node may be silent before it is taken for dead,
            and its jobs run elsewhere. Default 5.
        max_node_losses: a job during which this many nodes were lost fails with
            `NodeLost`. Default 3.
        secret_file: a file that has the secret; instead of `secret`.
        certificates: instead of a secret, three files in PEM: certificates of an own
            authority, the own certificate, and its private key. A secret beside them
            serves to find nodes, and for nothing else.
        ship: modules or packages, or their names, that nodes get along with jobs although
            they are not in the working directory. What is in it and below, and not
            installed, travels anyway.
        on_no_nodes: what happens to jobs while there are neither local workers nor nodes.
            "wait": they wait, and the log says so. "raise": they fail with `NodeLost`,
            once nobody has been there for `node_timeout` seconds.
        initializer: any callable, run in each worker process once, before its first job.
            If it raises, the jobs of that worker fail with `InitializerError`.
        initargs: its arguments, a tuple or list.

    Raises:
        TypeError, ValueError: an argument has the wrong type or value.
        SerializationError: the initializer or one of its arguments cannot be serialized.
        AuthenticationError: nodes are named, and there is no secret, or none that can be
            used.

    A server can be used from any number of threads. `destroy` ends it, as does
    leaving it as a context manager, or the end of the program.
    """

    default_port = 60000

    def __init__(
        self,
        ncpus: int | Literal["autodetect"] = "autodetect",
        ppservers: Iterable[str] = (),
        secret: str | None = None,
        restart: bool = False,
        proto: int = 5,
        socket_timeout: float = 3600,
        *,
        errors: Literal["raise", "print"] = "raise",
        max_worker_deaths: int = 3,
        max_jobs_per_worker: int | None = None,
        max_worker_memory: int | str | None = None,
        cancel_grace: float = 1.0,
        resources: Mapping[str, float | str] | None = None,
        shared_memory: int | None = None,
        writable_buffers: bool = False,
        node_timeout: float = 5.0,
        max_node_losses: int = 3,
        secret_file: str | os.PathLike[str] | None = None,
        certificates: Certificates | None = None,
        ship: Iterable[str | ModuleType] = (),
        on_no_nodes: Literal["wait", "raise"] = "wait",
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        if "_engine" in vars(self):
            raise PPError("a Server cannot be initialized twice; make a new one")
        workers = _arguments.worker_count(ncpus)
        nodes = _arguments.node_names(ppservers)
        _arguments.check_secret(secret)
        _arguments.check_trust(nodes, secret, secret_file, certificates)
        _arguments.check_choices(proto, errors)
        _arguments.check_counts(
            max_worker_deaths=max_worker_deaths,
            max_node_losses=max_node_losses,
            max_jobs_per_worker=1 if max_jobs_per_worker is None else max_jobs_per_worker,
        )
        max_memory = _arguments.memory_bytes("max_worker_memory", max_worker_memory)
        _arguments.check_grace("cancel_grace", cancel_grace)
        supply = _resources.supply(resources)
        _arguments.check_timeout("node_timeout", node_timeout)
        _arguments.check_choice("on_no_nodes", on_no_nodes, ("wait", "raise"))
        _arguments.check_memory(shared_memory)
        _arguments.check_callable("initializer", initializer)
        initargs = _arguments.as_tuple("initargs", initargs)
        _logging.start()
        _logger.info("Creating server instance (pp-%s)", version)
        _logger.info("Running on Python %s %s", sys.version.split(" ")[0], sys.platform)
        self.socket_timeout = socket_timeout
        self.logger = _logger
        self._proto = max(proto, _LEAST_PROTO)
        self._ncpus = workers
        self._has_initializer = initializer is not None
        self._created = time.time()
        self._packer = FunctionPacker(_shipper(ship) if nodes else None)
        self._groups: dict[Hashable, Group] = {}
        # Those that have a share of their own.
        self._set_groups: dict[Hashable, Group] = {}
        self._print_errors = errors == "print"
        dumps = functools.partial(dumps_args, portable=True) if nodes else dumps_args
        before_jobs: tuple[bytes, bytes] | None = None
        if initializer is not None:
            packed = self._packer.pack(initializer, proto=self._proto)
            before_jobs = packed.blob, dumps(initargs, self._proto, "initializer")
        self._engine = Engine(
            _processes.command(),
            _processes.environment(workers),
            _processes.settings(self._proto, bool(writable_buffers), before_jobs, max_memory),
            dumps=dumps,
            on_failure=_outcome.print_failure if self._print_errors else _outcome.raise_failure,
            protocol=self._proto,
            max_worker_deaths=max_worker_deaths,
            max_node_losses=max_node_losses,
            max_jobs_per_worker=1 if restart else max_jobs_per_worker,
            cancel_grace=float(cancel_grace),
            supply=supply,
            gpus=_resources.gpus(supply),
            shared_memory=shared_memory,
            writable_buffers=bool(writable_buffers),
            node_timeout=float(node_timeout),
            fail_alone=on_no_nodes == "raise",
        )
        self._callbacks = CallbackRunner(self._engine)
        _live.add(self._callbacks)
        # At the end of the program, `_end_all` sees to it.
        weakref.finalize(self, self._callbacks.abandon).atexit = False
        self._known = KnownFunctions()
        self._begin(self._engine, self._known, self._groups)
        if nodes:
            # Most servers have none, and `import pp` is to be quick.
            from pp._cluster import membership  # noqa: PLC0415

            try:
                membership.connect(self._engine, nodes, secret, secret_file, certificates)
            except BaseException:
                self._callbacks.stop()
                raise
        self._engine.resize(workers)
        _logger.info("pp local server started with %d workers", workers)

    def _submit_new(
        self,
        func: Callable[..., T],
        args: Iterable[Any],
        depfuncs: Iterable[Callable[..., Any]],
        modules: Iterable[str],
        callback: Callable[..., object] | None,
        callbackargs: Iterable[Any],
        group: Hashable,
        globals: dict[str, Any] | None,
        given: dict[str, Any],
    ) -> Job[T]:
        """What `submit` does with what it does not know from before, or not always does."""
        if not callable(func):
            raise TypeError(f"func must be callable, not {type(func).__name__!r}: {func!r:.100}")
        args = args if type(args) is tuple else _arguments.as_tuple("args", args)
        _arguments.check_callable("callback", callback)
        callbackargs = _arguments.as_tuple("callbackargs", callbackargs)
        if globals is not None and not isinstance(globals, dict):
            raise TypeError(f"globals must be a dictionary, not {type(globals).__name__!r}")
        if self._engine.destroyed:
            _refuse_submission()
        depfuncs, modules = (
            _arguments.as_tuple("depfuncs", depfuncs),
            _arguments.as_tuple("modules", modules),
        )
        asked = _asked.asked(given)
        packed = self._packer.pack(func, depfuncs, modules, globals, self._proto)
        function: Function
        if asked.kwargs or asked.retry_on:
            changes = {"keywords": bool(asked.kwargs), "retry_on": self._packed_types(asked)}
            function = self._register_form(packed, func, **changes)
            args = (args, asked.kwargs) if asked.kwargs else args
        else:
            function = packed.handle or self._register(packed, func)
        members = self._groups.get(group) or self._make_group(group)
        if callback is None:
            if not given:
                self._remember(func, depfuncs, modules, packed)
            job = self._engine.submit(function, args, members, asked.terms)
        else:
            on_end = Callback(
                callback, callbackargs, self._callbacks, on_failed_jobs=self._print_errors
            )
            job = self._callbacks.submit(function, args, members, asked.terms, on_end)
        if asked.name is not None:
            job._set_name(asked.name)
        return job

    @overload
    def job(self, func: Callable[P, T], /) -> JobFunction[P, T]: ...

    @overload
    def job(
        self, func: None = None, /, **options: Any
    ) -> Callable[[Callable[P, T]], JobFunction[P, T]]: ...

    def job(self, func: Callable[..., Any] | None = None, /, **options: Any) -> Any:
        """Makes a function one that this server runs by `func.submit(...)`, and that is
        called as before.

        As a decorator, with or without arguments; see `pp.job`:

            @server.job
            def area(radius): ...

            @server.job(timeout=60)
            def area(radius): ...
        """
        from pp._decorator import job  # noqa: PLC0415 - most programs need it not

        if func is None:
            return job(server=self, **options)
        return job(server=self, **options)(func)

    def put(self, obj: T) -> Ref[T]:
        """Keeps `obj`, as it is now, for any number of jobs.

        Each worker gets it once, however many jobs use it. A job that is given the
        `Ref`, as an argument or anywhere within one, finds the object itself in its
        place; large arrays in it share their memory among all jobs.

        Args:
            obj: anything that an argument may be. Equal content is kept once.

        Returns:
            The reference; `ref.get()` gives the object back. What it stands for is freed
            when the last reference and the last job that uses it have gone.

        Raises:
            SerializationError: it cannot be serialized; the message says why.
            DestroyedServerError: the server has been destroyed.
        """
        ref: Ref[T] = self._engine.put(obj)
        return ref

    def wait(self, group: Hashable | None = None) -> None:
        """Waits until all jobs of `group`, or all jobs if None, have ended and
        their callbacks have run.

        Raises:
            DestroyedServerError: the server was destroyed while jobs were pending.
        """
        self._engine.check_process()
        members = self._engine.all_jobs() if group is None else self._groups.get(group)
        if members is None:
            return
        while True:
            members.wait()
            job = next(self._callbacks.pending(group), None)
            if job is None:
                return
            job.wait()

    def cancel(self, group: Hashable | None = None) -> int:
        """Cancels all jobs of `group`, or all jobs if None, as `Job.cancel` does with one.

        Returns:
            How many there were that had not ended.
        """
        self._engine.check_process()
        members = self._engine.all_jobs() if group is None else self._groups.get(group)
        return 0 if members is None else members.cancel()

    def set_group(self, group: Hashable, *, weight: float = 1.0, limit: int | None = None) -> None:
        """Gives the jobs of a group, from the next one on, a share of their own.

        While jobs of several shares wait, the shares are served in proportion to their weights,
        by how long their jobs run. Jobs of groups that were not set are one share together, of
        weight 1. One that was idle saves up nothing.

        Args:
            group: the name of the group.
            weight: what it gets, in proportion to others. Default 1.
            limit: how many of its jobs may run, or be sent ahead to workers, at a time; 0 holds
                the group up. None: any number.

        Raises:
            TypeError, ValueError: an argument has the wrong type or value.
            DestroyedServerError: the server has been destroyed.
        """
        units = _arguments.weight_units(weight)
        if limit is not None:
            _arguments.check_limit(limit)
        members = self._groups.get(group) or self._make_group(group)
        # Kept, however many groups there are.
        self._set_groups[group] = members
        members.set_share(units, limit)

    def get_ncpus(self) -> int:
        """The number of local workers, as last set."""
        return self._ncpus

    def set_ncpus(self, ncpus: int | Literal["autodetect"] = "autodetect") -> None:
        """Sets the number of local workers.

        More are used as soon as they have started. If there are to be fewer, busy
        ones finish their jobs first. With 0, jobs run on nodes only; without nodes, they
        wait until there are workers again.

        Raises:
            TypeError, ValueError: `ncpus` is no number of workers.
            DestroyedServerError: the server has been destroyed.
        """
        workers = _arguments.worker_count(ncpus)
        self._engine.resize(workers)
        self._ncpus = workers

    def get_active_nodes(self) -> dict[str, int]:
        """The nodes that run jobs at the moment: names to numbers of workers.

        "local" is this machine. A node that has not been heard of for 1.5 s is left out.
        """
        nodes = self._engine.nodes()
        active = {name: slots for name, _, slots, *_, is_active in nodes if is_active}
        return {"local": self._ncpus, **active}

    def get_stats(self) -> dict[str, Statistics]:
        """What each node has done so far, by name."""
        jobs, seconds = self._engine.local_totals()
        stats = {"local": Statistics(self._ncpus, seconds, jobs)}
        for name, _, slots, done, took, *_ in self._engine.nodes():
            stats[name] = Statistics(slots, took, done)
        return stats

    def print_stats(self) -> None:
        """Prints what each node has done so far, as a table."""
        stats = self.get_stats()
        total = sum(node.njobs for node in stats.values())
        print("Job execution statistics:")
        print(" job count | % of all jobs | job time sum | time per job | job server")
        for name, node in stats.items():
            if node.njobs:
                print(
                    f"    {node.njobs:6d} |        {100.0 * node.njobs / total:6.2f} |"
                    f"     {node.time:8.4f} |  {node.time / node.njobs:11.6f} | {name}"
                )
        print(f"Time elapsed since server creation {time.time() - self._created}")
        print(f"{self._engine.all_jobs().pending} active tasks, {self._ncpus} cores")
        print()

    def destroy(self) -> None:
        """Ends the server. Returns when no worker, nor anything that a worker has
        started, is left.

        Jobs that have not ended fail with `DestroyedServerError`; results of those
        that have can still be asked for, but for large ones that were left at nodes for
        other jobs. A second call does nothing.
        """
        self._callbacks.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.destroy()

    def __repr__(self) -> str:
        state = "destroyed" if self._engine.destroyed else f"{self._ncpus} workers"
        return f"<pp.Server, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Server cannot be pickled or sent to a job; make a new one inside the job"
        )

    def _register(self, packed: PackedFunction, func: Callable[..., Any]) -> Function:
        function = packed.handle = self._engine.function(packed.blob, name_of(func))
        return function

    def _packed_types(self, asked: _asked.Asked) -> bytes:
        """The exceptions after which a job is tried again, as a worker gets them."""
        if asked.retry_on is None:
            return b""
        if asked.retry_on == (Exception,):
            return _EXCEPTION
        return dumps_args(asked.retry_on, self._proto, "retry_on", None)

    def _register_form(
        self, packed: PackedFunction, func: Callable[..., Any], **changes: Any
    ) -> Function:
        """What was packed, to be called in another way."""
        key = tuple(changes.items())
        function: Function | None = packed.forms.get(key)
        if function is None:
            blob = reformed(packed.blob, **changes)
            function = packed.forms[key] = self._engine.function(blob, name_of(func))
        return function

    def _remember(
        self,
        func: Callable[..., Any],
        depfuncs: tuple[Callable[..., Any], ...],
        modules: tuple[str, ...],
        packed: PackedFunction,
    ) -> None:
        """Lets the next submit of the same go the quick way."""
        known, place, guards = self._known, id(func), packed.guards
        if guards is None or len(packed.blob) > _MOST_REMEMBERED:
            return
        try:
            death = weakref.ref(func, lambda _: known.forget(place))
        except TypeError:
            return
        known.remember(func, depfuncs, modules, packed.path, guards, packed.handle, death)

    def _make_group(self, name: Hashable) -> Group:
        if len(self._groups) >= _MOST_GROUPS:
            for other, members in list(self._groups.items()):
                if not members.pending and other not in self._set_groups:
                    self._groups.pop(other, None)
        # One even if two threads come at once.
        return self._groups.setdefault(name, self._engine.group(name))


def _shipper(ship: Iterable[str | ModuleType]) -> Shipper:
    from pp._serialize.shipping import Shipper, names_of  # noqa: PLC0415 - only with nodes

    return Shipper(os.getcwd(), names_of(ship))  # noqa: PTH109 - as above


def _refuse_submission() -> NoReturn:
    raise DestroyedServerError("cannot submit jobs: the server has been destroyed")


# Each holds its server's engine, also when the server is not referred to any more.
_live: weakref.WeakSet[CallbackRunner] = weakref.WeakSet()
_owner = os.getpid()


def _end_all() -> None:
    """At the end of the program: leaves no worker behind."""
    if os.getpid() != _owner:
        # A forked child has no part in its parent's servers.
        return
    for runner in list(_live):
        runner.stop()
    _logging.stop()


def _enter_child() -> None:
    """In a forked child: its own servers are its own to end."""
    global _owner
    _owner = os.getpid()
    for runner in _live:
        runner.enter_child()
    _live.clear()


atexit.register(_end_all)
in_child(_enter_child)
