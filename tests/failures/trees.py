"""What jobs start and leave running: children in every arrangement.

Each function notes "child PID" for every process that it starts. The children live for
two minutes if nobody kills them. Workers import this module; it is kept light.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from multiprocessing.pool import Pool

from tests.failures.ledger import Ledger

# Not `sleep`: a program of its own would make the test depend on what is installed.
_SLEEPER = "import threading; threading.Event().wait(120)"

_pools: list[Pool] = []


def _sleep() -> None:
    threading.Event().wait(120)


def _start(ledger: Ledger, **options: object) -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", _SLEEPER], **options)  # type: ignore[call-overload]
    ledger.note(f"child {child.pid}")


def child(ledger: Ledger) -> None:
    """A child of the usual kind."""
    _start(ledger)


def child_in_session(ledger: Ledger) -> None:
    """A child with a session of its own."""
    _start(ledger, start_new_session=True)


def child_in_group(ledger: Ledger) -> None:
    """A child with a process group of its own."""
    _start(ledger, process_group=0)


def child_with_bare_environment(ledger: Ledger) -> None:
    """A child that knows nothing of the environment, as `sudo` or `env -i` make them."""
    _start(ledger, env={"PP_TEST_TOKEN": os.environ["PP_TEST_TOKEN"]})


def session_with_bare_environment(ledger: Ledger) -> None:
    """A child of neither our environment nor our session."""
    bare = {"PP_TEST_TOKEN": os.environ["PP_TEST_TOKEN"]}
    _start(ledger, env=bare, start_new_session=True)


def daemon(ledger: Ledger) -> None:
    """A daemon after the book: forked, session, forked again, nobody's child."""
    up, there = os.pipe()
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        os.read(up, 1)
        os.close(up)
        os.close(there)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    ledger.note(f"child {os.getpid()}")
    os.write(there, b"!")
    _sleep()
    os._exit(0)


def deep(ledger: Ledger, depth: int = 12) -> None:
    """A line of processes, each the child of the one before, each in a session of its own."""
    pid = os.fork()
    if pid:
        # The tree stands before the job goes on.
        ledger.await_words("deep", patience=20)
        return
    os.setsid()
    ledger.note(f"child {os.getpid()}")
    if depth > 1:
        deep(ledger, depth - 1)
    else:
        ledger.note("deep")
    _sleep()
    os._exit(0)


def deaf(ledger: Ledger) -> None:
    """A child that ignores every signal that can be ignored."""
    script = (
        "import signal, threading\n"
        "for n in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except OSError: pass\n" + _SLEEPER
    )
    child = subprocess.Popen([sys.executable, "-S", "-c", script])
    ledger.note(f"child {child.pid}")


def forked_pool(ledger: Ledger) -> None:
    """A pool of forked processes."""
    _pool(ledger, "fork")


def spawned_pool(ledger: Ledger) -> None:
    """A pool of spawned processes, with the helpers that multiprocessing adds."""
    _pool(ledger, "spawn")


def _pool(ledger: Ledger, method: str) -> None:
    # A job's `__main__` is no file that a child could run again.
    pool = multiprocessing.get_context(method).Pool(2)
    pool.map(abs, range(4))
    for process in multiprocessing.active_children():
        ledger.note(f"child {process.pid}")
    _pools.append(pool)


def nested_server(ledger: Ledger) -> None:
    """A server of the job's own, whose jobs have children, too."""
    import pp

    server = pp.Server(2)
    _pools.append(server)  # type: ignore[arg-type]
    server.submit(child_in_session, (ledger,))()
    from tests.failures import jobs

    ledger.note(f"child {server.submit(jobs.own_pid)()}")
    server.submit(jobs.hold_asleep, (Ledger(ledger.path + ".nested"),))


KINDS = {
    kind.__name__: kind
    for kind in (
        child,
        child_in_session,
        child_in_group,
        child_with_bare_environment,
        session_with_bare_environment,
        daemon,
        deep,
        deaf,
        forked_pool,
        spawned_pool,
        nested_server,
    )
}


def plant(ledger: Ledger, kind: str) -> None:
    """Starts children and returns."""
    KINDS[kind](ledger)
    ledger.note("planted")


def plant_and_stay(ledger: Ledger, kind: str) -> None:
    """Starts children and goes on working."""
    plant(ledger, kind)
    _sleep()
