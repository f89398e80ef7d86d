"""Files are whole or absent, readable like any other, and named by what is in them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from simrec import files
from simrec.errors import SimrecError, nearest
from simrec.files import atomic_file, atomic_folder, fingerprint, home, write_json


def test_an_error_leaves_neither_the_file_nor_a_temporary_one(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "table.json"
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list((tmp_path / "deep").iterdir()) == []


def test_what_other_libraries_raise_on_a_full_disk_becomes_the_error_of_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FULL", 2**80)  # every disk counts as full
    with pytest.raises(OSError, match="No space left") as error, atomic_folder(tmp_path / "run"):
        raise RuntimeError("unexpected pos 64 vs 0")
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path))
    with pytest.raises(SimrecError, match="as it was"), atomic_file(tmp_path / "a.json"):
        raise SimrecError("as it was")
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_folder_that_was_there(tmp_path: Path) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "old").write_text("kept")
    with pytest.raises(RuntimeError), atomic_folder(target) as temporary:
        (temporary / "new").write_text("lost")
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    assert (target / "old").read_text() == "kept"


def test_a_folder_replaces_the_one_before(tmp_path: Path) -> None:
    for word in ("old", "new"):
        with atomic_folder(tmp_path / "run") as temporary:
            (temporary / word).write_text(word)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["new"]


def test_written_files_get_the_rights_that_the_users_mask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "a.json", {})
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640  # 666 without 027
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750  # 777 without 027


def test_fingerprints_see_every_part_its_type_and_where_it_ends() -> None:
    a = np.arange(6, dtype=np.int32)
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(a) == fingerprint(a.copy())
    assert fingerprint(a) != fingerprint(a.reshape(2, 3))
    assert fingerprint(a) != fingerprint(a.astype(np.int64))
    assert fingerprint({"x": 1, "y": 2}) == fingerprint({"y": 2, "x": 1})


def test_the_data_home_follows_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMREC_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.delenv("SIMREC_HOME")
    assert home() == Path.home() / ".cache" / "simrec"


def test_a_wrong_name_is_answered_with_the_nearest_or_with_all() -> None:
    assert nearest("movielen", ["coat", "movielens"]) == "did you mean 'movielens'?"
    assert nearest("zzz", ["coat", "toy"]) == "expected one of coat, toy"
    assert nearest("zzz", []) == "there are none yet"
    assert issubclass(SimrecError, Exception)
