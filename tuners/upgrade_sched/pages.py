"""The templates of the HTML pages of upgrade-sched: how they are read and escaped; what a page shows is elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def templates(folder: Path) -> Any:
    """The jinja2 environment of the templates in ``folder``: all text is escaped, and a name that is not given is an
    error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
