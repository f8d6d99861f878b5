"""One ingest with the fake encoder, as a process that a test can kill: `driver.py SOURCE HOME`."""

import asyncio
import sys
from pathlib import Path

from boonart.encoders.batching import BatchingEncoder
from boonart.encoders.fake import FakeEncoder
from boonart.encoders.pictures import decode, dominant_colour, renditions
from boonart.index.edge import EdgeIndex
from boonart.index.picture_store import FilePictureStore
from boonart.indexing import ingest
from boonart.records import PictureTools, Progress
from boonart_ingest.quarantine import QuarantineFile
from boonart_ingest.sources import open_source


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(now: Progress) -> None:
    say(f"done {now.done} {now.indexed}")


async def run(source: Path, home: Path) -> None:
    index = EdgeIndex(home / "collections")
    encoder = BatchingEncoder(FakeEncoder())
    tools = PictureTools(decode, renditions, dominant_colour)
    say("started")
    try:
        with QuarantineFile(home / "quarantine.jsonl") as quarantine:
            report = await ingest(
                open_source(source),
                "works",
                encoder,
                index,
                FilePictureStore(home / "pictures"),
                tools,
                batch_size=4,
                on_progress=tell,
                on_quarantine=quarantine.add,
            )
        say(f"finished {report.added} {report.unchanged} {report.quarantined}")
    finally:
        await encoder.close()
        await index.close()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2])))
