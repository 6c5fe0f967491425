"""One door to every kind of history file: finds its format, reads it, and says what is wrong; it parses nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sysmith_errors import InputError
from tuners.upgrade_sched.history.lines import Found, ending
from tuners.upgrade_sched.history.mapping import FORMATS, Mapping, load_mapping
from tuners.upgrade_sched.types import History

_ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".swf": "swf",
    ".sacct": "sacct",
    ".json": "kubernetes",
}


def format_of(path: Path) -> str:
    """The format by the file's name. Raises InputError where the name says nothing."""
    name = path.name.lower()
    if ending(path) in _ENDINGS:
        return _ENDINGS[ending(path)]
    if "dnf" in name:
        return "dnf"
    if "history" in name:
        return "apt"
    raise InputError(
        f"the format of {path} is not known by its name", mend=f"Give --format, one of {', '.join(FORMATS)}."
    )


def read_with_issues(path: Path, mapping: Path | None = None, form: str = "") -> tuple[History, Found]:
    """Read a history file and everything that is wrong with it.

    Raises InputError for what leaves nothing to read: no such file, no such format, a wrong mapping, no record at all.
    """
    found = Found()
    columns: Mapping | None = load_mapping(mapping) if mapping else None
    form = form or (columns.format if columns and columns.format else format_of(path))
    if form not in FORMATS:
        raise InputError(f"--format: {form!r} is no format", mend=f"Use one of {', '.join(FORMATS)}.")
    if not path.exists():
        raise InputError(f"{path}: there is no such file", mend="Check its name.")
    if form in ("csv", "jsonl", "parquet"):
        from tuners.upgrade_sched.history.tables import read_table

        history = read_table(path, form, columns, found)
    elif columns is not None:
        raise InputError(f"--mapping is for tables, and {path} is {form}", mend="Leave --mapping out.")
    else:
        history = _log(path, form, found)
    if len(history):  # where nothing else could be read, the one line there is deserves its complaint
        found.forgive_ragged(str(path))
    if not len(history) and not found.issues.found:
        raise InputError(f"{path}: there is no record in it", mend="Give a file that holds at least one.")
    return replace(history, source=path.name), found


def _log(path: Path, form: str, found: Found) -> History:
    if form == "swf":
        from tuners.upgrade_sched.history.importers.swf import read_swf

        return read_swf(path, found)
    if form == "sacct":
        from tuners.upgrade_sched.history.importers.sacct import read_sacct

        return read_sacct(path, found)
    if form == "apt":
        from tuners.upgrade_sched.history.importers.apt import read_apt

        return read_apt(path, found)
    if form == "dnf":
        from tuners.upgrade_sched.history.importers.dnf import read_dnf

        return read_dnf(path, found)
    from tuners.upgrade_sched.history.importers.kubernetes import read_kubernetes

    return read_kubernetes(path, found)


def read_history(path: Path, mapping: Path | None = None, form: str = "", *, skip_bad: bool = False) -> History:
    """Read a history file. Raises InputError for the first record that is wrong, unless ``skip_bad`` leaves it out."""
    history, found = read_with_issues(path, mapping, form)
    if found.issues.found and not skip_bad:
        more = found.issues.count - 1
        tail = f" There are {more} more: sysmith upgrade-sched check lists them." if more else ""
        raise InputError(f"{found.issues.found[0]}{tail} Or leave bad records out with --skip-bad.")
    if not len(history):
        raise InputError(f"{path}: no record of it is in order", mend="See sysmith upgrade-sched check.")
    return history
