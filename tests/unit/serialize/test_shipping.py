"""Which modules travel to nodes, and which do not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pp._serialize.shipping import Shipper, names_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project that can be imported from; what was imported is forgotten afterwards."""
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    before = set(sys.modules)
    yield root
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(root: Path, **files: str) -> None:
    """Writes modules: `a__b` stands for the file b of package a."""
    for name, text in files.items():
        path = root.joinpath(*name.split("__")).with_suffix(".py")
        for package in reversed(path.relative_to(root).parents):
            if package != Path():
                (root / package).mkdir(exist_ok=True)
                (root / package / "__init__.py").touch()
        path.write_text(text)


def names(shipper: Shipper) -> list[str]:
    """What travels."""
    return [module.name for module in shipper.modules()]


def test_loaded_modules_travel_with_what_they_may_import(project: Path) -> None:
    write(
        project,
        one="import two\n\ndef later():\n    from pack.deep import thing\n    import json\n",
        two="X = 1\n",
        three="Y = 2\n",
        pack__deep__thing="from ..other import Z\nfrom . import sibling\n",
        pack__deep__sibling="",
        pack__other="Z = 3\n",
        pack__unused="",
    )
    importlib.import_module("one")
    assert names(Shipper(str(project))) == [
        "one",
        "pack",
        "pack.deep",
        "pack.deep.sibling",
        "pack.deep.thing",
        "pack.other",
        "two",
    ]
    assert "pack.deep.thing" not in sys.modules, "nothing is imported to find out"


def test_what_is_installed_stays(project: Path) -> None:
    write(project, mine="import json, installed\n", **{"site-packages__installed": ""})
    sys.path.insert(0, str(project / "site-packages"))
    try:
        importlib.import_module("mine")
    finally:
        sys.path.pop(0)
    assert names(Shipper(str(project))) == ["mine"]
    assert names(Shipper(str(project.parent / "elsewhere"))) == []
    assert "json" not in names(Shipper("/"))


def test_what_is_named_travels_from_anywhere_as_a_whole(project: Path) -> None:
    write(project, pack__a="", pack__b__c="")
    (project / "pack" / "data.txt").write_text("no module")
    (project / "pack" / "not-a-name.py").write_text("")
    elsewhere = str(project.parent / "elsewhere")
    assert names(Shipper(elsewhere, ("pack",))) == ["pack", "pack.a", "pack.b", "pack.b.c"]
    assert names(Shipper(elsewhere, ("pack.b",))) == ["pack.b", "pack.b.c"]


def test_a_source_is_read_again_when_it_has_changed(project: Path) -> None:
    write(project, mine="X = 1\n")
    importlib.import_module("mine")
    shipper = Shipper(str(project))
    assert shipper.modules() == shipper.modules()
    write(project, mine="X = 22\n")
    (module,) = shipper.modules()
    assert (module.source, module.is_package) == ("X = 22\n", False)
    write(project, mine="X = = 3\n")
    assert names(shipper) == [], "nobody could import it"


def test_modules_are_packed_once(project: Path) -> None:
    shipper = Shipper(str(project))
    assert shipper.packed() == b"", "a function without any says so in no bytes"
    write(project, mine="X = 1\n" * 10_000)
    importlib.import_module("mine")
    packed = shipper.packed()
    assert packed is shipper.packed()
    assert len(packed) < 2_000
    write(project, mine="X = 22\n")
    assert shipper.packed() != packed
    write(project, mine="X = = 3\n")
    assert shipper.packed() == b""


def test_sources_are_read_in_their_own_encoding(project: Path) -> None:
    (project / "latin.py").write_bytes("# coding: latin-1\nX = 'é'\r\n".encode("latin-1"))
    importlib.import_module("latin")
    (module,) = Shipper(str(project)).modules()
    assert module.source == "# coding: latin-1\nX = 'é'\n"


def test_names_of_modules_are_checked() -> None:
    import json.decoder

    assert names_of([json.decoder, "a.b"]) == ("json.decoder", "a.b")
    with pytest.raises(TypeError, match="modules or their names"):
        names_of([5])
    with pytest.raises(ValueError, match="no name of a module"):
        names_of(["not/a/module"])
