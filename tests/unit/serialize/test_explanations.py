"""What cannot be serialized is named, with its place and what to do."""

from __future__ import annotations

import functools
import pickle
import re
import socket
import threading
from typing import Any

import pytest

from pp._errors import PPError, SerializationError
from pp._serialize.functions import FunctionPacker
from pp._serialize.values import dumps_args, dumps_result

LOCK = threading.Lock()


class Holder:
    def __init__(self, held: object) -> None:
        self.held = held

    def method(self) -> None:
        pass

    def __call__(self) -> None:
        pass


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held


def refused(function: Any, *rest: Any) -> str:
    with pytest.raises(SerializationError) as caught:
        FunctionPacker().pack(function, *rest)
    assert caught.value.__cause__ is not None
    return str(caught.value)


def refused_args(*args: Any) -> str:
    with pytest.raises(SerializationError) as caught:
        dumps_args(args, 5, "work")
    assert caught.value.__cause__ is not None
    return str(caught.value)


def test_the_whole_message() -> None:
    assert re.fullmatch(
        r"cannot serialize argument 2 of 'work': at args\[1\]\['lock'\] there is a "
        r"'_thread\.lock' object \(<unlocked _thread\.lock object at 0x\w+>\); "
        r"cannot pickle '_thread\.lock' object\. Locks work within one process: "
        r"leave it out, or make one inside the job\.",
        refused_args(1, {"lock": LOCK}),
    )


ARGUMENTS: dict[str, tuple[object, str]] = {
    "itself": (LOCK, "argument 1 of 'work': args[0] is a '_thread.lock' object"),
    "list": ([0, [LOCK]], "at args[0][1][0] there is"),
    "tuple": ((0, LOCK), "at args[0][1] there is"),
    "set": ({LOCK}, "an element of args[0] is"),
    "key": ({(1, LOCK): 1}, "in a key of args[0], at key[1] there is"),
    "attribute": (Holder([LOCK]), "at args[0].held[0] there is"),
    "slot": (Slotted(LOCK), "at args[0].held there is"),
    "method": (Holder(LOCK).method, "the method is bound to, at self.held there is"),
    "partial": (functools.partial(print, LOCK), "in args[0], args[0] of the partial is"),
    "exception": (ValueError(LOCK), "a part of args[0] is"),
}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_places_in_arguments(kind: str) -> None:
    value, words = ARGUMENTS[kind]
    message = refused_args(value)
    assert words in message
    assert "'_thread.lock' object" in message


FUNCTIONS = {
    "global": ("def f(): return lock", "function 'f': global 'lock' of function 'f' is a"),
    "in a global": (
        "cfg = {'db': [lock]}\ndef f(): return cfg",
        "in global 'cfg' of function 'f', at cfg['db'][0] there is a",
    ),
    "global of a helper": (
        "def g(): return lock\ndef f(): return g()",
        "in global 'g' of function 'f', global 'lock' of function 'g' is a",
    ),
    "closure": (
        "def make(held):\n    return lambda: held\nf = make(lock)",
        "closure variable 'held' of function 'make.<locals>.<lambda>' is a",
    ),
    "default": ("def f(a, b=lock): pass", "default argument 'b' of function 'f' is a"),
    "keyword default": ("def f(*, b=lock): pass", "default argument 'b' of function 'f' is a"),
    "attribute": ("def f(): pass\nf.held = lock", "attribute 'held' of function 'f' is a"),
    "annotation": ("def f(a: lock): pass", "annotation 'a' of function 'f' is a"),
    "class": ("class f:\n    held = lock", "class 'f': attribute 'held' of class 'f' is a"),
    "base": (
        "class B:\n    held = lock\nclass f(B): pass",
        "in base 'B' of class 'f', attribute 'held' of class 'B' is a",
    ),
    "property": (
        "class C:\n    @property\n    def p(self): return lock\ndef f(): return C",
        "in attribute 'p' of class 'C', global 'lock' of function 'C.p' is a",
    ),
    "static method": (
        "class f:\n    @staticmethod\n    def s(): return lock",
        "in attribute 's' of class 'f', global 'lock' of function 'f.s' is a",
    ),
    "cached": (
        "import functools\n@functools.cache\ndef f(): return lock",
        "global 'lock' of function 'f' is a",
    ),
    "partial": (
        "import functools\ndef g(): pass\nf = functools.partial(g, x=lock)",
        "a partial of function 'g': keyword 'x' of the partial is a",
    ),
    "method": (
        "class C:\n    def m(self): pass\nc = C()\nc.x = lock\nf = c.m",
        "method 'C.m': in the 'C' object that the method is bound to, at self.x there is a",
    ),
    "callable": (
        "class C:\n    def __call__(self): pass\nf = C()\nf.x = lock",
        "at self.x there is a",
    ),
}


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_places_in_functions(define: Any, kind: str) -> None:
    source, words = FUNCTIONS[kind]
    message = refused(define(f"import threading\nlock = threading.Lock()\n{source}")["f"])
    assert words in message
    assert "'_thread.lock' object" in message


def test_depfuncs_are_named(define: Any) -> None:
    program = define(
        "import threading\nlock = threading.Lock()\ndef g(): return lock\ndef f(): pass"
    )
    message = refused(program["f"], (program["g"],))
    assert "'g' of depfuncs: function 'g': global 'lock' of function 'g' is" in message


class Quarrelsome:
    def __reduce__(self) -> Any:
        raise LookupError("I stay here")


class Unspeakable:
    def __repr__(self) -> str:
        raise LookupError("no words")

    def __reduce__(self) -> Any:
        raise LookupError


def test_the_users_own_error_is_told() -> None:
    message = refused_args([Quarrelsome()])
    assert "pickling it raised LookupError: I stay here" in message
    assert "__reduce__ of 'Quarrelsome'" in message


def test_objects_that_cannot_be_shown() -> None:
    message = refused_args([Unspeakable()])
    assert "Unspeakable object at 0x" in message
    assert "pickling it raised LookupError" in message


def iter_of_nothing() -> Any:
    yield


def test_remedies() -> None:
    with socket.socket() as connection:
        assert "Open it inside the job instead" in refused_args(connection)
    assert "Send list(...) of it instead." in refused_args(iter_of_nothing())
    with open(__file__) as file:
        assert "Open it inside the job instead" in refused_args(file)


def test_deep_nesting() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "argument 2 of 'work': it is nested too deeply" in refused_args(1, deep)
    with pytest.raises(SerializationError, match="the result of the job: it is nested too"):
        dumps_result(deep)


def test_too_little_memory() -> None:
    class Huge:
        def __reduce__(self) -> Any:
            raise MemoryError

    assert "argument 1 of 'work': there is not enough memory" in refused_args(Huge())


def test_cycles_end() -> None:
    holder = Holder(None)
    holder.held = [holder, LOCK]
    assert "at args[0].held[1] there is" in refused_args(holder)


def test_the_search_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    from pp._serialize import diagnose

    monkeypatch.setattr(diagnose, "_PATIENCE", 0.0)
    assert "argument 1 of 'work': args[0] is" in refused_args([[[LOCK]]])


def test_messages_stay_short() -> None:
    assert len(refused_args({"x" * 10**6: [LOCK]})) < 1000
    assert len(refused_args([Holder("y" * 10**6), LOCK, "z" * 10**6])) < 1000


def test_it_is_a_pickling_error_and_ours() -> None:
    with pytest.raises(pickle.PicklingError) as caught:
        dumps_args((LOCK,))
    assert isinstance(caught.value, PPError)
    assert "argument 1: args[0]" in str(caught.value)


def test_interrupts_pass() -> None:
    class Interrupted:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dumps_args((Interrupted(),))
