import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pvchat.errors import UserError
from pvchat.synthesis.pipeline.folder import corpus_folder

REQUEST = {"seed": 0, "subjects": ["tom"]}


def make(out: Path) -> None:
    (out / "clips").mkdir(exist_ok=True)
    (out / "clips" / "a.mp4").write_bytes(b"clip")


def test_a_killed_run_goes_on_and_its_leftovers_go(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    with corpus_folder(out, REQUEST, "faces: 8"):
        make(out)
    (out / "clips" / ".b.mp4.17.tmp").write_bytes(b"half")
    with corpus_folder(out, REQUEST, "faces: 8"):
        assert [p.name for p in (out / "clips").iterdir()] == ["a.mp4"]
        assert (out / "config.yaml").read_text() == "faces: 8"


def test_another_request_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    with corpus_folder(out, REQUEST, ""):
        make(out)
    with (
        pytest.raises(UserError, match=r"began with other values of seed\. Choose another --out"),
        corpus_folder(out, REQUEST | {"seed": 1}, ""),
    ):
        pass
    assert (out / "clips" / "a.mp4").is_file()


def test_a_folder_with_other_things_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="a folder of its own"), corpus_folder(tmp_path, REQUEST, ""):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_one_run_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    with corpus_folder(out, REQUEST, ""):
        make(out)
        with pytest.raises(UserError, match="another is at work"), corpus_folder(out, REQUEST, ""):
            pass
        assert sorted(p.name for p in out.iterdir()) == [".lock", "clips", "config.yaml", "request.json"]


def test_nothing_made_nothing_left(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    with pytest.raises(UserError, match="no face"), corpus_folder(out, REQUEST, ""):
        raise UserError("no face")
    assert not out.exists()


def test_too_little_room_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with (
        pytest.raises(UserError, match="needs 300 MB: 5 MB are free"),
        corpus_folder(tmp_path / "corpus", REQUEST, ""),
    ):
        pass
    assert not (tmp_path / "corpus").exists()
