"""The inline side of troff: escapes and quoted arguments; what the requests mean is for man.py and mdoc.py."""

from __future__ import annotations

import re

# Names of special characters, groff_char(7): those that manuals use.
_NAMED = {
    "aq": "'", "dq": '"', "lq": "\u201c", "rq": "\u201d", "oq": "\u2018", "cq": "\u2019", "em": "\u2014",
    "en": "\u2013", "hy": "-", "mi": "-", "-": "-", "bu": "\u2022", "co": "\u00a9", "rg": "\u00ae", "tm": "\u2122",
    "de": "\u00b0", "mu": "\u00d7", "tmu": "\u00d7", "+-": "\u00b1", "<=": "<=", ">=": ">=", "!=": "!=", "->": "->",
    "<-": "<-", "rs": "\\", "ti": "~", "ha": "^", "ga": "`", "at": "@", "sh": "#", "Do": "$", "ul": "_", "ba": "|",
    "bv": "|", "or": "|", "sl": "/", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "<", "ra": ">", "fm": "'",
    "Fo": "\u00ab", "Fc": "\u00bb", "12": "1/2", "14": "1/4", "34": "3/4", "pl": "+", "eq": "=", "ss": "\u00df",
    "lh": "", "rh": "", "L\"": "", "R\"": "", "u2212": "-",
}  # fmt: skip
_ESCAPE = re.compile(
    r"""\\(?:
        ["\#].*                                   # a comment up to the end of the line
      | \((?P<two>..)
      | \[(?P<named>[^\]]*)\]
      | \*(?:\((?P<string2>..)|\[(?P<string>[^\]]*)\]|(?P<string1>.))
      | [fFgkMmnYV](?:\(..|\[[^\]]*\]|[+-]?.)     # font, colour, register
      | s(?:\(..|\[[^\]]*\]|[+-]?\d|'[^']*')      # size
      | [hvwlLDNbBoRSXZHAxC](?P<quote>['"])(?P<inside>.*?)(?P=quote)
      | (?P<one>.)
    )""",
    re.VERBOSE,
)
_ONE = {"e": "\\", "\\": "\\", "-": "-", " ": " ", "0": " ", "~": " ", "t": "\t", "'": "'", "`": "`", ".": "."}
_STRINGS = {"R": "\u00ae", "Tm": "\u2122", "lq": "\u201c", "rq": "\u201d", "Aq": "'", "C`": "", "C'": "", "--": "-"}


def unescape(text: str) -> str:
    """``text`` with troff's escapes replaced by what they print; fonts and movements print nothing."""

    def printed(found: re.Match[str]) -> str:
        name = found["two"] or found["named"]
        if name is not None:
            code = re.fullmatch(r"u([0-9A-Fa-f]{4,6})", name)
            if code and int(code[1], 16) < 0x110000:
                return chr(int(code[1], 16))
            return _NAMED.get(name, name[:1] if len(name) == 2 and name[1] in "'`^:~," else "")
        string = found["string2"] or found["string"] or found["string1"]
        if string is not None:
            return _STRINGS.get(string, "")
        if found["one"] is not None:
            return _ONE.get(found["one"], "")
        return ""

    return _ESCAPE.sub(printed, text)


def arguments(rest: str) -> list[str]:
    """The arguments of a request, still with their escapes; a quoted one may hold blanks, and ``""`` is a quote."""
    found: list[str] = []
    position = 0
    rest = re.sub(r'(?<!\\)(?:\\\\)*\\"(?!\().*$', "", rest)
    while position < len(rest):
        if rest[position] in " \t":
            position += 1
        elif rest[position] == '"':
            end = position + 1
            while end < len(rest) and (rest[end] != '"' or rest[end + 1 : end + 2] == '"'):
                end += 2 if rest[end] == '"' else 1
            found.append(rest[position + 1 : end].replace('""', '"'))
            position = end + 1
        else:
            word = re.match(r"(?:\\.|[^\s\\])+|\\$", rest[position:])
            taken = word.group(0) if word else rest[position]
            found.append(taken)
            position += len(taken)
    return found
