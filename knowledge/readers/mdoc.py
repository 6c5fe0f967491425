"""Manual pages in the mdoc(7) macros of the BSDs (OpenSSH, for one): sections, list items and words, without layout."""

from __future__ import annotations

from collections.abc import Iterator

from knowledge.blocks import Block, flat
from knowledge.readers.roff import arguments, unescape

# How a macro's words print, as in mdoc(7): prefix and suffix of the words.
_AROUND = {
    "Fl": ("-", ""), "Op": ("[", "]"), "Oo": ("[", ""), "Oc": ("]", ""), "Dq": ("\u201c", "\u201d"),
    "Sq": ("\u2018", "\u2019"), "Qq": ('"', '"'), "Ql": ("\u2018", "\u2019"), "Pq": ("(", ")"), "Bq": ("[", "]"),
    "Aq": ("<", ">"), "Brq": ("{", "}"), "Po": ("(", ""), "Pc": (")", ""), "Do": ("\u201c", ""), "Dc": ("\u201d", ""),
    "So": ("\u2018", ""), "Sc": ("\u2019", ""), "Qo": ('"', ""), "Qc": ('"', ""), "Bo": ("[", ""), "Bc": ("]", ""),
    "Ao": ("<", ""), "Ac": (">", ""),
}  # fmt: skip
_PLAIN = {
    "Ad", "An", "Ar", "At", "Bsx", "Bx", "Cd", "Cm", "D1", "Dl", "Dv", "Em", "Er", "Ev", "Fa", "Fn", "Ft", "Fx", "Ic",
    "In", "Lb", "Li", "Lk", "Ms", "Mt", "Nd", "Nx", "No", "Ox", "Pa", "Pf", "Rv", "St", "Sx", "Sy", "Tn", "Ux", "Va",
    "Vt",
}  # fmt: skip
_SILENT = {"Ns", "Sm", "Bk", "Ek", "Ta", "Xo", "Xc"}
_POINTS = set(".,:;)]?!")


def read(text: str) -> Iterator[Block]:
    """Blocks of an mdoc page: a section for .Sh and .Ss, an entry for each tagged item at the outermost list."""
    lines = text.split("\n")
    name = ""
    held: list[str] = []
    label, start = "", 1
    lists: list[bool] = []  # whether each open list has tags

    def flush() -> Iterator[Block]:
        nonlocal held, label
        body = "\n".join(flat(part) for part in " ".join(held).split("\n") if part.strip())
        if label:
            yield Block("entry", body, start, label=label)
        elif body:
            yield Block("text", body, start)
        held, label = [], ""

    for number, raw in enumerate(lines, 1):
        if raw[:1] not in (".", "'"):
            start = start if held or label else number
            held.append(unescape(raw))
            continue
        words = arguments(raw[1:].strip())
        macro, rest = (words[0], words[1:]) if words else ("", [])
        if macro in ("Dd", "Os"):
            continue
        if macro == "Dt" and rest:
            yield Block("heading", f"{rest[0]}({rest[1]})" if len(rest) > 1 else rest[0], number, level=1)
        elif macro in ("Sh", "Ss"):
            yield from flush()
            lists = []
            yield Block("heading", flat(_words(rest, name)), number, level=2 if macro == "Sh" else 3)
        elif macro == "Bl":
            lists.append(any(word in ("-tag", "-hang", "-diag", "-inset", "-ohang") for word in rest))
            held.append("\n")
        elif macro == "El":
            if len(lists) == 1 and lists[0]:
                yield from flush()
            lists = lists[:-1]
            held.append("\n")
        elif macro == "It":
            if len(lists) == 1 and lists[0]:
                tag = flat(_words(rest, name))
                if label and not "".join(held).strip():
                    label += f", {tag}"
                else:
                    yield from flush()
                    label, start = tag, number
            else:
                held.append("\n" + _words(rest, name))
        elif macro in ("Pp", "Lp"):
            if label or lists:
                held.append("\n")
            else:
                yield from flush()
        elif macro == "Nm":
            name = name or unescape(" ".join(rest))
            start = start if held or label else number
            held.append(_words([macro, *rest], name))
        elif macro:
            start = start if held or label else number
            held.append(_words([macro, *rest], name))
    yield from flush()


def _words(words: list[str], name: str) -> str:
    """What a line of macros and words prints; ``name`` is what .Nm stands for."""
    printed: list[str] = []
    closing = ""
    glue = False
    pending = ""
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "Xr" and index + 1 < len(words):
            word, index = f"{words[index]}({words[index + 1]})", index + 2
        elif word == "Nm":
            word = name if index >= len(words) or words[index] in _AROUND or words[index] in _PLAIN else ""
        elif word == "Ns":
            glue = True
            continue
        elif word in _AROUND:
            before, after = _AROUND[word]
            pending += before
            closing = after + closing
            if index == len(words):
                word = ""
            else:
                continue
        elif word in _PLAIN or word in _SILENT:
            continue
        else:
            word = unescape(word)
        if not word and not pending:
            continue
        piece = pending + word
        if printed and (glue or piece in _POINTS):
            printed[-1] += piece
        else:
            printed.append(piece)
        # A dash belongs to one word only: ".Fl 4 Fl 6" prints "-4 -6".
        pending, glue = "", False
    return " ".join(printed) + closing
