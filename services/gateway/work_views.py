"""What the view of a single work shows, worked out beforehand so that its template only places it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from boonart.works import Candidate, Hit, StoredPicture, Work, subject_name
from boonart_services.gateway.asked import Asked, work_address
from boonart_services.gateway.details import PRESETS, Detail
from boonart_services.gateway.page_pictures import PagePicture, page_picture
from boonart_services.gateway.result_lists import Neighbours
from boonart_services.gateway.views import source_address, work_title
from boonart_services.gateway.word_maps import Looked

MORE = 12
"""Works in each row of "more like this"."""
FIRST_DETAIL = PRESETS["middle"]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A work as a small picture that leads to it.

    Attributes:
        shared: last parts of the subjects that it has in common with the work looked at.
    """

    title: str
    artist: str
    address: str
    picture: PagePicture | None
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of a work: its last part, which is searched for, and the whole path."""

    name: str
    path: str
    address: str


@dataclass(frozen=True, slots=True)
class WorkView:
    """A work with all that its view shows.

    Attributes:
        source: address of the source's own page, or "".
        extra: further fields of the record, with readable names.
        back: address of its place in the list of results that it was chosen from, or "".
        looked: where each word of the query looked, or None.
    """

    work: Work
    collection: str
    picture: PagePicture | None
    composed: bool
    came_from: str = ""
    neighbours: Neighbours = field(default_factory=Neighbours)
    looked: Looked | None = None
    looks: Sequence[Thumbnail] = ()
    subject: Sequence[Thumbnail] = ()
    detail: Detail = FIRST_DETAIL

    @property
    def title(self) -> str:
        """The work's title, or what stands for one."""
        return work_title(self.work)

    @property
    def description(self) -> str:
        """Its description; a composed one without the title that it begins with and that stands above it."""
        text = self.work.description.strip()
        if self.composed and (title := self.work.title.strip(" .")) and text.startswith(title):
            text = text.removeprefix(title).strip(" .;:,")
        return text

    @property
    def source(self) -> str:
        """Address of the source's own page."""
        return source_address(self.work)

    @property
    def source_host(self) -> str:
        """The source's name: the host of its address."""
        return self.source.partition("://")[2].partition("/")[0].removeprefix("www.")

    @property
    def back(self) -> str:
        """Address of its place in the list."""
        if not self.came_from:
            return ""
        return f"{self.came_from}#w{self.neighbours.rank}" if self.neighbours.rank else self.came_from

    @property
    def previous(self) -> str:
        """Address of the work before it in the list, or ""."""
        return self.neighbours.previous

    @property
    def next(self) -> str:
        """Address of the work after it in the list, or ""."""
        return self.neighbours.next

    @property
    def similar(self) -> str:
        """Address of the list of works that look like it."""
        return Asked(like=self.work.id, collection=self.collection).address()

    @property
    def by_artist(self) -> str:
        """Address of a search for its artist."""
        return Asked(text=self.work.artist, collection=self.collection).address()

    @property
    def subjects(self) -> list[Subject]:
        """Its subjects, each once."""
        named = {subject_name(path): path for path in self.work.subjects}
        return [
            Subject(name, path, Asked(text=name, collection=self.collection).address()) for name, path in named.items()
        ]

    @property
    def extra(self) -> list[tuple[str, str]]:
        """Further fields of the record by readable name."""
        return [(name.replace("_", " ").strip().capitalize(), str(value)) for name, value in self.work.extra.items()]

    @property
    def places(self) -> list[str]:
        """Names of the nine ready-made details, row by row."""
        return list(PRESETS)


def thumbnail(collection: str, work: Work, picture: StoredPicture, shared: Iterable[str] = ()) -> Thumbnail:
    """A work as a small picture that leads to its own view."""
    return Thumbnail(
        title=work_title(work),
        artist=work.artist,
        address=work_address(work.id, collection),
        picture=page_picture(collection, work.id, picture),
        shared=tuple(shared),
    )


def by_looks(collection: str, hits: Sequence[Hit]) -> list[Thumbnail]:
    """The hits of a search for works that look alike."""
    return [thumbnail(collection, hit.work, hit.picture) for hit in hits]


def by_subject(collection: str, work: Work, candidates: Sequence[Candidate]) -> list[Thumbnail]:
    """The works whose descriptions are nearest, each with the subjects that both have."""
    own = [subject_name(path) for path in work.subjects]
    found = []
    for candidate in candidates:
        if candidate.work.id == work.id:
            continue
        theirs = {subject_name(path) for path in candidate.work.subjects}
        found.append(
            thumbnail(collection, candidate.work, candidate.picture, [name for name in own if name in theirs][:3])
        )
    return found[:MORE]
