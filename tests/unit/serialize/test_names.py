"""The classic ways to let a function see names: depfuncs, modules, globals."""

from __future__ import annotations

import math
import os
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pp._errors import SerializationError
from pp._serialize.functions import FunctionPacker


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that workers can import, and that lacks what its functions call."""
    name = f"library_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(
        "base = 10\n"
        "def root(x): return math.sqrt(x) + base\n"
        "def uses_helper(x): return helper(x) + base\n"
        "def own_helper(x): return math.floor(x)\n"
        "def uses_own_helper(x): return own_helper(x)\n"
        "def stores(x):\n    global kept\n    kept = x\n    return extra()\n"
        "def names(): return sorted(n for n in globals() if n[0] != '_')\n"
        "def nothing(): return base\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield __import__(name)
    sys.modules.pop(name)


def test_depfuncs_are_visible_to_the_function_and_to_each_other(worker: Any, define: Any) -> None:
    f = define("def f(x): return g(x) + '!'")["f"]
    g = define("def g(x): return h(x) * 2")["g"]
    # It calls back, so to speak: a function sees itself like a depfunc.
    h = define("class h:\n    def __new__(cls, x): return f.__name__ + str(x)")["h"]
    assert worker.submit(f, ("a",), (g, h)) == "fafa!"


def test_a_name_of_the_functions_own_module_comes_first(worker: Any, define: Any) -> None:
    f = define("def g(): return 'own'\ndef f(): return g()")["f"]
    g = define("def g(): return 'given'")["g"]
    assert worker.submit(f, (), (g,)) == "own"


@pytest.mark.parametrize(
    ("modules", "expression", "expected"),
    [
        (("math",), "math.floor(1.5)", 1),
        (("os.path",), "os.path.basename('a/b')", "b"),
        (("from math import floor",), "floor(1.5)", 1),
        (("from math import floor as ground, ceil",), "ground(1.5) + ceil(1.5)", 3),
        (("import math as m",), "m.floor(1.5)", 1),
        (("import os.path as way",), "way.basename('a/b')", "b"),
        (("from math import *",), "floor(1.5)", 1),
        (("import math, string",), "math.floor(1.5), string.digits", (1, "0123456789")),
        ((" math ", "string"), "math.floor(1.5), string.digits", (1, "0123456789")),
    ],
)
def test_modules(
    worker: Any, define: Any, modules: tuple[str, ...], expression: str, expected: object
) -> None:
    f = define(f"def f(): return {expression}")["f"]
    assert worker.submit(f, (), (), modules) == expected


def test_modules_are_visible_to_depfuncs(worker: Any, define: Any) -> None:
    f = define("def f(x): return g(x)")["f"]
    g = define("def g(x): return math.floor(x)")["g"]
    assert worker.submit(f, (1.5,), (g,), ("math",)) == 1


def test_modules_that_the_client_never_imported(worker: Any, define: Any) -> None:
    assert "this" not in sys.modules
    f = define("def f(): return this.__name__")["f"]
    assert worker.submit(f, (), (), ("this",)) == "this"
    assert "this" not in sys.modules


def test_a_module_that_is_missing_fails_the_job(worker: Any, define: Any) -> None:
    f = define("def f(): return 1")["f"]
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as caught:
        worker.submit(f, (), (), ("import no_such_module",))
    assert any("import no_such_module" in note for note in caught.value.__notes__)
    assert caught.value.name == "no_such_module"
    # What runs it is of no interest.
    assert not any("load.py" in note for note in caught.value.__notes__)
    with pytest.raises(ImportError, match="no_such_name"):
        worker.submit(f, (), (), ("from math import no_such_name",))
    assert worker.submit(f) == 1


def test_a_module_that_is_written_later_is_found(
    worker: Any, define: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    f = define("def f(): return late.VALUE")["f"]
    with pytest.raises(ModuleNotFoundError):
        worker.submit(f, (), (), ("late",))
    then = tmp_path.stat()
    (tmp_path / "late.py").write_text("VALUE = 3\n")
    # As if it had been written in the same tick of the file system's clock.
    os.utime(tmp_path, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert worker.submit(f, (), (), ("late",)) == 3


BAD_MODULES: list[tuple[object, type[Exception], str]] = [
    ("not a module", ValueError, "neither the name of a module nor an import statement"),
    ("", ValueError, "neither"),
    ("x = 1", ValueError, "neither"),
    ("import math; x = 1", ValueError, "neither"),
    ("import", ValueError, "neither"),
    ("1math", ValueError, "neither"),
    ("class", ValueError, "neither"),
    ("from . import x", ValueError, "relative"),
    (math, TypeError, "write 'math'"),
    (7, TypeError, "strings"),
    (["math"], TypeError, "strings"),
]


@pytest.mark.parametrize(("entry", "kind", "words"), BAD_MODULES)
def test_modules_that_make_no_sense(entry: Any, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        FunctionPacker().pack(len, (), (entry,))
    assert "modules" in str(caught.value)


@pytest.mark.parametrize("entry", [7, "isprime", None, math])
def test_depfuncs_that_make_no_sense(entry: Any) -> None:
    with pytest.raises(TypeError, match="depfuncs must hold functions and classes"):
        FunctionPacker().pack(len, (entry,))


def test_depfuncs_without_a_name() -> None:
    import functools

    with pytest.raises(TypeError, match="names to call them by"):
        FunctionPacker().pack(len, (functools.partial(len),))


def test_globals_give_modules_functions_and_classes(worker: Any, define: Any) -> None:
    namespace = define("""
        import math as m, os.path, string
        from math import floor
        def helper(x): return m.floor(x) + floor(x)
        class Thing: value = 3
        """)
    f = define("def f(x): return helper(x), Thing.value, os.path.sep, string.digits")["f"]
    assert worker.submit(f, (1.5,), globals=namespace) == (2, 3, "/", "0123456789")


def test_globals_that_cannot_be_serialized_are_left_out(worker: Any, define: Any) -> None:
    namespace = define("""
        import threading
        lock = threading.Lock()
        def helper(): return 1
        def unneeded(): return lock
        """)
    f = define("def f(): return helper()")["f"]
    assert worker.submit(f, (), globals=namespace) == 1


def test_globals_that_are_needed_have_to_be_serialized(define: Any) -> None:
    namespace = define("""
        import threading
        lock = threading.Lock()
        def helper(): return needed()
        def needed(): return lock
        """)
    f = define("def f(): return helper()")["f"]
    with pytest.raises(SerializationError, match=r"global 'lock' of function 'needed'"):
        FunctionPacker().pack(f, (), (), namespace)


def test_globals_are_looked_at_anew(worker: Any, define: Any) -> None:
    namespace = define("def helper(): return 1")
    f = define("def f(): return helper(), 'other' in globals()")["f"]
    assert worker.submit(f, globals=namespace) == (1, False)
    first = worker.last
    assert worker.submit(f, globals=namespace) == (1, False)
    assert worker.last is first
    exec("def helper(): return 2\ndef other(): pass", namespace)
    assert worker.submit(f, globals=namespace) == (2, True)


def test_globals_leave_out_dunders_values_and_pp(worker: Any, define: Any) -> None:
    namespace = define("""
        import pp._serialize.functions as ours
        from pp._serialize.load import load_function
        from pp._errors import PPError
        value = 3
        def helper(): return 1
        def __private__(): pass
        """)
    f = define("def f(): return sorted(n for n in globals() if not n == '__builtins__')")["f"]
    assert worker.submit(f, globals=namespace) == ["__name__", "f", "helper"]


def test_functions_of_modules_see_what_their_module_lacks(worker: Any, library: Any) -> None:
    assert worker.submit(library.root, (4,), (), ("math",)) == 12
    with pytest.raises(NameError):
        worker.submit(library.root, (4,))


def test_modules_do_not_change_by_what_is_given(worker: Any, library: Any, define: Any) -> None:
    names = worker.submit(library.names)
    helper = define("def helper(x): return x")["helper"]
    assert worker.submit(library.uses_helper, (1,), (helper,)) == 11
    assert worker.submit(library.root, (4,), (), ("math",)) == 12
    assert worker.submit(library.names) == names


def test_depfuncs_of_modules_see_the_names_too(worker: Any, library: Any, define: Any) -> None:
    f = define("def f(x): return root(x)")["f"]
    assert worker.submit(f, (4,), (library.root,), ("math",)) == 12
    # Both in one module, which has the one but not what that needs.
    given = (library.uses_own_helper, (1.5,), (library.own_helper,), ("math",))
    assert worker.submit(*given) == 1


def test_a_module_that_has_all_names_serves_its_own_function(worker: Any, library: Any) -> None:
    given = (library.nothing, (), (library.names,), ("from math import pi as base",))
    assert worker.submit(*given) == 10


def test_methods_and_partials_of_modules_see_the_names(worker: Any, library: Any) -> None:
    import functools

    assert worker.submit(functools.partial(library.root, 4), (), (), ("math",)) == 12
    method = types.MethodType(library.root, 4)
    assert worker.submit(method, (), (), ("math",)) == 12
