"""The text that is sent of a function is that of this very function."""

from __future__ import annotations

import argparse
import collections
import contextlib
import difflib
import enum
import json.decoder
import linecache
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pp._serialize.fingerprints import fingerprint
from pp._serialize.recompile import compile_source
from pp._serialize.sources import source_of

Load = Callable[[str], dict[str, Any]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Runs source text as a file; returns its globals."""

    def load(text: str) -> dict[str, Any]:
        file = tmp_path / "program.py"
        file.write_text(textwrap.dedent(text))
        names: dict[str, Any] = {"__name__": "program", "__file__": str(file)}
        exec(compile(file.read_text(), str(file), "exec", dont_inherit=True), names)
        return names

    return load


def recompiled(function: Any) -> Any:
    """A function like this one, of its text."""
    source = source_of(function.__code__)
    assert source.text is not None, source.why
    return types.FunctionType(
        compile_source(source),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )


def functions_of(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for value in vars(module).values():
        if isinstance(value, types.FunctionType):
            yield value
        elif isinstance(value, type) and value.__module__ == module.__name__:
            for inner in vars(value).values():
                if isinstance(inner, types.FunctionType):
                    yield inner


@pytest.mark.parametrize("module", [argparse, contextlib, difflib, enum, json.decoder])
def test_what_is_written_in_files_is_found(module: types.ModuleType) -> None:
    functions = [f for f in functions_of(module) if f.__code__.co_filename == module.__file__]
    assert len(functions) > 5
    lost = [f for f in functions if source_of(f.__code__).text is None]
    assert lost == []
    for function in functions:
        again = recompiled(function).__code__
        assert again.co_firstlineno == function.__code__.co_firstlineno
        assert again.co_qualname == function.__code__.co_qualname


def test_functions_alike_on_one_line(load: Load) -> None:
    program = load(
        """
        both = {"a": lambda x: x + 1, "b": lambda x: x - 1}
        values = [lambda: 1, lambda: True, lambda: 1.0, lambda: (0.0,), lambda: (-0.0,)]
        sets = [lambda x: x in {1, 2}, lambda x: x in {1, 3}]
        def outer(): return [lambda: "x", lambda: "y"]
        """
    )
    assert [recompiled(f)(5) for f in program["both"].values()] == [6, 4]
    said = [repr(recompiled(f)()) for f in program["values"]]
    assert said == ["1", "True", "1.0", "(0.0,)", "(-0.0,)"]
    assert [recompiled(f)(3) for f in program["sets"]] == [False, True]
    assert [recompiled(f)() for f in recompiled(program["outer"])()] == ["x", "y"]


def test_texts_within_functions_stay_as_they_are(load: Load) -> None:
    program = load(
        '''
        class A:
            @staticmethod
            def text():
                """A doc."""
                return """one
          two
        three"""
        name = "A"
        '''
    )
    text = program["A"].text
    assert recompiled(text)() == "one\n  two\nthree"
    assert recompiled(text).__doc__ == text.__doc__


def test_private_names_and_classes_around(load: Load) -> None:
    program = load(
        """
        class __A:
            __x = 1
            def get(self):
                def deeper():
                    return self.__x, __class__.__name__
                return deeper
            def of_global(self):
                return name
        A = name = __A
        """
    )
    instance = program["A"]()
    assert recompiled(program["A"].get)(instance)() == (1, "__A")
    assert recompiled(instance.get())() == (1, "__A")
    assert recompiled(program["A"].of_global)(instance) is program["A"]


def test_names_of_what_is_inside(load: Load) -> None:
    program = load(
        """
        def outer(free=3):
            def inner():
                class Deep:
                    def method(self):
                        return free
                return Deep, Deep().method()
            return inner
        """
    )
    inner = program["outer"]()
    deep, got = recompiled(inner)()
    assert got == 3
    assert deep.__qualname__ == "outer.<locals>.inner.<locals>.Deep"
    assert deep.method.__qualname__ == "outer.<locals>.inner.<locals>.Deep.method"


def test_features_of_the_future(load: Load) -> None:
    text = "def f():\n    def g(x: 1 + 1): pass\n    return g.__annotations__"
    assert recompiled(load(text)["f"])() == {"x": 2}
    future = load(f"from __future__ import annotations\n{text}")
    assert recompiled(future["f"])() == {"x": "1 + 1"}


@pytest.mark.parametrize(
    "change", ["x + 2", "x + True", "x - 1", "(lambda: x + 1)()", "x + 1 if x else 1"]
)
def test_a_file_that_was_edited(load: Load, change: str) -> None:
    function = load("def f(x):\n    return x + 1\n")["f"]
    # It is read again only if its time or its size are others.
    linecache.clearcache()
    load(f"def f(x):\n    return {change}\n")
    source = source_of(function.__code__)
    assert source.text is None
    assert "no longer" in source.why


def test_a_file_in_which_the_function_has_moved(load: Load) -> None:
    function = load("def f(x):\n    return x + 1\n")["f"]
    linecache.clearcache()
    load("def f(x):\n    return x - 1\n\n\nclass B:\n    def f(x):\n        return x + 1\n")
    # Another function, which does the same but for its name.
    assert recompiled(function)(1) == 2


def test_named_tuples() -> None:
    for fields in ("", "a", "a b c"):
        kind = collections.namedtuple("kind", fields)  # type: ignore[misc]  # noqa: PYI024
        values = range(len(fields.split()))
        assert recompiled(kind.__new__)(kind, *values) == tuple(values)


def test_what_has_no_text() -> None:
    names: dict[str, Any] = {}
    exec("def f(): return 1", names)
    source = source_of(names["f"].__code__)
    assert source.text is None
    assert source.name == "f"


def test_fingerprints_tell_what_differs() -> None:
    texts = ["1", "True", "1.0", "0.0", "-0.0", "0j", "-0j", "(1,)", "(True,)", "'1'", "b'1'"]
    texts += ["lambda: 1", "lambda: True", "x", "y", "x in {1, 2}", "x in {1, 2.0}", "x in {1}"]
    prints = {fingerprint(compile(text, "f", "eval")) for text in texts}
    assert len(prints) == len(texts)
    moved = [fingerprint(compile(text, text, "eval")) for text in ("f(1)", "f( 1 )", "(\nf(1))")]
    assert moved[0] == moved[1] == moved[2]
