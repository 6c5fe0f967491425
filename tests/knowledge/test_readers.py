"""Each format gives headings, entries and texts with the right lines; hostile and broken input ends in one sentence."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.blocks import Block, clean, looks_like_parameter
from knowledge.reading import FORMATS, LARGEST, detect, load, manual_files, read
from sysmith_errors import InputError

MARKDOWN = """\
# Volume options

Read this first.

## Caching

- [Caching](#caching)

- `cache.size` - How much is kept.
  The default is 32 MB.

**cache.policy**: what goes first.

| Option | Meaning |
| --- | --- |
| net.timeout | Seconds to wait. |
| Network | net.retries | How often. |

| Field | Meaning |
| --- | --- |
| state | What it does. |

Term
: Its definition.

```
# not a heading
```
"""

HTML = """<html><head><title>x</title><script>alert(1)</script></head><body>
<nav>menu</nav>
<h1>Options</h1>
<p>Intro with a <b>word</b>.</p>
<dl><dt><code>--jobs</code></dt><dd>How many.</dd>
<dt>-v</dt><dt>--verbose</dt><dd><p>Say more.</p><pre>a
b</pre></dd></dl>
<table><tr><th>Name</th><th>Meaning</th></tr><tr><td>io.depth</td><td>Depth</td></tr><tr><td>plain</td><td>x</td></tr></table>
<ul><li><a href="#a">Elsewhere</a></li><li>A point</li><li><code>cache.size</code>: bytes</li></ul>
<p><strong>io.rate</strong> limits.</p>
</body></html>"""

MAN = r""".\" a comment
.TH TOOL 8 "2020"
.SH NAME
tool \- does it
.SH "THE OPTIONS"
.PP
Some words.
.TP
.BI \-\-depth= n
The depth.
.RS
.IP \(bu 2
a point
.RE
.TP
.B \-q
.TQ
.B \-\-quiet
Say nothing.
.PP
After the entry.
.sp
\fB\-\-fork\fP
.RS 4
Fork off.
.RE
.sp
Last words.
"""

MDOC = r""".Dd $Mdocdate$
.Dt TOOL_CONFIG 5
.Sh NAME
.Nm tool_config
.Nd its configuration
.Sh OPTIONS
The keywords:
.Bl -tag -width Ds
.It Cm Compression
Either
.Cm yes
or
.Cm no ,
see
.Xr tool 1 .
.It Fl F Ar file
Reads
.Ar file .
.El
.Pp
Done.
"""

RST = """\
Manual
======

Words with :option:`depth` in them.

.. option:: depth=int

	How deep, see :option:`size`.

.. option:: size=int, sz=int

	How large.

		**big**
			Very.

:field: its value

term
    its definition

-v, --verbose  Say more.

.. unknown:: thing

   Kept words.

.. include:: /etc/passwd
"""

DOCBOOK = """<?xml version="1.0"?>
<!DOCTYPE book PUBLIC "-//OASIS//DTD DocBook XML V4.5//EN" "x.dtd">
<book><title>The book</title>
<chapter><title>Tuning &product; <literal>x</literal></title>
<para>Intro.</para>
<variablelist><varlistentry><term><varname>io.depth</varname></term>
<listitem><para>How deep.</para><screen>set 1
set 2</screen></listitem></varlistentry></variablelist>
<section><title>More</title><itemizedlist><listitem><para><option>--all</option> everything</para></listitem>
<listitem><para>a point</para></listitem></itemizedlist>
<informaltable><tgroup><tbody><row><entry>net.rate</entry><entry>bits</entry></row></tbody></tgroup></informaltable>
</section></chapter></book>"""

TEXT = """\
TUNING GUIDE

1. First steps

Some words
over two lines.

Second part
-----------

--depth=N   how deep
    it goes

cache.size:
    bytes kept
"""


def shape(blocks: list[Block]) -> list[tuple[str, str, int]]:
    return [(b.kind, b.label or b.text.split("\n")[0], b.line) for b in blocks]


def blocks(text: str, format_: str) -> list[Block]:
    return read("manual", text.encode(), format_)


def test_markdown() -> None:
    assert shape(blocks(MARKDOWN, "markdown")) == [
        ("heading", "Volume options", 1),
        ("text", "Read this first.", 3),
        ("heading", "Caching", 5),
        ("entry", "cache.size", 9),
        ("entry", "cache.policy", 12),
        ("entry", "net.timeout", 16),
        ("entry", "net.retries", 17),
        ("entry", "state", 21),
        ("entry", "Term", 23),
        ("text", "# not a heading", 26),
    ]


def test_html() -> None:
    assert shape(blocks(HTML, "html")) == [
        ("heading", "Options", 3),
        ("text", "Intro with a word.", 4),
        ("entry", "--jobs", 5),
        ("entry", "-v, --verbose", 6),
        ("entry", "io.depth", 8),
        ("text", "Name | Meaning", 8),
        ("text", "- A point", 9),
        ("entry", "cache.size", 9),
        ("entry", "io.rate", 10),
    ]
    verbose = next(b for b in blocks(HTML, "html") if b.label == "-v, --verbose")
    assert verbose.text == "Say more.\na\nb"


def test_man_page() -> None:
    found = blocks(MAN, "man")
    assert shape(found) == [
        ("heading", "TOOL(8)", 2),
        ("heading", "NAME", 3),
        ("text", "tool - does it", 4),
        ("heading", "THE OPTIONS", 5),
        ("text", "Some words.", 7),
        ("entry", "--depth=n", 8),
        ("entry", "-q, --quiet", 15),
        ("text", "After the entry.", 21),
        ("entry", "--fork", 23),
        ("text", "Last words.", 28),
    ]
    assert "a point" in next(b for b in found if b.label == "--depth=n").text


def test_mdoc_page() -> None:
    found = blocks(MDOC, "man")
    assert [(b.kind, b.label or b.text) for b in found] == [
        ("heading", "TOOL_CONFIG(5)"),
        ("heading", "NAME"),
        ("text", "tool_config its configuration"),
        ("heading", "OPTIONS"),
        ("text", "The keywords:"),
        ("entry", "Compression"),
        ("entry", "-F file"),
        ("text", "Done."),
    ]
    assert found[5].text == "Either yes or no, see tool(1)."


def test_restructured_text() -> None:
    found = blocks(RST, "rst")
    assert [(b.kind, b.label or b.text) for b in found] == [
        ("heading", "Manual"),
        ("text", "Words with depth in them."),
        ("entry", "depth=int"),
        ("entry", "size=int, sz=int"),
        ("entry", "field"),
        ("entry", "term"),
        ("entry", "-v, --verbose"),
        ("text", "thing"),
        ("text", "Kept words."),
        ("text", ".. include:: /etc/passwd"),
    ]
    assert found[2].text == "How deep, see size."
    assert (found[2].line, found[3].line) == (6, 10)
    assert "root:" not in "".join(b.text for b in found)


def test_docbook() -> None:
    found = blocks(DOCBOOK, "docbook")
    assert shape(found) == [
        ("heading", "The book", 3),
        ("heading", "Tuning x", 4),
        ("text", "Intro.", 5),
        ("entry", "io.depth", 6),
        ("heading", "More", 9),
        ("entry", "--all", 9),
        ("text", "- a point", 10),
        ("entry", "net.rate", 11),
    ]
    assert found[3].text == "How deep.\nset 1\nset 2"


def test_docbook_reads_nothing_outside_the_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    text = f'<!DOCTYPE book [<!ENTITY x SYSTEM "file://{secret}">]><book><para>a &x; b</para></book>'
    assert [b.text for b in blocks(text, "docbook")] == ["a b"]


def test_plain_text() -> None:
    assert shape(blocks(TEXT, "text")) == [
        ("heading", "TUNING GUIDE", 1),
        ("heading", "1. First steps", 3),
        ("text", "Some words", 5),
        ("heading", "Second part", 8),
        ("entry", "--depth=N", 11),
        ("entry", "cache.size", 14),
    ]


def pdf(pages: list[list[str]], outline: Sequence[tuple[str, int]] = ()) -> bytes:
    """A PDF with these lines on its pages and a bookmark (title, page from 0) for each of ``outline``."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = DictionaryObject(
        {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"),
         NameObject("/BaseFont"): NameObject("/Helvetica")}
    )  # fmt: skip
    for lines in pages:
        page = writer.add_blank_page(600, 800)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        stream.set_data(f"BT /F1 12 Tf 14 TL 50 750 Td {shown} ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    for title, number in outline:
        writer.add_outline_item(title=title, page_number=number)
    held = io.BytesIO()
    writer.write(held)
    return held.getvalue()


def test_pdf_has_pages_and_sections_from_bookmarks() -> None:
    content = pdf([["Opening words."], ["Tuning", "io.depth: how deep it goes"]], [("Tuning", 1)])
    found = read("manual.pdf", content, detect("manual.pdf", content))
    assert [(b.kind, b.label or b.text, b.page) for b in found] == [
        ("text", "Opening words.", 1),
        ("heading", "Tuning", 2),
        ("entry", "io.depth", 2),
    ]


def test_a_pdf_without_text_is_refused() -> None:
    with pytest.raises(InputError, match="holds no text"):
        read("scan.pdf", pdf([[]]), "pdf")


@pytest.mark.parametrize("content", [b"%PDF-1.4\nrubbish", b"%PDF-", b"nothing at all"])
def test_a_damaged_pdf_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"x\.pdf cannot be read as pdf"):
        read("x.pdf", content, "pdf")


def test_broken_docbook_is_refused_with_its_line() -> None:
    with pytest.raises(InputError, match=r"x\.xml cannot be read as docbook: line 2"):
        read("x.xml", b"<book>\n<para></book>", "docbook")


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("a.md", b"words", "markdown"),
        ("a.MD", b"words", "markdown"),
        ("a.rst.gz", gzip.compress(b"words", mtime=0), "rst"),
        ("nfs.5.gz", gzip.compress(b".TH NFS 5", mtime=0), "man"),
        ("tool.1", b".TH T 1", "man"),
        ("page", b".\\\" x\n.Dd today\n.Dt X 1", "man"),
        ("page", b"<!DOCTYPE html><p>x", "html"),
        ("page.xml", b"<?xml version='1.0'?><html>x", "html"),
        ("page.xml", b"<book/>", "docbook"),
        ("page", b"<?xml version='1.0'?><book/>", "docbook"),
        ("README", b"words", "text"),
        ("release-1.2", b"words", "text"),
        ("anything", b"%PDF-1.7", "pdf"),
    ],
)  # fmt: skip
def test_the_format_is_found(name: str, content: bytes, format_: str) -> None:
    assert detect(name, content) == format_


def test_binary_and_damaged_files_are_refused() -> None:
    with pytest.raises(InputError, match="not a manual in a format known here"):
        detect("program", b"\x7fELF\0\0")
    with pytest.raises(InputError, match="is not text"):
        read("x.md", b"a\0b", "markdown")
    with pytest.raises(InputError, match="is cut short"):
        read("x.md.gz", gzip.compress(b"words" * 1000, mtime=0)[:-12], "markdown")
    with pytest.raises(InputError, match="is damaged"):
        read("x.md.gz", b"\x1f\x8b\x08rubbish-rubbish", "markdown")
    with pytest.raises(InputError, match="holds no text"):
        read("x.md", b"# only a title\n", "markdown")


def test_a_page_that_points_elsewhere_says_where() -> None:
    with pytest.raises(InputError, match=r"only points to man8/mount\.8"):
        read("x.8", b'.\\" generated\n.so man8/mount.8\n', "man")


def test_an_unpacked_trap_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST > 1 << 20
    monkeypatch.setattr("knowledge.reading.LARGEST", 1000)
    with pytest.raises(InputError, match="when unpacked"):
        read("x.txt.gz", gzip.compress(b"a" * 10_000, mtime=0), "text")


def test_other_encodings_are_read() -> None:
    assert read("x.txt", "caf\u00e9 words".encode("latin-1"), "text")[0].text == "caf\u00e9 words"
    assert read("x.txt", "\ufeffwords".encode(), "text")[0].text == "words"
    assert read("x.txt", "words".encode("utf-16"), "text")[0].text == "words"


def test_a_folder_means_the_manuals_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b.md", "deep/a.rst", "program.bin", ".hidden.md", ".git/x.md"):
        (tmp_path / name).write_text("words")
    (tmp_path / "link.md").symlink_to("/etc/passwd")
    names = [file.name for file in manual_files([tmp_path])]
    assert names == [f"{tmp_path.name}/b.md", f"{tmp_path.name}/deep/a.rst"]


def test_paths_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        manual_files([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="holds no manual"):
        manual_files([tmp_path])
    with pytest.raises(InputError, match="not a regular file"):
        load(Path("/dev/null"))


def test_control_characters_are_dropped() -> None:
    assert clean("a\x1b[31mb\u202ec\x00\r\nd\te") == "a[31mbc\nd\te"


@pytest.mark.parametrize(
    "name", ["--max-jobs=nr", "cluster.min-free-disk", "max_rpcs", "timeo=n", "-q", "nfs.port <PORT>"]
)
def test_names_of_parameters(name: str) -> None:
    assert looks_like_parameter(name)


@pytest.mark.parametrize("text", ["Note", "state", "the cache.size of it all", "", "a", "Some words here"])
def test_what_names_no_parameter(text: str) -> None:
    assert not looks_like_parameter(text)


MARKS = st.sampled_from(
    [".TP", ".SH X", ".IP a", ".RS", ".RE", ".B x", ".nf", ".Bl -tag", ".It Fl x", ".El", ".Dd", ".ig", ".TS",
     "| a | b |", "|-|-|", "# t", "- `a.b`: c", "<dl>", "<dt>", "</dl>", "<table>", "<tr><td>", ".. option:: x=int",
     "::", "====", "\\fB", "\\[u20]", "\\*(", '"', "<book>", "&x;", "<para>", "  indented", "\t"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(MARKS, st.text(max_size=12)), max_size=25), st.sampled_from([f for f in FORMATS if f != "pdf"])
)
def test_no_text_breaks_a_reader(lines: list[str], format_: str) -> None:
    text = "\n".join(lines)
    try:
        found = read("x", text.encode("utf-8", "replace"), format_)
    except InputError:
        return
    last = text.count("\n") + 1
    assert all(1 <= block.line <= last + text.count("\r") + text.count("\f") for block in found)
