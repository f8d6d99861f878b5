"""One traced search over remote parts; writes its trace id. Arguments: encoder, reranker, collector."""

import asyncio
import sys

from rpc_support import COLLECTION, ColourIndex, as_index

from boonart.encoders.fake import FakeEncoder
from boonart.observability import configure_tracing, span, trace_id
from boonart.rpc.clients import RemoteEncoder, RemoteReranker
from boonart.search import Search
from boonart.works import Query


async def main(encoder_url: str, reranker_url: str) -> str:
    encoder, reranker = RemoteEncoder(encoder_url), RemoteReranker(reranker_url)
    await encoder.refresh()
    await reranker.refresh()
    search = Search(encoder, as_index(ColourIndex(FakeEncoder())), reranker)
    with span("query"):
        await search.run(Query(COLLECTION, text="red"))
        found = trace_id()
    await encoder.close()
    await reranker.close()
    return found


if __name__ == "__main__":
    stop = configure_tracing("a-test", sys.argv[3])
    sys.stdout.write(asyncio.run(main(sys.argv[1], sys.argv[2])))
    stop()
