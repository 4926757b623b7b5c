"""Who is compared."""

from __future__ import annotations

from importlib import import_module

from benches.suite.contestants.base import Contestant

# Where each is found: a process imports only the one that it measures.
_PLACES = {
    "pp": "ours:Ours",
    "pp-node": "nodes:OursByNode",
    "pool": "pool:Pool",
    "futures": "futures:Futures",
    "loky": "futures:Loky",
    "joblib": "joblib:Joblib",
    "mpire": "mpire:Mpire",
    "classic": "classic:Classic",
    "ppft": "classic:Ppft",
    "ray": "ray:Ray",
    "dask": "dask:Dask",
    "scaler": "scaler:Scaler",
    "classic-node": "nodes:ClassicByNode",
    "machine": "machine:Machine",
}

OURS = "pp"
MACHINE = "machine"
ALL = tuple(key for key in _PLACES if key != MACHINE)
# What goes over the network, this project first, and who takes part in nothing else.
OURS_BY_NODE = "pp-node"
CLUSTER = (OURS_BY_NODE, "dask", "ray", "scaler", "classic-node")
OWN = frozenset({OURS, OURS_BY_NODE})
LOCAL = tuple(key for key in ALL if key not in {OURS_BY_NODE, "scaler", "classic-node"})
QUICK = ("pp", "pool", "futures", OURS_BY_NODE)


def load(key: str) -> type[Contestant]:
    """The contestant of this name."""
    module, name = _PLACES[key].split(":")
    kind: type[Contestant] = getattr(import_module(f"{__name__}.{module}"), name)
    return kind
