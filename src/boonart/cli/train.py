"""`boonart train`: the starter encoder, and the relation network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import platformdirs
import typer

from boonart.cli.evaluate import data_folder
from boonart.cli.output import JsonFlag, err, print_figures, print_json, progress_bar, progress_lines

if TYPE_CHECKING:
    from boonart.training.vitr import VitrTraining

app = typer.Typer(help="Train the models that the project ships, or your own.", no_args_is_help=True)

CacheOption = Annotated[
    Path | None,
    typer.Option(help="Folder for encoded features, kept between runs.", envvar="BOONART_CACHE"),
]


@app.command()
def encoder(
    data: Annotated[Path | None, typer.Option(help="Folder with flickr8k; as for evaluate.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for weights, card and checkpoints.")] = Path(
        "trained/starter"
    ),
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train the starter encoder's tuned part on Flickr8k, choosing by its dev split.

    Interrupted, the same command goes on with the next epoch.
    """
    from boonart.training.encoder import train_encoder
    from boonart.training.encoder_export import export_encoder
    from boonart.training.encoder_run import EncoderTraining

    config = EncoderTraining(seed=seed)
    with progress_bar() as bar:
        result = train_encoder(
            config,
            data_folder(data),
            out,
            cache=cache_folder(cache),
            progress=progress_lines(bar),
            log=lambda line: bar.console.print(line),
        )
    figures = {f"flickr8k.dev.{name}": value for name, value in result.figures.items()}
    card = export_encoder(result.network, config, out, figures)
    if as_json:
        print_json({"model": card.id, "folder": str(out), "figures": figures})
        return
    print_figures(f"{card.id}, {result.seconds:.0f} s", figures)
    err.print(f"The weights are in {out}.")


@app.command()
def vitr(
    data: Annotated[
        list[Path],
        typer.Option(
            "--data",
            help="Captioned pictures: captions.jsonl, works.jsonl, Karpathy JSON or RefCOCOg, by path; or masters, "
            "flickr8k or sample by name.",
        ),
    ],
    encoder: Annotated[str, typer.Option(help="Encoder whose features are compared.")] = "starter",
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for weights, card and state.")] = Path(
        "trained/vitr-starter"
    ),
    preset: Annotated[
        str,
        typer.Option(
            help="starter; paper: the paper's sizes, loss and schedule; or, to go on with --start, further, or roles: "
            "the role tokens alone."
        ),
    ] = "starter",
    start: Annotated[
        str, typer.Option(help="Weights to go on from: auto for those that searches use, a name or a path.")
    ] = "",
    scenes: Annotated[int, typer.Option(help="Generated scenes to train on beside the data.", min=0)] = 4000,
    hard_scenes: Annotated[
        int, typer.Option(help="More scenes to look through for hard kinds of relation.", min=0)
    ] = 12000,
    companions: Annotated[
        int, typer.Option(help="Scenes of two of a kind and of coloured cloths besides.", min=0)
    ] = 2500,
    rare_scenes: Annotated[
        int, typer.Option(help="More scenes to look through for things that are seldom drawn.", min=0)
    ] = 60000,
    replaced_scenes: Annotated[
        int, typer.Option(help="Scenes in pairs that differ in one kind of thing or in its colour.", min=0)
    ] = 8000,
    hard_replaced_scenes: Annotated[
        int, typer.Option(help="More of these to look through for things on others and still lifes.", min=0)
    ] = 0,
    tagged_scenes: Annotated[
        int, typer.Option(help="Scenes in pairs, one as it is and one painted, with short queries alone.", min=0)
    ] = 0,
    dev_scenes: Annotated[int, typer.Option(help="Generated scenes to choose by.", min=0)] = 400,
    views: Annotated[int, typer.Option(help="Of each picture: itself, mirrored, then random crops.", min=1)] = 3,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    cache: CacheOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train the relation network on an encoder's features.

    Interrupted, the same command goes on where it stopped.
    """
    from boonart.encoders.catalogue import load_encoder
    from boonart.evaluation.datasets import find_data
    from boonart.settings import read_settings
    from boonart.training.vitr import Report
    from boonart.training.vitr_run import VitrData, train_vitr
    from boonart.vitr.weights import find_weights, load_checkpoint

    chosen = _training(preset, start)
    paths = tuple(path if path.exists() else find_data(str(path), data_folder(None)) for path in data)
    settings = read_settings()
    model = load_encoder(encoder, models_folder=settings.models_folder, device=settings.device)
    begun = None
    if start:
        begun = load_checkpoint(find_weights(start, encoder_id=model.card.id, models_folder=settings.models_folder))
    with progress_bar() as bar:
        tasks = progress_lines(bar)

        def tell(report: Report) -> None:
            loss = sum(report.losses.values())
            tasks(f"{report.head.value}, loss {loss:.3f}", report.step, report.steps)

        card = train_vitr(
            replace(chosen, seed=seed),
            model,
            VitrData(
                paths,
                cache_folder(cache),
                scenes=scenes,
                hard_scenes=hard_scenes,
                companions=companions,
                rare_scenes=rare_scenes,
                replaced_scenes=replaced_scenes,
                hard_replaced_scenes=hard_replaced_scenes,
                tagged_scenes=tagged_scenes,
                dev_scenes=dev_scenes,
                seed=seed,
                views=views,
            ),
            out,
            start=begun,
            paper_sizes=preset == "paper",
            device=settings.device,
            encoding=tasks,
            progress=tell,
        )
    if as_json:
        print_json({"model": card.id, "folder": str(out), "figures": dict(card.figures)})
        return
    print_figures(card.id, card.figures)
    err.print(f"The weights are in {out}.")


def _training(preset: str, start: str) -> VitrTraining:
    """The preset of this name.

    Raises:
        InvalidRequest: there is none, or it goes on from weights and no `start` is named.
    """
    from boonart.errors import InvalidRequest
    from boonart.training.vitr_presets import further_preset, paper_preset, roles_preset, starter_preset

    going_on = {"further": further_preset, "roles": roles_preset}
    presets = {"starter": starter_preset, "paper": paper_preset, **going_on}
    if preset not in presets:
        raise InvalidRequest(
            f"There is no preset {preset!r}.", hint="Choose starter, paper, further or roles.", field="preset"
        )
    if preset in going_on and not start:
        raise InvalidRequest(
            f"The preset {preset} goes on from weights, and none are named.", hint="Add --start auto.", field="start"
        )
    return presets[preset]()


def cache_folder(given: Path | None) -> Path:
    """The folder for encoded features: as given, or the user's cache."""
    return given or Path(platformdirs.user_cache_dir("boonart"))
