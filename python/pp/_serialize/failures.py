"""Exceptions as bytes, and back.

A failure travels as a list of exceptions: the one that was raised, and those that it
refers to by `__cause__`, `__context__` or as members of a group. Each has its type's
name, its message and its traceback as plain text, and beside it the pickled exception:
so whatever can be read of a failure is read.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from typing import NamedTuple

from pp._errors import JobError, SerializationError
from pp._serialize.at_node import explain_missing
from pp._serialize.remote_text import frames_text, last_lines, message_of, type_name

__all__ = ["capture", "print_classic", "restore", "unreadable_result"]

# More links than anybody reads.
_MOST_NODES = 100

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


class Node(NamedTuple):
    """One exception, as plain values. Others are named by their index in the list.

    Attributes:
        kind: the full name of its type.
        message: its `str()`.
        frames: the frames of its traceback, as text; empty if it has none.
        ending: the last lines of its traceback.
        notes: its notes.
        pickled: the exception and its `args`, pickled; None if that cannot be.
        problem: why it cannot be.
        cause: its `__cause__`, or None.
        context: its `__context__`, or None.
        suppress: its `__suppress_context__`.
        members: the members of a group.
    """

    kind: str
    message: str
    frames: str
    ending: str
    notes: tuple[str, ...]
    pickled: bytes | None
    problem: str
    cause: int | None
    context: int | None
    suppress: bool
    members: tuple[int, ...]


class _Failure(NamedTuple):
    """What travels: who raised it, where, and the exceptions, the raised one first."""

    pid: int
    where: str
    nodes: tuple[Node, ...]


def capture(exc: BaseException, *, where: str = "") -> bytes:
    """What a job raised, for `restore` in the client.

    Args:
        exc: the exception.
        where: what the worker was doing, such as "while it read the arguments"; by
            default nothing is said about it.

    Raises:
        Exception: a job has ruined this interpreter, so that nothing can be told and the
            worker is to be replaced. Anything else that goes wrong is told.
    """
    try:
        explain_missing(exc)
        return _dumped(where, _nodes_of(exc))
    except BaseException as error:
        if not _can_import():
            raise
        problem = f"its description failed with {type(error).__name__}"
        kind = type(exc).__qualname__
        ending = f"{kind}\n"
        node = Node(kind, "", "", ending, (), None, problem, None, None, suppress=False, members=())
        return _dumped(where, (node,))


def _can_import() -> bool:
    try:
        __import__("linecache")
    except BaseException:
        return False
    return __package__ in sys.modules


def _dumped(where: str, nodes: tuple[Node, ...]) -> bytes:
    return pickle.dumps((os.getpid(), where, tuple(map(tuple, nodes))), pickle.HIGHEST_PROTOCOL)


def _nodes_of(exc: BaseException) -> tuple[Node, ...]:
    # It takes long to import, and most workers never need it.
    from pp._serialize.chain import dumps_link  # noqa: PLC0415

    found = [exc]
    index_of = {id(exc): 0}
    for each in found:
        for other in (each.__cause__, each.__context__, *_members(each)):
            if other is not None and id(other) not in index_of and len(found) < _MOST_NODES:
                index_of[id(other)] = len(found)
                found.append(other)

    def index(other: BaseException | None) -> int | None:
        return None if other is None else index_of.get(id(other))

    nodes = []
    for each in found:
        pickled, problem = dumps_link(each, index_of)
        nodes.append(
            Node(
                kind=type_name(each),
                message=message_of(each),
                frames=frames_text(each),
                ending=last_lines(each),
                notes=_notes(each),
                pickled=pickled,
                problem=problem,
                cause=index(each.__cause__),
                context=index(each.__context__),
                suppress=each.__suppress_context__,
                members=tuple(index_of[id(m)] for m in _members(each) if id(m) in index_of),
            )
        )
    return tuple(nodes)


def _members(exc: BaseException) -> tuple[BaseException, ...]:
    return exc.exceptions if isinstance(exc, BaseExceptionGroup) else ()


def _notes(exc: BaseException) -> tuple[str, ...]:
    try:
        return tuple(note for note in exc.__notes__ if isinstance(note, str))
    except Exception:
        # It has none, or what it has are no notes.
        return ()


def restore(data: bytes) -> BaseException:
    """The exception that `capture` has described. Never raises what its reading raises.

    It has the type, the arguments, attributes, notes and chain of what was raised, and
    the traceback in the worker as one more note. Where it cannot be unpickled here, a
    `JobError` tells about it.
    """
    return _Restoration(_failure(data)).run()


def print_classic(data: bytes) -> str:
    """What the classic printed for a failed job: one line, and the traceback."""
    text = _Restoration(_failure(data)).text_of(0)
    return f"An error has occurred during the function execution\n{text}"


def unreadable_result(error: BaseException, number: int) -> SerializationError:
    """The error for the result of job `number`, when reading it raised `error`."""
    wrapped = SerializationError(
        f"the result of job {number} has arrived but cannot be unpickled here: "
        f"{type_name(error)}: {message_of(error)}. What jobs return has to be readable by "
        "the client: see __reduce__ or __setstate__ of its class"
    )
    wrapped.__cause__ = error
    return wrapped


def _failure(data: bytes) -> _Failure:
    pid, where, nodes = pickle.loads(data)
    return _Failure(pid, where, tuple(Node(*node) for node in nodes))


class _Restoration:
    """Makes the exceptions of one failure."""

    def __init__(self, failure: _Failure) -> None:
        self._failure = failure
        self._nodes = failure.nodes
        self._made: dict[int, BaseException] = {}
        self._begun: set[int] = set()

    def run(self) -> BaseException:
        """All exceptions, linked; returns the one that was raised."""
        for index in range(len(self._nodes)):
            self._get(index)
        for index, exc in self._made.items():
            # A class may refuse any of these.
            with contextlib.suppress(Exception):
                self._link(exc, self._nodes[index])
            with contextlib.suppress(Exception):
                exc.__notes__ = [*self._nodes[index].notes, *self._remote_note(index)]
        return self._made[0]

    def _link(self, exc: BaseException, node: Node) -> None:
        exc.__cause__ = None if node.cause is None else self._made[node.cause]
        exc.__context__ = None if node.context is None else self._made[node.context]
        exc.__suppress_context__ = node.suppress

    def _get(self, index: int) -> BaseException:
        made = self._made.get(index)
        if made is not None:
            return made
        if index in self._begun:
            # It is part of itself, and has to be told about before it is made.
            return self._stand_in(index, "it contains itself")
        self._begun.add(index)
        exc = self._make(index)
        self._made[index] = exc
        return exc

    def _make(self, index: int) -> BaseException:
        node = self._nodes[index]
        if node.pickled is None:
            return self._stand_in(index, node.problem)
        from pp._serialize.chain import loads_link  # noqa: PLC0415 - as for `capture`

        try:
            return loads_link(node.pickled, self._get)
        except (Exception, SystemExit, GeneratorExit) as error:
            why = f"it cannot be unpickled here: {type_name(error)}: {message_of(error)}"
            return self._stand_in(index, why)

    def _stand_in(self, index: int, problem: str) -> JobError:
        node = self._nodes[index]
        return JobError(
            f"the job raised {node.ending.strip()}\n(this is a JobError instead, since {problem})",
            type_name=node.kind,
            message=node.message,
            traceback=self.text_of(index),
        )

    def _remote_note(self, index: int) -> list[str]:
        node = self._nodes[index]
        where = f", {self._failure.where}" if self._failure.where else ""
        worker = f"worker process {self._failure.pid}{where}"
        if node.frames:
            return [f"Remote traceback ({worker}):\n{self._own_text(node).rstrip()}"]
        return [f"Raised in {worker}"] if index == 0 else []

    def _own_text(self, node: Node) -> str:
        head = "Traceback (most recent call last):\n" if node.frames else ""
        return f"{head}{node.frames}{node.ending}"

    def text_of(self, index: int) -> str:
        """The traceback of an exception with its chain, as Python prints it."""
        pieces: list[str] = []
        passed: set[int] = set()
        following: int | None = index
        while following is not None and following not in passed:
            passed.add(following)
            node = self._nodes[following]
            notes = "".join(f"{note}\n" for note in node.notes)
            pieces.append(f"{self._own_text(node)}{notes}{self._members_text(node)}")
            if node.cause is not None:
                pieces.append(_CAUSE)
                following = node.cause
            elif node.context is not None and not node.suppress:
                pieces.append(_CONTEXT)
                following = node.context
            else:
                following = None
        if following is not None:
            # The chain runs into itself.
            pieces.pop()
        return "".join(reversed(pieces))

    def _members_text(self, node: Node) -> str:
        texts = [self._own_text(self._nodes[member]) for member in node.members]
        return "".join(f"  | {line}\n" for text in texts for line in text.splitlines())
