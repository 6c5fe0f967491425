"""Where options come from: command line, SYSMITH_* variables, sysmith.toml, defaults; it runs no command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from sysmith_errors import InputError

FILE = "sysmith.toml"
PREFIX = "SYSMITH"
_HIDDEN = {"help", "version"}


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
    return Path(os.environ.get("SYSMITH_CONFIG") or FILE)


def file_values(command: Any) -> dict[str, Any]:
    """Read the configuration file: ``[kernelgen]`` holds the options of ``sysmith kernelgen``, spelt with ``_`` or
    ``-``, and ``[kernelgen.list]`` those of ``sysmith kernelgen list``.

    No file means no values, unless ``SYSMITH_CONFIG`` names it. Raises InputError for a file that cannot be read, is
    not TOML, or names a command or option that does not exist, or a value that the option does not take.
    """
    import tomllib

    path = config_path()
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except FileNotFoundError:
        if not os.environ.get("SYSMITH_CONFIG"):
            return {}
        raise InputError(
            f"{path} (from SYSMITH_CONFIG) does not exist", mend="Create it or unset the variable."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not valid TOML: {error}", mend="Correct that line.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text", mend="Save it as UTF-8.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", mend="Mend or remove it.") from None
    return _checked(path, data, command, "")


def _checked(path: Path, data: Mapping[str, Any], command: Any, where: str) -> dict[str, Any]:
    commands = getattr(command, "commands", {})
    options = {p.name: p for p in command.params if p.name not in _HIDDEN and p.param_type_name == "option"}
    # A group of commands has no function of its own.
    kinds = get_type_hints(command.callback) if command.callback else {}
    flags = {flag.lstrip("-"): name for name, option in options.items() for flag in option.opts}
    clean: dict[str, Any] = {}
    for key, value in data.items():
        # A file says what the command line says: ``json`` and ``format``, whatever the parameter is called in the code.
        name = flags.get(key.replace("_", "-"), key.replace("-", "_"))
        label = f"{where}.{key}".lstrip(".")
        if isinstance(value, dict) and key in commands:
            clean[key] = _checked(path, value, commands[key], label)
        elif name in options:
            clean[name] = _value(path, label, value, options[name], kinds[name])
        else:
            spelt = sorted([*commands, *flags])
            raise InputError(f"{path}: {label} is unknown", mend=f"Known here: {', '.join(spelt) or 'nothing'}.")
    return clean


def _value(path: Path, label: str, value: Any, option: Any, kind: Any) -> Any:
    """Return a value of the file as the option of type ``kind`` takes it; a list is joined with commas."""
    shown = json.dumps(value, default=str)[:60]
    if option.multiple:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise InputError(f"{path}: {label} = {shown} is not a list of texts", mend='Write it as ["one", "two"].')
        return value
    if kind is bool:
        if not isinstance(value, bool):
            raise InputError(f"{path}: {label} = {shown} is neither true nor false", mend="Write true or false.")
        return value
    if kind is str and isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = ",".join(value)
    number = kind in (int, float)
    if isinstance(value, bool) or not isinstance(value, (int, float) if number else str):
        raise InputError(f"{path}: {label} = {shown} is not a {'number' if number else 'text'}", mend="Correct it.")
    try:
        option.process_value(None, value)
    except typer.TyperException as error:
        raise InputError(f"{path}: {label} = {shown} does not fit: {error}", mend="Correct it.") from None
    return value


def variable_of(context: Any, parameter: Any) -> str:
    """Return the variable that sets an option, given the context of its command."""
    path = context.command_path.split()[1:]
    return _variable("_".join([PREFIX, *path, parameter.name]))


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def settings(command: Any) -> Iterator[Setting]:
    """Yield every option of every command with its value and origin, as a command without arguments would see it."""
    yield from _walk(command, file_values(command), "sysmith", PREFIX)


def _walk(command: Any, values: Mapping[str, Any], label: str, prefix: str) -> Iterator[Setting]:
    for parameter in command.params:
        name = parameter.name or ""
        if name in _HIDDEN or parameter.param_type_name != "option":
            continue
        variable = _variable(f"{prefix}_{name}")
        if os.environ.get(variable):
            value, origin = os.environ[variable], "environment"
        elif name in values:
            value, origin = values[name], str(config_path())
        else:
            value, origin = parameter.default, "default"
        yield Setting(label, parameter.opts[0], variable, value, origin)
    for name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, values.get(name, {}), f"{label} {name}", f"{prefix}_{name}")


def show(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show every option's value and where it comes from."""
    rows = list(settings(context.find_root().command))
    if as_json:
        shown = [vars(row) for row in rows]
        document = {"schema_version": 1, "file": str(config_path()), "settings": shown}
        typer.echo(json.dumps(document, indent=2, default=str))
        return
    for row in rows:
        value = "" if row.value is None else row.value
        typer.echo(f"{row.command} {row.option} = {value!s}  [{row.origin}; {row.variable}]")
