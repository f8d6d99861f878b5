"""BoonArt: search for paintings by what they show and how the things in them relate.

`boonart.Client` and `boonart.AsyncClient` speak to a running server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boonart.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    """The clients, imported when they are first asked for: the rest of the package does without them."""
    if name in __all__:
        from boonart import client

        return getattr(client, name)
    raise AttributeError(f"module 'boonart' has no attribute {name!r}")
