"""Client programs: what a user would run, in a process that a test may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil

from tests.failures.ledger import PATIENCE, Ledger
from tests.support import mapped_files

_PRELUDE = f"""\
import os, signal, subprocess, sys, threading, time
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
import pp
from tests.failures import jobs, trees
from tests.failures.ledger import Ledger
ledger = Ledger(os.environ["PP_TEST_LEDGER"])
# Who starts the tests in the background, or under nohup, has them ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGQUIT", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

def in_child(function):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # A child that hangs ends by this, and is seen to.
    signal.alarm(15)
    try:
        function()
        os._exit(0)
    except BaseException as error:
        import traceback
        traceback.print_exc()
        ledger.note(f"{{type(error).__module__}}.{{type(error).__name__}}: {{error}}")
        os._exit(1)
"""


class Client:
    """A running script.

    It knows `pp`, `jobs`, `trees`, its `ledger`, and `in_child`, which runs a function in a
    forked child, notes what it raises, and gives its exit code. It has a directory for temporary
    files of its own, and leads a session, so that no signal meant for it goes astray.
    """

    def __init__(self, script: str, folder: Path, **options: Any) -> None:
        folder.mkdir()
        self.folder = folder
        self.temp = folder / "temp"
        self.temp.mkdir()
        self.ledger = Ledger(str(folder / "ledger"))
        program = folder / "client.py"
        program.write_text(_PRELUDE + textwrap.dedent(script))
        environment = {
            **os.environ,
            **options.pop("env", {}),
            "PP_TEST_LEDGER": self.ledger.path,
            "TMPDIR": str(self.temp),
        }
        shared = Path("/dev/shm")
        self._shared = shared if shared.is_dir() else None
        self._shared_before = self._shared_files()
        options.setdefault("start_new_session", True)
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            options = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err, **options}
            self.process = subprocess.Popen(
                [sys.executable, str(program)], cwd=folder, env=environment, **options
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def signal(self, number: int) -> None:
        """Sends a signal to the client alone."""
        self.process.send_signal(number)

    def survives_interrupts(self, times: int = 3) -> None:
        """Interrupts each of its waits; it ends well afterwards, and none of them returned.

        Of each wait it notes "waits" and "interrupted", with its number; then "fine".
        """
        for turn in range(times):
            self.await_one(f"waits {turn}")
            # It may be a moment before it really waits; it may not matter.
            self.signal(signal.SIGINT)
            self.await_one(f"interrupted {turn}")
        self.await_one("fine")
        assert self.ends() == 0, self.said()
        assert "returned" not in self.ledger.words()

    def ends(self, patience: float = PATIENCE) -> int:
        """Waits for its end; gives its exit code, or minus a signal's number."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the client hangs; it wrote:\n{self.said()}") from None

    def out(self) -> str:
        """What it has written to standard output."""
        return (self.folder / "out").read_text()

    def err(self) -> str:
        """What it has written to standard error."""
        return (self.folder / "err").read_text()

    def said(self) -> str:
        """All that it has written, for a message."""
        return f"--- out\n{self.out()}\n--- err\n{self.err()}\n--- noted\n{self.ledger.words()}"

    def await_one(self, prefix: str) -> str:
        """What follows `prefix` in the first noted word that begins with it.

        Fails at once if the client ends before.
        """
        for _ in range(int(PATIENCE * 4)):
            try:
                return self.ledger.await_one(prefix, 0.25)
            except TimeoutError:
                if self.process.poll() is not None and not self.ledger.after(prefix):
                    break
        raise AssertionError(f"{prefix!r} never came; the client said:\n{self.said()}")

    def files_left(self) -> list[str]:
        """Temporary files and shared memory that were not there before."""
        temporary = [str(path) for path in self.temp.rglob("*")]
        shared = self._shared_files() - self._shared_before
        # Other programs have their own; what is left behind is in nobody's memory.
        return temporary + sorted(shared - mapped_files() if shared else shared)

    def clear_up(self) -> None:
        """Kills it, if it still runs, and collects it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)

    def children(self) -> list[psutil.Process]:
        """The processes that it has started itself."""
        return psutil.Process(self.pid).children()

    def _shared_files(self) -> set[str]:
        if self._shared is None:
            return set()
        return {str(path) for path in self._shared.iterdir()}
