"""Where options come from: command line, SYSMITH_* variables, sysmith.toml, defaults; ``sysmith config`` shows which."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from sysmith_errors import InputError

FILE = "sysmith.toml"
_HIDDEN = {"help", "version", "install_completion", "show_completion"}


@dataclass(frozen=True)
class Setting:
    """One option: the command it belongs to, its name, variable, value and origin."""

    command: str
    option: str
    variable: str
    value: Any
    origin: str


def config_path() -> Path:
    """Return the configuration file: ``$SYSMITH_CONFIG`` or ``sysmith.toml`` in the current folder."""
    return Path(os.environ.get("SYSMITH_CONFIG", FILE))


def file_values(app: typer.Typer) -> dict[str, Any]:
    """Read the configuration file: ``[kernelgen]`` holds the options of ``sysmith kernelgen``, spelt with ``_`` or ``-``.

    No file means no values, unless ``SYSMITH_CONFIG`` names it. Raises InputError for a file that cannot be read, is not
    TOML, or names a command or option that does not exist.
    """
    path = config_path()
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        if "SYSMITH_CONFIG" not in os.environ:
            return {}
        raise InputError(f"{path} (from SYSMITH_CONFIG) does not exist", mend="Create it or unset the variable.") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}", mend="Correct that line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    return _checked(path, data, get_command(app), "")


def _checked(path: Path, data: dict[str, Any], command: Any, where: str) -> dict[str, Any]:
    commands = getattr(command, "commands", {})
    options = {p.name: p for p in command.params if p.name not in _HIDDEN}
    clean: dict[str, Any] = {}
    for key, value in data.items():
        name = key.replace("-", "_")
        label = f"{where}.{key}".lstrip(".")
        if isinstance(value, dict) and key in commands:
            clean[key] = _checked(path, value, commands[key], label)
        elif name in options and not isinstance(value, dict):
            clean[name] = ",".join(map(str, value)) if isinstance(value, list) and not options[name].multiple else value
        else:
            known = ", ".join(sorted([*commands, *(n for n in options if n)])) or "nothing"
            raise InputError(f"{path}: {label} = {json.dumps(value, default=str)[:60]} is unknown", mend=f"Known here: {known}.")
    return clean


def settings(app: typer.Typer) -> Iterator[Setting]:
    """Yield every option of every command with its value and origin, as a command without arguments would see it."""
    yield from _walk(get_command(app), file_values(app), "sysmith", "SYSMITH")


def _walk(command: Any, values: dict[str, Any], label: str, prefix: str) -> Iterator[Setting]:
    for parameter in command.params:
        name = parameter.name or ""
        if name in _HIDDEN or parameter.param_type_name != "option":
            continue
        variable = f"{prefix}_{name}".upper()
        if os.environ.get(variable):
            value, origin = os.environ[variable], "environment"
        elif name in values:
            value, origin = values[name], str(config_path())
        else:
            value, origin = parameter.default, "default"
        yield Setting(label, parameter.opts[-1], variable, value, origin)
    for name, child in getattr(command, "commands", {}).items():
        nested = values.get(name, {})
        yield from _walk(child, nested if isinstance(nested, dict) else {}, f"{label} {name}", f"{prefix}_{name}".upper())


def show(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False) -> None:
    """Show every option's value and where it comes from."""
    from cli.main import app

    rows = list(settings(app))
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "file": str(config_path()), "settings": [vars(r) for r in rows]}, indent=2, default=str))
        return
    for row in rows:
        value = "" if row.value is None else row.value
        typer.echo(f"{row.command} {row.option} = {value!s}  [{row.origin}; {row.variable}]")
