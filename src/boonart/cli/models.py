"""`boonart models`: which models there are, and how to get others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from boonart.cli.output import JsonFlag, JsonLinesFlag, err, print_json, print_json_lines, print_table
from boonart.errors import ConfigurationError, InvalidRequest

app = typer.Typer(help="List, pull and import models.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: JsonFlag = False, as_lines: JsonLinesFlag = False) -> None:
    """The models on this machine, and where their weights come from."""
    from boonart.encoders.catalogue import list_models as installed
    from boonart.settings import read_settings

    models = installed(read_settings().models_folder)
    if as_json:
        print_json([model.as_json() for model in models])
        return
    if as_lines:
        print_json_lines(model.as_json() for model in models)
        return
    print_table(
        ["name", "kind", "size", "licence", "where"],
        [(model.name, model.kind, f"{model.size_bytes / 1e6:,.0f} MB", model.licence, model.where) for model in models],
        right={"size"},
    )


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help='Such as "open_clip:ViT-L-14/openai".')], as_json: JsonFlag = False
) -> None:
    """Fetch a model's weights ahead, so that nothing is fetched later."""
    from boonart.encoders.catalogue import pull_model
    from boonart.settings import read_settings

    where = pull_model(name, models_folder=read_settings().models_folder)
    if as_json:
        print_json({"name": name, "where": str(where)})
        return
    err.print(f"{name} is at {where}.")


@app.command("import")
def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A safetensors file or an original checkpoint; with --vitr three of them, or their folder."
        ),
    ],
    architecture: Annotated[str, typer.Option(help="open_clip's name of the architecture.")] = "",
    name: Annotated[str, typer.Option(help="Name to use the model by.")] = "",
    vitr: Annotated[bool, typer.Option("--vitr", help="Weights of VITR in its authors' layout.")] = False,
    encoder: Annotated[
        str, typer.Option(help="With --vitr: the encoder that they were trained on; the configured one by default.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Take a weight file into the models folder, after checking that it fits.

    With --vitr it takes a reranker: the state dicts of the image encoder, the text encoder and the similarity
    encoder, in this order; or a folder with the three; or one checkpoint with a list of them. Nothing in a file is
    run.

    Examples:
      boonart models import ViT-B-32.pt --architecture ViT-B-32/openai
      boonart models import --vitr image.pth text.pth similarity.pth --encoder open_clip:ViT-L-14/openai
    """
    from boonart.encoders.catalogue import import_model
    from boonart.settings import read_settings

    if vitr:
        imported = import_reranker(files, name=name, encoder=encoder)
        if as_json:
            print_json({"name": imported, "kind": "reranker"})
        return
    if len(files) != 1 or encoder:
        raise InvalidRequest("An encoder is one file or folder.", hint="Use --vitr for the three files of a reranker.")
    model = import_model(files[0], models_folder=read_settings().models_folder, architecture=architecture, name=name)
    if as_json:
        print_json({"name": model.name, "kind": "encoder"})
        return
    err.print(f"Imported. Use it as --encoder {model.name}, or set BOONART_ENCODER={model.name}.")


def import_reranker(files: list[Path], *, name: str, encoder: str) -> str:
    """Take VITR's weights in its authors' layout into the models folder; the name that they have there.

    Raises:
        ModelFileError: they cannot be read, or fit neither each other nor the encoder.
        ModelNotAvailable: the encoder is not on this machine, so that nothing can be compared.
        ConfigurationError: the name is taken.
    """
    from boonart.encoders.catalogue import load_encoder
    from boonart.encoders.models_folder import folder_name, install
    from boonart.settings import read_settings
    from boonart.vitr.authors import import_vitr
    from boonart.vitr.weights import shipped_models

    settings = read_settings(encoder=encoder or None)
    name = name or f"vitr-{folder_name(settings.encoder).strip('-')}"
    target = settings.models_folder / folder_name(name)
    if target.exists() or (shipped_models() / name).exists():
        raise ConfigurationError(f"The name {name!r} is taken.", hint="Choose another --name.", field="name")
    card = load_encoder(settings.encoder, models_folder=settings.models_folder, device="cpu").card
    about = {"name": name, "kind": "reranker", "where": "imported"}
    install(target, about, lambda folder: import_vitr(files, name=name, encoder_card=card, out=folder))
    err.print(
        f"Imported as {name}. Searches with {settings.encoder} use it from now on; "
        "collections take it up with `boonart reindex NAME`."
    )
    return name
