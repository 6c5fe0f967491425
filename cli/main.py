"""The program ``sysmith``: assembles the subcommands and turns every known error into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated, Any

import typer
from typer.main import get_command

from cli import config, kernelgen, runs
from sysmith_errors import SysmithError

app = typer.Typer(
    name="sysmith",
    help="Agentic systems-optimizers: every subcommand analyzes, proposes and evaluates until evidence or a budget "
    "says stop. All of it works offline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "SYSMITH", "help_option_names": ["-h", "--help"]},
)
app.add_typer(kernelgen.app, name="kernelgen")
app.add_typer(runs.app, name="runs")
app.command("config", help="Show every option's value and where it comes from.")(config.show)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sysmith {metadata.version('sysmith')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the subcommand."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with design's codes: 0, 1, 2, 3, 4 or 130."""
    try:
        defaults: dict[str, Any] = config.file_values(app)
        code = get_command(app)(arguments, standalone_mode=False, default_map=defaults)
    except SysmithError as error:
        typer.echo(f"sysmith: {error}", err=True)
        code = error.exit_code
    except typer.TyperException as error:
        typer.echo(f"sysmith: {error.format_message() if hasattr(error, 'format_message') else error}", err=True)
        code = 2
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("sysmith: interrupted", err=True)
        code = 130
    except BrokenPipeError:
        # The reader of our output went away (``| head``): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        typer.echo(f"sysmith: the system refused{name}: {error.strerror or error}", err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
