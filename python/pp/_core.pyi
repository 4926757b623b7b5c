"""The Rust core. Private: the package `pp` is its public face."""

import os
import types
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from pickle import PickleBuffer
from typing import Any, Generic, Literal, Self, SupportsIndex, TypeVar, final

from typing_extensions import disjoint_base

from pp._serialize.values import BufferCollector

_T = TypeVar("_T")

_T_co = TypeVar("_T_co", covariant=True)

__all__ = [
    "DEFAULT_PORT",
    "Daemon",
    "Engine",
    "Function",
    "Group",
    "Guards",
    "Job",
    "KnownFunctions",
    "Ref",
    "Submitter",
    "Terms",
    "Watch",
    "WorkerSession",
    "__version__",
    "available_cpus",
    "close_log",
    "expand_node",
    "load_message",
    "next_log",
    "resolve_input",
    "resolve_ref",
    "set_log_level",
    "start_log",
    "undertake",
    "usable_memory",
]

__version__: str

@final
class Function:
    """A serialized function that jobs may name."""

    @property
    def digest(self) -> bytes: ...

@final
class Group:
    """A group of jobs that can be waited for."""

    @property
    def name(self) -> Any: ...
    @property
    def pending(self) -> int: ...
    def wait(self) -> None: ...
    def wait_below(self, count: int, timeout: float | None) -> bool: ...
    def withdraw(self) -> None: ...
    def cancel(self) -> int: ...
    def set_share(self, weight: int, limit: int | None) -> None: ...

@final
class Guards:
    """What has to be as it was, for a callable to be as it was."""

    def __new__(
        cls,
        *,
        root: tuple[Any, Any, Any] | None,
        functions: list[tuple[types.FunctionType, tuple[Any, Any, Any]]],
        names: list[tuple[dict[str, Any], str, Any]],
        missing: object,
        cells: list[tuple[types.CellType, Any]],
        mappings: list[tuple[Mapping[str, Any], tuple[Any, ...]]],
        submodules: list[str],
        registered: object,
        pure: bool,
    ) -> Guards: ...
    @property
    def pure(self) -> bool: ...
    def hold(self, root: Any) -> bool: ...

@final
class KnownFunctions:
    """Callables, by identity, with what they were serialized to."""

    def __new__(cls) -> KnownFunctions: ...
    def remember(
        self,
        func: Any,
        depfuncs: tuple[Any, ...],
        modules: tuple[Any, ...],
        path: list[str],
        guards: Guards,
        function: Function,
        death: object,
    ) -> None: ...
    def forget(self, place: int) -> None: ...

@disjoint_base
class Submitter:
    """The base of `Server`: takes jobs."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _begin(self, engine: Engine, known: KnownFunctions, groups: dict[Any, Group]) -> None: ...
    def submit(
        self,
        func: Callable[..., _T],
        args: Iterable[Any] = (),
        depfuncs: Iterable[Callable[..., Any]] = (),
        modules: Iterable[str] = (),
        callback: Callable[..., object] | None = None,
        callbackargs: Iterable[Any] = (),
        group: Hashable = "default",
        globals: dict[str, Any] | None = None,
        *,
        kwargs: Mapping[str, Any] | None = None,
        name: str | None = None,
        after: Job[Any] | Iterable[Job[Any]] = (),
        priority: int = 0,
        timeout: float | None = None,
        retries: int = 0,
        retry_on: type[BaseException] | tuple[type[BaseException], ...] | None = None,
        backoff: float = 0.1,
        resources: Mapping[str, float | str] | None = None,
    ) -> Job[_T]: ...

@final
class Job(Generic[_T_co]):
    """A submitted job. Call it for its result."""

    def __call__(self, raw_result: bool = False) -> _T_co: ...
    def __await__(self) -> Generator[Any, None, _T_co]: ...
    def wait(self) -> None: ...
    def result(self, timeout: float | None = None) -> _T_co: ...
    def exception(self, timeout: float | None = None) -> BaseException | None: ...
    def cancel(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def done(self) -> bool: ...
    def running(self) -> bool: ...
    def add_done_callback(self, fn: Callable[[Self], object], /) -> None: ...
    @property
    def state(self) -> Literal["queued", "running", "finished", "failed", "cancelled"]: ...
    @property
    def name(self) -> str: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...
    @property
    def node(self) -> str | None: ...
    @property
    def worker_pid(self) -> int | None: ...
    @property
    def attempts(self) -> int: ...
    @property
    def submitted_at(self) -> float: ...
    @property
    def started_at(self) -> float | None: ...
    @property
    def finished_at(self) -> float | None: ...
    @property
    def finished(self) -> bool: ...
    @property
    def tid(self) -> int: ...
    @property
    def group(self) -> Any: ...
    @property
    def _succeeded(self) -> bool: ...
    @property
    def _args_len(self) -> int: ...
    def _report(self) -> tuple[str, Any, bytes, int]: ...
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]: ...
    def debug(self, *, step: bool = False) -> Any: ...
    def save(self, path: str | os.PathLike[str]) -> None: ...
    def _record(self) -> tuple[bytes, bytes, list[bytes]] | None: ...
    def _announce(self) -> bool: ...
    def _withdraw(self) -> bool: ...
    def _is_away(self) -> bool: ...
    def _bring(self, patience: float) -> None: ...
    def _set_name(self, name: str) -> None: ...
    def _repr_html_(self) -> str: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> Any: ...

DEFAULT_PORT: int

def expand_node(name: str) -> list[str]: ...

@final
class Daemon:
    """A node of a cluster."""

    def __new__(
        cls,
        listen: list[tuple[str, int]],
        command: list[str],
        env: list[tuple[str, str]],
        *,
        name: str,
        python: tuple[int, int, int],
        workers: int,
        secret: bytes | None,
        certificates: tuple[str, str, str] | None,
        discovery: int | None,
        behind: list[str],
        dial: list[str],
        weights: list[tuple[str, int]],
        supply: list[tuple[str, int]],
        gpus: list[str],
        shared_memory: int | None,
        cache: int | None,
        restart: bool,
    ) -> Daemon: ...
    @property
    def addresses(self) -> list[tuple[str, int]]: ...
    def sessions(self) -> list[tuple[str, str, int, int, int, float, float]]: ...
    def done(self) -> tuple[int, int, float]: ...
    def drain(self, timeout: float) -> bool: ...
    def stop(self) -> None: ...

@final
class Engine:
    """Runs jobs in worker processes of this machine."""

    def __new__(
        cls,
        command: list[str],
        env: list[tuple[str, str]],
        settings: bytes,
        *,
        dumps: Callable[
            [tuple[Any, ...], int, str | None, Callable[[PickleBuffer], bool] | None], bytes
        ],
        on_failure: Callable[[BaseException], BaseException | None],
        protocol: int,
        max_worker_deaths: int,
        max_node_losses: int,
        max_jobs_per_worker: int | None,
        cancel_grace: float,
        supply: list[tuple[str, int]],
        gpus: list[str],
        shared_memory: int | None,
        writable_buffers: bool,
        node_timeout: float,
        fail_alone: bool,
    ) -> Engine: ...
    def function(self, blob: bytes, name: str | None) -> Function: ...
    def group(self, name: Any) -> Group: ...
    def all_jobs(self) -> Group: ...
    def submit(
        self,
        function: Function,
        args: tuple[Any, ...],
        group: Group,
        terms: Terms | None = None,
    ) -> Job[Any]: ...
    def set_callbacks(self, runner: Any) -> None: ...
    def put(self, object: Any) -> Ref[Any]: ...
    def resize(self, workers: int) -> None: ...
    def connect(
        self,
        nodes: list[str],
        secret: bytes | None,
        certificates: tuple[str, str, str] | None,
        name: str,
        python: tuple[int, int, int],
    ) -> None: ...
    def nodes(self) -> list[tuple[str, str, int, int, float, float, bool]]: ...
    def local_totals(self) -> tuple[int, float]: ...
    def totals(self) -> tuple[int, float]: ...
    def worker_pids(self) -> list[int]: ...
    def next_notice(self, timeout: float) -> int | None: ...
    def post_notice(self, number: int) -> None: ...
    def wake_notices(self) -> None: ...
    @property
    def destroyed(self) -> bool: ...
    def check_process(self) -> None: ...
    def destroy(self) -> None: ...

@final
class Ref(Generic[_T_co]):
    """Something that was put into a server. Given to a job as an argument, or anywhere
    within one, it arrives as the object itself."""

    def get(self) -> _T_co: ...
    @property
    def size(self) -> int: ...
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> Any: ...

@final
class Terms:
    """What is asked for a job beyond the plain."""

    def __new__(
        cls,
        *,
        priority: int,
        time_limit: float | None,
        retries: int,
        pause: float,
        max_pause: float,
        retries_timeouts: bool,
        slots: int,
        amounts: list[tuple[str, int]],
        after: list[Job[Any]],
        name: str | None,
    ) -> Self: ...

@final
class Watch:
    """Tells of ends of jobs, of any servers."""

    def __new__(cls) -> Self: ...
    def add(self, job: Job[Any], number: int) -> bool: ...
    def next(self, timeout: float | None) -> int | None: ...

@final
class WorkerSession:
    """A worker's session with the client that spawned it."""

    def __new__(cls) -> WorkerSession: ...
    def settings(self) -> bytes: ...
    def fault(self, text: str) -> None: ...
    def is_to_end(self) -> bool: ...
    def note_errors(self) -> None: ...
    def run(
        self,
        *,
        load_function: Callable[[bytes], Any],
        dump_result: Callable[[Any, int, BufferCollector | None], bytes],
        describe: Callable[[BaseException], bytes],
        output: Any,
        errors: Any,
        share: Any,
        serialization_error: type[BaseException],
        protocol: int,
        writable_buffers: bool,
        max_memory: int | None,
    ) -> None: ...

def resolve_ref(slot: int) -> Any: ...
def resolve_input(slot: int) -> Any: ...
def load_message(message: bytes, parts: list[bytes]) -> Any: ...
def undertake() -> bool: ...
def available_cpus() -> int: ...
def usable_memory() -> int: ...
def start_log(level: int) -> None: ...
def set_log_level(level: int) -> None: ...
def next_log(timeout: float) -> tuple[int, str] | None: ...
def close_log() -> None: ...
