"""The command line: one `boonart`, a module a group of commands.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 failed, 2 wrong usage,
4 a server that asks for a key, 5 an ingest that quarantined something, 130 interrupted.
"""

from __future__ import annotations

import sys

import typer

from boonart.cli import (
    bench,
    bench_rerank,
    config,
    doctor,
    evaluate,
    explain,
    ingest,
    keys,
    models,
    paper,
    representations,
    sample,
    search,
    serve,
    snapshots,
    table2,
    train,
)
from boonart.cli.output import fail
from boonart.errors import BoonArtError, ConfigurationError, Forbidden, Unauthenticated

KEY_NEEDED = 4
"""Exit code where a server asks for a key, or for one that reaches further."""

app = typer.Typer(
    name="boonart",
    help="Search paintings by what they show and how the things in them relate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

search.register(app)
ingest.register(app)
representations.register(app)
serve.register(app)
doctor.register(app)
sample.register(app)
explain.register(app)
app.add_typer(models.app, name="models")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
table2.register(paper.app)
app.add_typer(paper.app, name="paper")
bench_rerank.register(bench.app)
app.add_typer(bench.app, name="bench")
app.add_typer(snapshots.app, name="snapshots")


def main() -> None:
    """Run the command line; a mistake of the user's gives one clear sentence, never a traceback."""
    as_json = any(word in {"--json", "--jsonl"} or word.startswith("--json=") for word in sys.argv[1:])
    try:
        app()
    except BoonArtError as error:
        fail(error, as_json=as_json)
        sys.exit(KEY_NEEDED if isinstance(error, Unauthenticated | Forbidden) else 1)
    except OSError as error:
        if error.filename is None:
            raise
        # A file that may not be read, a disk that is full: nothing that a traceback would mend.
        fail(ConfigurationError(f"{error.strerror}: {error.filename}."), as_json=as_json)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted.\n")
        sys.exit(130)
