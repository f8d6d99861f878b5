"""Running Table II: encode, measure as it is, fine-tune, measure again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from boonart.evaluation.table2 import TEST_PAIRS, PairData, Row, encoded_pairs, measure
from boonart.ports import EncoderModel
from boonart.training.fine_tuning import Tuning, fine_tune
from boonart.training.vitr import Report
from boonart.training.vitr_features import PairFeatures, TrainingPicture, encode_training_set
from boonart.training.vitr_sources import altered_view
from boonart.vitr.weights import Checkpoint, load_checkpoint, save_checkpoint

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Table2Options:
    """What a run is asked for.

    Attributes:
        fine_tuned: fine-tune and measure again.
        candidates: how many are reranked.
        cache: folder for encoded features, kept between runs.
        out: folder for the fine-tuned weights.
    """

    cache: Path
    out: Path
    fine_tuned: bool = True
    candidates: int = 100
    device: str = "cpu"
    tuning: Tuning = field(default_factory=Tuning)


def run_table2(
    data: PairData,
    encoder: EncoderModel,
    start: Checkpoint | None,
    options: Table2Options,
    progress: Progress = lambda what, done, total: None,
) -> list[Row]:
    """The lines of the table: global vectors, reranked as shipped, and reranked after fine-tuning.

    Where the test split has fewer than 500 pairs, what needs no training is measured over all pairs, too.

    Args:
        start: the reranker's weights, or None where there are none for this encoder.
    """

    def encode(part: str, pictures: Sequence[TrainingPicture]) -> PairFeatures:
        return encode_training_set(encoder, f"table2-{data.name}-{part}", pictures, options.cache, progress=progress)

    test = encode("test", data.test)
    searched = encoded_pairs(test)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress("searching", done, max(done, 2 * len(data.test)))

    def line(key: str, method: str, checkpoint: Checkpoint | None) -> Row:
        return measure(
            key,
            method,
            searched,
            checkpoint,
            candidates=options.candidates,
            device=options.device,
            advance=advance,
        )

    rows = [line("global", "global vectors", None)]
    if start is not None:
        rows.append(line("zero_shot", f"{start.mixtures.default.value}, zero-shot", start))
    if options.fine_tuned:
        train, dev = encode("train", data.train), encode("dev", data.dev)
        mirrored = encode("train-mirrored", altered_view(data.train, 1, options.tuning.seed))
        tuned = _tune(start, encoder, [train, mirrored], dev, data, options, progress)
        rows.append(line("fine_tuned", f"{tuned.mixtures.default.value}, fine-tuned", tuned))
    if len(data.test) < TEST_PAIRS:
        searched = encoded_pairs(encode("train", data.train), encode("dev", data.dev), test)
        rows.append(line("global_all", "global vectors, all pairs", None))
        if start is not None:
            rows.append(line("zero_shot_all", f"{start.mixtures.default.value}, zero-shot, all pairs", start))
    return rows


def _tune(
    start: Checkpoint | None,
    encoder: EncoderModel,
    sets: Sequence[PairFeatures],
    dev: PairFeatures,
    data: PairData,
    options: Table2Options,
    progress: Progress,
) -> Checkpoint:
    """The fine-tuned weights, saved."""

    def tell(report: Report) -> None:
        progress(f"{report.head.value}, loss {sum(report.losses.values()):.3f}", report.step, report.steps)

    # Another start, other data or other settings are another run, which must not go on from this one's state.
    key = json.dumps(
        [encoder.card.id, start.card.id if start else "", sets[0].texts, dev.texts, asdict(options.tuning)]
    )
    state = options.out / f"state-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    tuned = fine_tune(
        start,
        encoder,
        sets,
        dev,
        state,
        name=f"{options.out.name}",
        tuning=options.tuning,
        device=options.device,
        progress=tell,
    )
    card = replace(tuned.card, data=f"{data.name}: {len(data.train)} pictures")
    save_checkpoint(replace(tuned, card=card), options.out)
    return load_checkpoint(options.out / "vitr.safetensors")
