"""A reranker's whole process with the fake reranker in it; `BOONART_PAUSE` is how long one rerank takes, in seconds."""

import os
import sys

from rpc_support import FakeReranker

from boonart.encoders.fake import FakeEncoder
from boonart.rpc.process import run_process
from boonart.settings import read_settings_as
from boonart_services.reranker.main import RerankerParts, RerankerService
from boonart_services.reranker.settings import RerankerSettings


def build(_settings: RerankerSettings) -> RerankerParts:
    return RerankerParts(FakeReranker(pause=float(os.environ.get("BOONART_PAUSE", "0"))), FakeEncoder().card)


if __name__ == "__main__":
    chosen = read_settings_as(RerankerSettings)
    sys.exit(run_process(RerankerService(chosen, build), chosen))
