"""The gateway over coloured paintings with a reranker that looks for colours, as a process: PORT HOME."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvicorn
from gateway_support import colour_parts

from boonart.encoders.fake import COLOURS
from boonart.ports import RerankRequest
from boonart.works import (
    Candidate,
    Float16Array,
    Float32Array,
    ImageEmbedding,
    ModelCard,
    RerankScore,
    TextEmbedding,
    WordMap,
)
from boonart_services.gateway.main import create_app


class ColourReranker:
    """Believes in works whose title names a colour of the query; each word looks at a place of its own."""

    card = ModelCard("colour-relations", "reranker", "2" * 16, {"E": 8, "D": 32}, encoder_id="fake-32")

    async def prepare_images(self, images: Sequence[ImageEmbedding]) -> list[Float16Array]:
        return [image.tokens[:, :8] for image in images]

    async def prepare_texts(self, texts: Sequence[TextEmbedding]) -> list[Float16Array]:
        return [text.tokens[:, :8] for text in texts]

    async def rerank(self, request: RerankRequest) -> list[RerankScore]:
        found = [self._score(request, candidate) for candidate in request.candidates]
        return sorted(found, key=lambda score: -score.score)

    async def close(self) -> None:
        pass

    def _score(self, request: RerankRequest, candidate: Candidate) -> RerankScore:
        words: tuple[str, ...]
        if isinstance(request.query, TextEmbedding):
            words = request.query.words
        else:
            words = tuple(candidate.work.description.split())
        colour = next(iter(candidate.work.title.lower().split()), "")
        named = [word.lower() for word in words if word.lower() in COLOURS]
        relevance = 0.9 if colour in named else 0.004
        maps = tuple(WordMap(word, looked(place)) for place, word in enumerate(words)) if request.explain else ()
        return RerankScore(candidate.point_id, relevance + candidate.score / 10, 0.5, relevance, maps)


def looked(place: int) -> Float32Array:
    """A (7, 7) map that is strongest at a cell of its own: the first one at the upper left."""
    rows, columns = np.mgrid[0:7, 0:7]
    row, column = divmod(place * 11 % 49, 7)
    weights = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 3)
    return (weights / weights.sum()).astype(np.float32)


async def main(port: int, home: Path) -> None:
    async with colour_parts(home, reranker=ColourReranker()) as parts:  # type: ignore[arg-type]
        config = uvicorn.Config(create_app(parts), port=port, log_level="warning", access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
