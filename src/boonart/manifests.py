"""With what a collection was made, and whether that fits the configured models."""

from __future__ import annotations

from boonart.errors import ModelMismatch
from boonart.works import Manifest, ModelCard

SCHEMA_VERSION = 1
"""Form of the stored points; raised when points stored before can no longer be read as they are."""


def manifest_for(encoder: ModelCard, reranker: ModelCard | None = None) -> Manifest:
    """The manifest of a collection made with these models."""
    return Manifest(
        encoder_id=encoder.id,
        global_size=encoder.dimensions["D"],
        reranker_id=reranker.id if reranker else "",
        embed_size=reranker.dimensions["E"] if reranker else 0,
        schema_version=SCHEMA_VERSION,
    )


def check_manifest(
    manifest: Manifest, encoder: ModelCard, reranker: ModelCard | None = None, *, collection: str = "NAME"
) -> None:
    """Refuse models that the collection was not made with.

    A collection without a reranker's features is accepted with one: its answers are in global order.

    Raises:
        ModelMismatch: says what differs and the command that mends it.
    """
    hint = f"Run `boonart reindex {collection}`, or configure the models that it was made with."
    name = f"The collection {collection!r}"
    if manifest.schema_version != SCHEMA_VERSION:
        raise ModelMismatch(
            f"{name} is stored in form {manifest.schema_version}; this version reads form {SCHEMA_VERSION}.",
            hint=hint,
        )
    if manifest.encoder_id != encoder.id or manifest.global_size != encoder.dimensions["D"]:
        raise ModelMismatch(
            f"{name} was made with the encoder {manifest.encoder_id} (D = {manifest.global_size}); "
            f"configured is {encoder.id} (D = {encoder.dimensions['D']}).",
            hint=hint,
        )
    if reranker is None or not manifest.reranker_id:
        return
    if manifest.reranker_id != reranker.id or manifest.embed_size != reranker.dimensions["E"]:
        raise ModelMismatch(
            f"{name} was made with the reranker {manifest.reranker_id} (E = {manifest.embed_size}); "
            f"configured is {reranker.id} (E = {reranker.dimensions['E']}).",
            hint=hint,
        )
