"""The program ``sysmith``: assembles the subcommands and turns every error into one sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Annotated, Any

import typer
from typer.main import get_command

from cli import config, kernelgen, knowledge, rules, runs, upgrade_sched
from sysmith_errors import SysmithError

app = typer.Typer(
    name="sysmith",
    help="Agentic systems-optimizers: every subcommand analyzes, proposes and evaluates until evidence or a budget "
    "says stop. All of it works offline.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: it starts in half the time and reads the same in a log.
    rich_markup_mode=None,
    context_settings={"auto_envvar_prefix": config.PREFIX, "help_option_names": ["-h", "--help"]},
)
app.add_typer(kernelgen.app, name="kernelgen")
app.add_typer(upgrade_sched.app, name="upgrade-sched")
app.add_typer(knowledge.app, name="knowledge")
app.add_typer(rules.app, name="rules")
app.add_typer(runs.app, name="runs")
app.command("config", help="Show every option's value and where it comes from.")(config.show)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"sysmith {metadata.version('sysmith')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, show_envvar=False, help="Show the version."),
    ] = False,
) -> None:
    """Options before the subcommand."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with one of the codes 0, 1, 2, 3, 4 and 130."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        command = get_command(app)
        # Help and version must answer even where the configuration file is damaged.
        asks = {"-h", "--help", "--version"} & set(given)
        defaults: dict[str, Any] = {} if asks else config.file_values(command)
        code = command(given, prog_name="sysmith", standalone_mode=False, default_map=defaults)
        sys.stdout.flush()
    except SysmithError as error:
        code = _say(str(error), error.exit_code)
    except typer.TyperException as error:
        code = _usage(error)
    except (typer.Abort, KeyboardInterrupt):
        code = _say("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output went away (``| head``): nobody is left to tell.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        name = f" {error.filename}" if error.filename else ""
        code = _say(f"the system refused{name}: {error.strerror or error}", 1)
    except Exception as error:  # whatever it is, a user gets a sentence; whoever mends it gets the traceback on request
        if os.environ.get("SYSMITH_TRACEBACK"):
            raise
        where = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        code = _say(f"a fault of Sysmith itself: {where}. Set SYSMITH_TRACEBACK=1 to see where, and report it", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str, code: int) -> int:
    with contextlib.suppress(OSError):  # stderr may be closed, and the exit code still counts
        typer.echo(f"sysmith: {text}", err=True)
    return code


def _usage(error: Any) -> int:
    """Say what is wrong with the command line; an empty one gets the help itself."""
    text = error.format_message() if hasattr(error, "format_message") else str(error)
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(text)
        return 2
    source = context.get_parameter_source(parameter.name) if context is not None and parameter is not None else None
    if source is not None and source.name == "ENVIRONMENT":
        variable = config.variable_of(context, parameter)
        text = f"{text.rstrip('.')}; it is {os.environ.get(variable, '')!r}, from the variable {variable}."
    path = context.command_path if context is not None else "sysmith"
    return _say(f"{text.rstrip('.')}. See {path} --help." if context is not None else text, 2)


if __name__ == "__main__":
    main()
