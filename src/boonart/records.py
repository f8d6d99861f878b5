"""What an ingest reads and what it reports: records of a source, progress, the summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from boonart.errors import BoonArtError
from boonart.ports import Renditions
from boonart.works import Picture, Work


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One record of a source.

    Attributes:
        read_picture: reads the picture file's bytes; raises RecordError where it cannot.
        place: where the record stands ("works.jsonl line 3"), for messages.
        description_composed: the description was made by a template from other fields.
    """

    work: Work
    read_picture: Callable[[], bytes]
    place: str
    description_composed: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be used.

    Attributes:
        work_id: "" where not even the id could be read.
        place: where the record stands in the source.
    """

    work_id: str
    place: str
    error: BoonArtError


class Source(Protocol):
    """Records of a collection in their own order; iterating again starts from the beginning."""

    def __iter__(self) -> Iterator[SourceRecord | Rejected]:
        """Records and what could not be read, without stopping at the latter.

        Raises:
            SourceError: the source cannot be read on.
        """

    def __len__(self) -> int:
        """How many records there are, good or bad."""


@dataclass(frozen=True, slots=True)
class PictureTools:
    """The functions that turn a picture file's bytes into what is encoded and stored.

    Attributes:
        decode: raises PictureError.
    """

    decode: Callable[[bytes], Picture]
    renditions: Callable[[bytes, Picture], Renditions]
    dominant_colour: Callable[[Picture], str]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands.

    Attributes:
        rate: works a second over the last batches.
        seconds_left: estimate, or None at the very start.
    """

    done: int
    total: int
    indexed: int
    unchanged: int
    quarantined: int
    rate: float
    seconds_left: float | None


@dataclass(slots=True)
class IngestReport:
    """What a run did.

    Attributes:
        added, updated: works stored, new or changed.
        unchanged: works skipped because they are stored as they are.
        quarantined: records and pictures that cannot be used.
        pruned: works removed because the source no longer has them.
        prune_refused: why nothing was pruned although it was asked for, or "".
        reasons: how often each kind of error occurred, by its stable code.
        seconds: time of the whole run.
        encode_seconds: time spent waiting for the encoder.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0
    pruned: int = 0
    prune_refused: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    encode_seconds: float = 0.0

    @property
    def indexed(self) -> int:
        """Works stored in this run."""
        return self.added + self.updated

    @property
    def done(self) -> int:
        """Records dealt with."""
        return self.indexed + self.unchanged + self.quarantined

    @property
    def ok(self) -> bool:
        """Nothing was quarantined and nothing that was asked for was refused."""
        return not self.quarantined and not self.prune_refused
