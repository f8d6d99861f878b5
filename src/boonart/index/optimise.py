"""Build the graph of a shard's files, in a process of its own: `python -m boonart.index.optimise FOLDER`.

The engine holds Python's interpreter lock while it builds (9 s for 20,000 vectors of 512 on two cores), so
inside a serving process every request would stand still meanwhile.
"""

from __future__ import annotations

import sys

import qdrant_edge


def main(folder: str) -> None:
    """Optimise the shard in `folder`, which no other process may have open."""
    shard = qdrant_edge.EdgeShard.load(folder)
    shard.optimize()
    shard.flush()
    shard.close()


if __name__ == "__main__":
    main(sys.argv[1])
