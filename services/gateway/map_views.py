"""What the map's page shows, worked out beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from boonart.maps import SIDE, CollectionMap, Group
from boonart_services.gateway.work_views import Thumbnail

LISTED = 48
"""Works in view that are listed."""
ZOOM = 1.6
CLOSEST = 0.02
"""Smallest side of what is looked at, in parts of the map."""
ROOM = 0.03
"""Room around all works, in parts of the map's side."""
UNITS = 1_000
"""Side of the map in the units of its drawing."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the map that is looked at: its middle in parts of the map's side, and its size in parts of all."""

    x: float = 0.5
    y: float = 0.5
    side: float = 1.0

    @classmethod
    def of(cls, x: float, y: float, side: float) -> Window:
        """A window that lies on the map and is neither too large nor too small."""
        return cls(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0), min(max(side, CLOSEST), 1.0))

    @property
    def whole(self) -> bool:
        """It shows all."""
        return self.side >= 1

    def moved(self, across: float, down: float) -> Window:
        """The window that many of its own sides further."""
        return Window.of(self.x + across * self.side, self.y + down * self.side, self.side)

    def zoomed(self, by: float) -> Window:
        """The window with a side this many times smaller; all of the map from its middle."""
        side = self.side / by
        return Window.of(self.x, self.y, side) if side < 1 else Window()


@dataclass(frozen=True, slots=True)
class Label:
    """A named region, in units of the drawing.

    Attributes:
        size: of its letters.
        address: of the map with the region filling it.
    """

    name: str
    count: int
    x: float
    y: float
    size: float
    address: str


@dataclass(frozen=True, slots=True)
class MapView:
    """A map as the page shows it.

    Attributes:
        found: the map, or None while it is made for the first time.
        job: id of the job that makes it, or "".
        marked: points of the works that fit the query, best first.
        in_view: how many works lie in the window.
        works: the first of them.
    """

    collection: str
    found: CollectionMap | None
    window: Window = field(default_factory=Window)
    query: str = ""
    job: str = ""
    marked: Sequence[int] = ()
    in_view: int = 0
    works: Sequence[Thumbnail] = ()

    def address(self, window: Window) -> str:
        """Address of the map with this window."""
        values = {"collection": self.collection, "q": self.query}
        if not window.whole:
            values |= {"x": f"{window.x:.4f}", "y": f"{window.y:.4f}", "side": f"{window.side:.4f}"}
        return "/map?" + urlencode({name: value for name, value in values.items() if value})

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of all works, with some room around them, in parts of the map's side."""
        return extent_of(self.found) if self.found else (0.0, 0.0, 1.0, 1.0)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the window: it has the proportions of all works together."""
        return bounds_of(self.window, self.extent)

    @property
    def view_box(self) -> str:
        """The same for the drawing."""
        left, top, right, bottom = (value * UNITS for value in self.bounds)
        return f"{left:.1f} {top:.1f} {right - left:.1f} {bottom - top:.1f}"

    @property
    def whole(self) -> str:
        """Address of the whole map."""
        return self.address(Window())

    @property
    def labels(self) -> list[Label]:
        """The named regions of the map."""
        groups = self.found.groups if self.found else ()
        return [self._label(group) for group in groups if group.name]

    @property
    def marks(self) -> list[tuple[float, float]]:
        """Where the works that fit the query lie, in units of the drawing."""
        if self.found is None:
            return []
        return [
            (float(x) / SIDE * UNITS, float(y) / SIDE * UNITS) for x, y in self.found.places[list(self.marked)].tolist()
        ]

    @property
    def moves(self) -> list[tuple[str, str, str]]:
        """Steps on the map: name, sign and address; "" where a step leads nowhere."""
        window = self.window
        steps = [
            ("zoom_in", "+", window.zoomed(ZOOM)),
            ("zoom_out", "−", window.zoomed(1 / ZOOM)),
            ("left", "←", window.moved(-0.4, 0)),
            ("right", "→", window.moved(0.4, 0)),
            ("up", "↑", window.moved(0, -0.4)),
            ("down", "↓", window.moved(0, 0.4)),
        ]
        return [(name, sign, "" if there == window else self.address(there)) for name, sign, there in steps]

    @property
    def picture(self) -> str:
        """Address of the drawn map."""
        values = {"collection": self.collection, "v": self.found.digest if self.found else ""}
        return "/map/picture?" + urlencode(values)

    def _label(self, group: Group) -> Label:
        side = min(max(2.6 * group.radius / SIDE, 0.08), 0.6)
        there = Window.of(group.x / SIDE, group.y / SIDE, side)
        size = min(26.0, max(13.0, 9.0 + group.count**0.5)) * self.window.side
        return Label(group.name, group.count, group.x / SIDE * UNITS, group.y / SIDE * UNITS, size, self.address(there))


def extent_of(found: CollectionMap) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all works, with some room around them, in parts of the map's side."""
    if not len(found.places):
        return 0.0, 0.0, 1.0, 1.0
    left, top = (float(value) / SIDE - ROOM for value in found.places.min(axis=0))
    right, bottom = (float(value) / SIDE + ROOM for value in found.places.max(axis=0))
    return left, top, right, bottom


def bounds_of(window: Window, extent: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a window over works of this extent."""
    left, top, right, bottom = extent
    if window.whole:
        return extent
    across, down = window.side * (right - left) / 2, window.side * (bottom - top) / 2
    return window.x - across, window.y - down, window.x + across, window.y + down
