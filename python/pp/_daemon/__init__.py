"""`ppserver`, the daemon that makes a machine a node of a cluster."""

from __future__ import annotations
