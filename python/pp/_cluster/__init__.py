"""Clusters, for the client and for the daemon: secrets, names, settings."""

from __future__ import annotations
