"""Which directories a sandboxed interpreter must read and which it must not see; it enforces nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.cache import default_root

_PRIVATE_FILES = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers")
_PRIVATE_FOLDERS = ("/home", "/root", "/run", "/var/tmp", "/etc/ssh", "/etc/ssl/private", "/var/lib/docker")


def code_paths() -> list[Path]:
    """Existing places that this interpreter loads code from, as imported here: prefixes, executable, ``sys.path``."""
    found = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.exec_prefix), Path(sys.executable).parent]
    found.append(Path(sys.executable).resolve().parent.parent)
    found += import_path()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if "." not in name and name != "__main__" and isinstance(file, str):
            place = Path(os.path.abspath(file))
            # Editable installs load from places that sys.path does not name.
            if not any(place.is_relative_to(path) for path in found):
                found.append(place.parent if place.name == "__init__.py" else place)
    return _unique(path for path in found if path.exists())


def executable_links() -> list[Path]:
    """The symbolic links, one leading to the next, from ``sys.executable`` to the interpreter itself."""
    links: list[Path] = []
    path = Path(os.path.abspath(sys.executable))
    while path.is_symlink() and path not in links:
        links.append(path)
        path = Path(os.path.abspath(path.parent / os.readlink(path)))
    return links


def import_path() -> list[Path]:
    """The entries of ``sys.path`` as absolute existing paths, and where this package itself lies."""
    entries = [*sys.path, str(Path(__file__).parent.parent)]
    return _unique(Path(os.path.abspath(entry)) for entry in entries if os.path.exists(entry or "."))


def hidden_folders() -> list[Path]:
    """Directories that untrusted code must not see: homes, run-time sockets, run logs and the evaluation cache."""
    places = [Path(folder) for folder in _PRIVATE_FOLDERS]
    places += [Path.home(), Path.cwd() / ".sysmith", default_root()]
    if home := os.environ.get("HOME"):
        places.append(Path(home))
    real = _unique(path.resolve() for path in places if path.is_dir())
    return [path for path in real if path != Path("/") and path not in (Path("/usr"), Path("/etc"))]


def hidden_files() -> list[Path]:
    """Single files outside the homes that hold secrets and that this user could read."""
    return [Path(name) for name in _PRIVATE_FILES if os.access(name, os.R_OK)]


def shown_again(needed: Iterable[Path], hidden: Iterable[Path]) -> list[Path]:
    """The ``needed`` paths that lie under a hidden directory and must be shown in spite of it.

    A needed directory that is a hidden one, or holds one (a checkout that is the home directory), is not shown whole:
    its visible packages and modules are shown instead, one by one.
    """
    places = list(hidden)
    shown: list[Path] = []
    for path in needed:
        if any(place.is_relative_to(path) and place.name != ".sysmith" for place in places):
            if any(path.is_relative_to(place) for place in places):
                shown += importable(path)
        elif any(path.is_relative_to(place) for place in places):
            shown.append(path)
    return _unique(shown)


def importable(folder: Path) -> list[Path]:
    """The visible packages and modules directly in ``folder``; none where it cannot be read."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return []
    return [
        entry
        for entry in entries
        if not entry.name.startswith(".") and (entry.suffix == ".py" or (entry / "__init__.py").is_file())
    ]


def _unique(paths: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))
