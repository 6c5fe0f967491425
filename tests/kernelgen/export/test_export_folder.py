"""An export takes its place whole or not at all, and never over anybody's files; contents are tested elsewhere."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelgen.export import check_destination, export
from kernelgen.export.folder import write_folder
from sysmith_errors import InputError

from .helpers import write_backend


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_earlier_export_is_replaced_whole(tmp_path: Path) -> None:
    folder = write_backend(tmp_path / "deep" / "b", ["relu.default", "add.Tensor"])
    (folder / "kernels" / "__pycache__").mkdir()
    (folder / "kernels" / "__pycache__" / "add__Tensor.pyc").write_bytes(b"old")
    write_backend(folder, ["relu.default"])
    assert {p.name for p in (folder / "kernels").iterdir()} == {"__init__.py", "relu__default.py"}
    write_backend(folder, ["relu.default"], "directory")
    assert not (folder / "kernels").exists()
    assert [p.name for p in folder.parent.iterdir()] == ["b"]


def test_an_export_is_readable_as_any_new_folder_is(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    folder = write_backend(tmp_path / "b", ["relu.default"])
    assert folder.stat().st_mode == plain.stat().st_mode


def test_an_empty_folder_is_used_and_a_link_is_kept(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "b").symlink_to("real")
    write_backend(tmp_path / "b", ["relu.default"])
    assert (tmp_path / "b").is_symlink()
    assert (tmp_path / "real" / "manifest.json").exists()
    assert "import b\n" in (tmp_path / "b" / "__init__.py").read_text()


@pytest.mark.parametrize("manifest", [None, b"", b"[]", b"{}", b'{"kind": "sysmith-backend"}', b"\xff"])
def test_a_folder_of_other_files_is_refused_and_untouched(tmp_path: Path, manifest: bytes | None) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    if manifest is not None:
        (folder / "manifest.json").write_bytes(manifest)
    before = tree(folder)
    with pytest.raises(InputError, match="holds files and is no earlier export"):
        export(folder, "package", [], {}, {})
    assert tree(folder) == before


def test_changed_and_added_files_of_an_earlier_export_are_not_lost(tmp_path: Path) -> None:
    folder = write_backend(tmp_path / "b", ["relu.default"])
    kernel = folder / "kernels" / "relu__default.py"
    text = kernel.read_text()
    kernel.write_text(text + "# tuned by hand\n")
    with pytest.raises(InputError, match=r"kernels/relu__default\.py was changed since the export"):
        check_destination(folder, "package")
    kernel.write_text(text)
    check_destination(folder, "package")
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt was added since the export"):
        check_destination(folder, "package")


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("a file")
    with pytest.raises(InputError, match="is not a folder"):
        export(tmp_path / "b", "package", [], {}, {})
    with pytest.raises(InputError, match=r"cannot be written|is not a folder"):
        export(tmp_path / "b" / "c", "package", [], {}, {})


def test_a_full_disk_is_one_sentence_and_leaves_the_earlier_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_backend(tmp_path / "b", ["relu.default"])
    before, calls = tree(folder), 0

    def full(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"the disk is full, so nothing was exported\. Free some space"):
        write_backend(folder, ["add.Tensor"])
    assert tree(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_rename_that_fails_puts_the_earlier_export_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_backend(tmp_path / "b", ["relu.default"])
    before, rename = tree(folder), os.rename

    def refuse_new(source: Path, target: Path) -> None:
        if Path(source).name == "new":
            raise OSError(errno.EBUSY, "Device or resource busy")
        rename(source, target)

    monkeypatch.setattr(os, "rename", refuse_new)
    with pytest.raises(InputError, match="cannot be written: Device or resource busy"):
        write_backend(folder, ["add.Tensor"])
    assert tree(folder) == before
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


_names = st.dictionaries(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3).map(lambda parts: "/".join(parts) + ".py"),
    st.binary(max_size=20),
    max_size=5,
)


@settings(max_examples=20)
@given(_names, _names)
def test_a_folder_holds_exactly_what_was_written_last(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("write") / "b"
    for files in (first, second):
        if files:
            write_folder(folder, files)
            assert tree(folder) == files
