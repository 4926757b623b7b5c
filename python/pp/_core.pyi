"""The Rust core. Private: the package `pp` is its public face."""

import types
from collections.abc import Callable, Hashable, Iterable, Mapping
from pickle import PickleBuffer
from typing import Any, Generic, Self, SupportsIndex, TypeVar, final

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
    "WorkerSession",
    "__version__",
    "available_cpus",
    "close_log",
    "expand_node",
    "next_log",
    "resolve_ref",
    "set_log_level",
    "start_log",
    "undertake",
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
    ) -> Job[_T]: ...

@final
class Job(Generic[_T_co]):
    """A submitted job. Call it for its result."""

    def __call__(self, raw_result: bool = False) -> _T_co: ...
    def wait(self) -> None: ...
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
        shared_memory: int | None,
        writable_buffers: bool,
        node_timeout: float,
        fail_alone: bool,
    ) -> Engine: ...
    def function(self, blob: bytes, name: str | None) -> Function: ...
    def group(self, name: Any) -> Group: ...
    def all_jobs(self) -> Group: ...
    def submit(
        self, function: Function, args: tuple[Any, ...], group: Group, callback: bool
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
class WorkerSession:
    """A worker's session with the client that spawned it."""

    def __new__(cls) -> WorkerSession: ...
    def settings(self) -> bytes: ...
    def fault(self, text: str) -> None: ...
    def run(
        self,
        *,
        load_function: Callable[[bytes], Any],
        dump_result: Callable[[Any, int, BufferCollector | None], bytes],
        describe: Callable[[BaseException], bytes],
        output: Any,
        serialization_error: type[BaseException],
        protocol: int,
        writable_buffers: bool,
    ) -> None: ...

def resolve_ref(slot: int) -> Any: ...
def undertake() -> bool: ...
def available_cpus() -> int: ...
def start_log(level: int) -> None: ...
def set_log_level(level: int) -> None: ...
def next_log(timeout: float) -> tuple[int, str] | None: ...
def close_log() -> None: ...
