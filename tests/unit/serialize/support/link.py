"""A client's link to a worker: what the extension module does, in plain Python.

    worker = link.Worker()
    worker.call(func, *args)                     the result, or what it raised
    worker.submit(func, args, depfuncs, ...)     the same, with all that a submit has

Each `Worker` is a process of its own with an empty `__main__`.
"""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import types
from pathlib import Path
from typing import IO, Any

import light_pp

light_pp.install()

from pp._serialize.failures import capture, print_classic, restore, unreadable_result  # noqa: E402
from pp._serialize.functions import FunctionPacker, PackedFunction  # noqa: E402
from pp._serialize.values import dumps_args, dumps_result, loads  # noqa: E402


def send(pipe: IO[bytes], message: tuple[Any, ...]) -> None:
    data = pickle.dumps(message)
    pipe.write(struct.pack("!Q", len(data)) + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> tuple[Any, ...]:
    header = pipe.read(8)
    if len(header) < 8:
        raise EOFError
    message: tuple[Any, ...] = pickle.loads(pipe.read(struct.unpack("!Q", header)[0]))
    return message


class Worker:
    """One worker process and the client's half of its conversation."""

    def __init__(self) -> None:
        self.packer = FunctionPacker()
        here = str(Path(__file__).resolve().parent)
        start = f"import sys; sys.path.insert(0, {here!r}); import link; link.serve()"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.last: PackedFunction | None = None
        self.failure = b""

    def call(self, func: Any, *args: Any) -> Any:
        return self.submit(func, args)

    def submit(self, func: Any, args: tuple[Any, ...] = (), *rest: Any, **options: Any) -> Any:
        self.last = self.packer.pack(func, *rest, **options)
        return self.run(self.last.blob, dumps_args(args))

    def run(self, blob: bytes, args: bytes) -> Any:
        """What a job comes to, for bytes that were made before."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        send(self.process.stdin, (blob, args))
        status, data = receive(self.process.stdout)
        if status == "value":
            try:
                return loads(data)
            except Exception as error:
                raise unreadable_result(error, 7) from error
        self.failure = data
        raise restore(data)

    def classic_text(self) -> str:
        """What `errors="print"` prints for the last failure."""
        return print_classic(self.failure)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def serve() -> None:
    """The worker: runs jobs as they come."""
    from pp._serialize.load import load_function

    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    sys.modules["__main__"] = types.ModuleType("__main__")
    ready: dict[bytes, Any] = {}
    while True:
        try:
            blob, args = receive(requests)
        except EOFError:
            return
        try:
            target = ready.get(blob)
            if target is None:
                loaded = load_function(blob)
                target = loaded.target
                if loaded.reusable:
                    ready[blob] = target
            answer = ("value", dumps_result(target(*loads(args))))
        except BaseException as error:
            # The extension module has no frame of its own.
            error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
            answer = ("raised", capture(error))
        send(answers, answer)
