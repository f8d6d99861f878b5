"""The Python client of a BoonArt server: `Client`, `AsyncClient`. Needs httpx alone; neither torch nor grpc."""

from boonart.client.asynchronous import AsyncClient
from boonart.client.results import FoundWork, Page, WordMap
from boonart.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "FoundWork", "Page", "WordMap"]
