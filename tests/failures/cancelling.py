"""What jobs can be at when they are cancelled. Each is a function of a ledger."""

from __future__ import annotations

import itertools
import os
import signal
import threading
import time
from contextlib import suppress

import pp
from tests.failures.ledger import Ledger

# What a job can be in that hears of the cancel at once. Each is a function of the ledger.


def in_python(ledger: Ledger) -> None:
    ledger.note(f"holds {os.getpid()}")
    while True:
        pass


def in_a_generator(ledger: Ledger) -> int:

    ledger.note(f"holds {os.getpid()}")
    return sum(value for value in itertools.count())


def in_sleep(ledger: Ledger) -> None:
    ledger.note(f"holds {os.getpid()}")
    time.sleep(1000)


def in_short_sleeps(ledger: Ledger) -> None:
    ledger.note(f"holds {os.getpid()}")
    while True:
        with suppress(Exception):
            time.sleep(0.001)


def in_a_lock(ledger: Ledger) -> None:
    lock = threading.Lock()
    ledger.note(f"holds {os.getpid()}")
    lock.acquire()
    lock.acquire()


def in_pause(ledger: Ledger) -> None:
    ledger.note(f"holds {os.getpid()}")
    while True:
        signal.pause()


def in_a_pipe(ledger: Ledger) -> None:
    end, _other = os.pipe()
    ledger.note(f"holds {os.getpid()}")
    os.read(end, 1)


def in_asyncio(ledger: Ledger) -> None:
    import asyncio

    ledger.note(f"holds {os.getpid()}")
    asyncio.run(asyncio.sleep(1000))


def in_a_child(ledger: Ledger) -> None:
    import subprocess

    ledger.note(f"holds {os.getpid()}")
    subprocess.run(["sleep", "1000"], check=False)


def in_join_of_a_thread(ledger: Ledger) -> None:
    thread = threading.Thread(target=time.sleep, args=(3,), daemon=True)
    thread.start()
    ledger.note(f"holds {os.getpid()}")
    thread.join()


def in_a_pool(ledger: Ledger) -> None:
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        ledger.note(f"holds {os.getpid()}")
        pool.map(time.sleep, [1000, 1000])


def in_a_server(ledger: Ledger) -> None:
    with pp.Server(1) as server:
        job = server.submit(time.sleep, (1000,))
        ledger.note(f"holds {os.getpid()}")
        job()


HEARS = {
    function.__name__: function
    for function in (
        in_python,
        in_a_generator,
        in_sleep,
        in_short_sleeps,
        in_a_lock,
        in_pause,
        in_a_pipe,
        in_asyncio,
        in_a_child,
        in_join_of_a_thread,
    )
}


# What a job can do that hears nothing of it, or does not heed it


def heedless(ledger: Ledger) -> None:
    ledger.note(f"holds {os.getpid()}")
    while True:
        with suppress(BaseException):
            time.sleep(1000)


def in_c(ledger: Ledger) -> int:
    ledger.note(f"holds {os.getpid()}")
    return sum(range(10**12))


def in_c_without_the_gil(ledger: Ledger) -> None:
    import ctypes

    libc = ctypes.CDLL(None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGURG})
    ledger.note(f"holds {os.getpid()}")
    libc.sleep(1000)


def blocks_the_signal(ledger: Ledger) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.valid_signals()))
    ledger.note(f"holds {os.getpid()}")
    while True:
        time.sleep(1000)


def ignores_the_signal(ledger: Ledger) -> None:
    signal.signal(signal.SIGURG, signal.SIG_IGN)
    ledger.note(f"holds {os.getpid()}")
    time.sleep(1000)


def has_its_own_handler(ledger: Ledger) -> None:
    signal.signal(signal.SIGURG, lambda *_: ledger.note("handled"))
    ledger.note(f"holds {os.getpid()}")
    while True:
        time.sleep(1000)


def clears_up_for_ever(ledger: Ledger) -> None:
    try:
        ledger.note(f"holds {os.getpid()}")
        time.sleep(1000)
    finally:
        ledger.note("clears up")
        time.sleep(1000)


def in_a_finalizer(ledger: Ledger) -> None:
    """What is raised there, Python drops."""

    class Thing:
        def __del__(self) -> None:
            ledger.note(f"holds {os.getpid()}")
            time.sleep(1000)

    thing = Thing()
    del thing
    time.sleep(1000)


def stops_itself(ledger: Ledger) -> None:
    ledger.note(f"holds {os.getpid()}")
    os.kill(os.getpid(), signal.SIGSTOP)
    while True:
        with suppress(BaseException):
            time.sleep(1000)


DEAF = {
    function.__name__: function
    for function in (
        heedless,
        in_c,
        in_c_without_the_gil,
        blocks_the_signal,
        ignores_the_signal,
        has_its_own_handler,
        clears_up_for_ever,
        in_a_finalizer,
        stops_itself,
    )
}
