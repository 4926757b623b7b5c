"""What the tests let workers do. Workers import this module; it is kept light."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from tests.failures.ledger import Ledger


def echo(value: object) -> object:
    """Returns what it is given."""
    return value


def own_pid() -> int:
    """The worker."""
    return os.getpid()


def noted(ledger: Ledger, word: str) -> str:
    """Notes that it has run."""
    ledger.note(word)
    return word


def meet(room: Ledger, number: int) -> int:
    """Returns the worker once `number` of these run at a time."""
    room.note("here")
    room.await_words("here", number)
    return os.getpid()


def hold(ledger: Ledger) -> str:
    """Runs until somebody notes "go"."""
    ledger.note(f"holds {os.getpid()}")
    ledger.await_words("go", patience=60)
    return "went"


def hold_asleep(ledger: Ledger) -> str:
    """Runs for longer than any test, in one system call."""
    ledger.note(f"holds {os.getpid()}")
    threading.Event().wait(120)
    return "woke"


def spin(ledger: Ledger) -> NoReturn:
    """Computes for ever, in Python, and heeds nothing."""
    ledger.note(f"holds {os.getpid()}")
    while True:
        pass


def segfault() -> None:
    """Reads from address zero."""
    ctypes.string_at(0)


def exit_0() -> None:
    """Leaves as if all were well."""
    os._exit(0)


def exit_3() -> None:
    """Leaves with a code."""
    os._exit(3)


def abort() -> None:
    """Ends itself as C code does that finds itself broken."""
    os.abort()


def exhaust_c_stack() -> None:
    """Recurses in C, by a C function that calls itself without asking Python."""
    # qsort with a comparison that sorts again needs no compiler here.
    libc = ctypes.CDLL(None)
    sys.setrecursionlimit(10**9)
    # Python 3.12 has a limit of its own for C, which the usual stack is deep enough for.
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (2**19, most))
    block = (ctypes.c_int * 2)(2, 1)

    def sort_again(_a: object, _b: object) -> int:
        libc.qsort(block, 2, 4, compare)
        return 0

    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(sort_again)
    libc.qsort(block, 2, 4, compare)


def kill_self() -> None:
    """What the kernel does to one who asks for too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminate_self() -> None:
    """A polite end, which Python does not handle by itself."""
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def say_and_die(lines: int) -> None:
    """Writes to standard error, by Python and by descriptor, then exits."""
    for number in range(lines):
        print(f"last words {number}", file=sys.stderr)
    sys.stderr.flush()
    os.write(2, b"the very last words\n")
    os._exit(7)


def die_first(ledger: Ledger, times: int, word: str, die: Callable[[], object]) -> str:
    """Dies the first `times` times that it is run, by calling `die`; returns `word` then."""
    if ledger.note(word) <= times:
        die()
    return word


def die_always(ledger: Ledger, word: str, die: Callable[[], object]) -> None:
    """Notes the attempt, then dies."""
    ledger.note(word)
    die()
