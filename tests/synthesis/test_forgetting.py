"""A forgotten subject is gone from the corpus and the caches; everybody else stays, and what is elsewhere."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import fit, make_corpus, make_data, make_module

from pvchat import cli
from pvchat.datamodules.cache import FeatureCache
from pvchat.datamodules.manifest import Record, read_manifest, write_manifest
from pvchat.datamodules.packing import pack
from pvchat.datamodules.sources import ShardSource
from pvchat.endpoint.replies import Replies
from pvchat.errors import UserError
from pvchat.synthesis.forgetting import NOTE, Forgotten, forget
from pvchat.synthesis.gallery.pictures import Picture
from pvchat.synthesis.gallery.store import EmbeddingStore
from pvchat.synthesis.traces import UNTOLD, Caches

TOM, ANN, BOB = (np.eye(128, dtype=np.float32)[n] for n in range(3))


def build(root: Path, subjects: tuple[str, ...] = ("tom", "ann")) -> Path:
    """A corpus as the synthesis leaves it: histories, faces, rejects, a contact sheet."""
    manifest = make_corpus(root, subjects, clips={"train": 4, "test": 2})
    for record in read_manifest(manifest):
        history = {"seed": 1, "scene": "as for tom", "beside": ["tom", "ann"], "gate": {"tom": 0.7}}
        record.path.with_suffix(".json").write_text(json.dumps(history))
    for name, face in (("tom", TOM), ("ann", ANN)):
        (root / "faces" / name).mkdir(parents=True)
        (root / "faces" / name / "a.png").write_bytes(name.encode())
        (root / "faces" / name / "faces.json").write_text(json.dumps([{"embedding": face.tolist()}]))
    (root / "rejects" / "deep").mkdir(parents=True)
    (root / "rejects" / "deep" / "x.mp4").write_bytes(b"x")
    for name in ("contact_sheet.html", "contact_sheet.png", "statistics.json"):
        (root / name).write_text("tom")
    shown = next(r.path for r in read_manifest(manifest) if r.presence[subjects[0]])
    files = [hashlib.sha256(shown.read_bytes()).hexdigest()]
    (root / "request.json").write_text(json.dumps({"subjects": [{"name": subjects[0], "files": files}]}))
    (root / "notes of mine.pdf").write_text("keep")
    return root


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return build(tmp_path / "corpus")


def shows(root: Path, name: str = "tom") -> list[Record]:
    return [r for r in read_manifest(root / "manifest.jsonl", check_files=False) if r.presence[name]]


def words(root: Path) -> str:
    """Everything there is to read below ``root``, and the names of the files."""
    found = [path.relative_to(root).as_posix() for path in root.rglob("*")]
    found += [path.read_bytes().decode(errors="replace") for path in root.rglob("*") if path.is_file()]
    return "\n".join(found)


def run(root: Path, cache: Path, **options: Any) -> Forgotten:
    return forget("tom", root, caches=Caches(cache), **options)


def test_nothing_of_the_subject_is_left(corpus: Path, tmp_path: Path) -> None:
    before = read_manifest(corpus / "manifest.jsonl")
    gone = shows(corpus)
    contents = {hashlib.sha256(r.path.read_bytes()).hexdigest() for r in gone}
    done = run(corpus, tmp_path / "cache")
    assert done.left == []
    assert done.searched == sum(path.is_file() for path in corpus.rglob("*"))
    after = read_manifest(corpus / "manifest.jsonl")
    assert [r.id for r in after] == [r.id for r in before if not r.presence["tom"]]
    assert done.gone["clips"] == len(gone) > 0
    for record in after:
        assert record.presence.keys() == {"ann"}
        was = next(r for r in before if r.id == record.id)
        assert record.qa == tuple(q for q in was.qa if q.subjects == ("ann",))
        assert json.loads(record.path.with_suffix(".json").read_text()) == {
            "seed": 1, "scene": "as for forgotten", "beside": ["ann"], "gate": {},
        }  # fmt: skip
    assert not re.search(r"(?i)\btom\b", words(corpus))
    left = {hashlib.sha256(p.read_bytes()).hexdigest() for p in corpus.rglob("*") if p.is_file()}
    assert not left & contents
    names = {path.relative_to(corpus).as_posix() for path in corpus.iterdir()}
    assert names == {
        "manifest.jsonl", "clips", "faces", "contact_sheet.html", "contact_sheet.png", "statistics.json",
        "notes of mine.pdf",
    }  # fmt: skip
    assert (corpus / "faces" / "ann" / "a.png").read_bytes() == b"ann"
    assert json.loads((corpus / "statistics.json").read_text())["by_split"] == {"train": 6, "test": 3}


def test_the_caches_lose_the_subject_and_keep_the_others(corpus: Path, private_cache: Path) -> None:
    module = make_module(("tom", "ann"))
    fit(module, make_data(corpus / "manifest.jsonl", module, cache_dir=str(private_cache / "clips")))
    old = FeatureCache(private_cache / "clips" / "features")
    old.get_or_compute(f"{'0' * 64} main fingerprint", lambda: {})  # as former versions called it
    trained = [r for r in read_manifest(corpus / "manifest.jsonl") if r.split == "train"]
    tom = [r for r in trained if r.presence["tom"]]
    history = tom[0].path.with_suffix(".json")
    history.write_text(json.dumps({"replies": ["a" * 64]}))
    replies = Replies(private_cache / "replies")
    for key, text in (("a" * 64, "A man nods."), ("b" * 64, "Yes, <tom> nods."), ("c" * 64, "Atoms, <ann>.")):
        replies.get_or_ask(key, str, lambda text=text: text)  # type: ignore[misc]
    store = EmbeddingStore(private_cache / "galleries" / "faces.sqlite", width=128)
    looks = EmbeddingStore(private_cache / "galleries" / "clip.sqlite", width=512)
    for name, face in (("like tom", TOM * 0.9), ("bob", BOB)):
        store.add(Picture(name, name, "1"), name, [face])
        looks.add(Picture(name, name, "1"), name, [np.ones(512, np.float32)])
    pack(corpus / "manifest.jsonl", corpus.parent / "shards")
    unpacked = ShardSource(corpus.parent / "shards").records()[0].path.parent

    done = run(corpus, private_cache)
    assert done.left == []
    assert (done.gone["features of clips"], done.gone[UNTOLD]) == (2 * len(tom), 1)
    features = FeatureCache(private_cache / "clips" / "features")
    assert len(list(features.entries())) == len(trained) - len(tom)
    assert [path.stem for path, _ in replies.texts()] == ["c" * 64]
    assert store.files().keys() == looks.files().keys() == {"bob"}
    assert "like tom" in store  # its bytes are not embedded again
    assert not unpacked.exists()
    assert (corpus.parent / "shards" / "index.json").exists()  # not ours to delete
    assert (private_cache / "assets").exists()


def test_the_search_finds_what_is_left(corpus: Path, tmp_path: Path) -> None:
    """The same search without the work before it."""
    clip = shows(corpus)[0].path

    def restore(root: Path, records: Any) -> None:
        (root / "copy.bin").write_bytes(data)
        (root / "note.txt").write_text("one\nTom was here\n")
        (root / "by Tom.bin").write_bytes(b"?")
        (root / "customs.txt").write_text("atom, tomorrow")
        (root / "vectors.json").write_text(json.dumps({"who": (TOM * 0.8).tolist()}))

    data = clip.read_bytes()
    left = run(corpus, tmp_path / "cache", redraw=restore).left
    assert set(left) == {
        f"a clip: {corpus / 'copy.bin'}",
        f"a face: {corpus / 'vectors.json'}",
        f"{corpus / 'note.txt'} line 2",
        f"the name of {corpus / 'by Tom.bin'}",
    }


def test_interrupted_anywhere_it_finishes_when_run_again(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each file that is written or deleted; and no line of the manifest ever names a file that is gone."""
    shutil.copytree(corpus, tmp_path / "undisturbed")
    run(tmp_path / "undisturbed", tmp_path / "cache", redraw=lambda root, records: None)
    expected = snapshot(tmp_path / "undisturbed")
    steps = 0
    while True:
        steps += 1
        root = tmp_path / f"try{steps}"
        shutil.copytree(corpus, root)
        with monkeypatch.context() as patch:
            after(patch, steps)
            try:
                run(root, tmp_path / "cache", redraw=lambda root, records: None)
                break
            except KeyboardInterrupt:
                pass
        read_manifest(root / "manifest.jsonl")  # checks that the files are there
        assert run(root, tmp_path / "cache", redraw=lambda root, records: None).left == []
        assert snapshot(root) == expected
    assert steps > 10


def after(patch: pytest.MonkeyPatch, steps: int) -> None:
    """From the ``steps``-th on, every write and deletion is interrupted."""
    count = 0

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count >= steps:
                raise KeyboardInterrupt
            return act(*args, **kwargs)

        return wrapped

    patch.setattr(Path, "unlink", counted(Path.unlink))
    patch.setattr(os, "replace", counted(os.replace))
    patch.setattr(shutil, "rmtree", counted(shutil.rmtree))


def snapshot(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_the_last_subject_takes_the_corpus_along(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", ("tom",))
    before = snapshot(root)
    with pytest.raises(
        UserError, match=r"'tom' is all that .*: forgetting removes the whole corpus, 6 clips"
    ):
        run(root, tmp_path / "cache")
    assert snapshot(root) == before
    assert run(root, tmp_path / "cache", entire=True).left == []
    assert snapshot(root) == {"notes of mine.pdf": b"keep"}  # not ours
    (root / "notes of mine.pdf").unlink()
    for name in ("manifest.jsonl", "clips"):
        assert not (root / name).exists()


def test_an_empty_folder_goes_with_the_corpus(tmp_path: Path) -> None:
    root = make_corpus(tmp_path / "corpus", clips={"train": 2}).parent
    run(root, tmp_path / "cache", entire=True)
    assert not root.exists()


def test_the_name_goes_from_clips_that_stay(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus", ("tom", "ann"), clips={"train": 4})
    records = read_manifest(manifest)
    other = next(r for r in records if not any(r.presence.values()))
    renamed = other.path.with_name(f"beside-tom-1{other.path.suffix}")
    other.path.rename(renamed)
    named = {"id": "beside-tom-1", "path": renamed, "source_id": "tom's party", "consent": "by Tom"}
    write_manifest(manifest, [Record(**{**vars(r), **named}) if r is other else r for r in records])
    data = renamed.read_bytes()
    assert run(manifest.parent, tmp_path / "cache").left == []
    kept = next(r for r in read_manifest(manifest) if r.id == "beside-forgotten-1")
    assert (kept.source_id, kept.consent) == ("forgotten's party", "by forgotten")
    assert kept.path.name == f"beside-forgotten-1{other.path.suffix}"
    assert kept.path.read_bytes() == data
    assert not renamed.exists()


def test_a_file_that_shows_the_subject_at_another_time_goes_too(tmp_path: Path) -> None:
    manifest = make_corpus(tmp_path / "corpus", ("tom", "ann"), clips={"train": 4})
    records = read_manifest(manifest)
    film = next(r for r in records if r.presence["tom"] and r.path.suffix == ".mp4")
    other = next(r for r in records if not any(r.presence.values()))
    later = {**vars(other), "id": "later", "path": film.path, "start_s": 0.4}
    write_manifest(manifest, [*records, Record(**later)])
    run(manifest.parent, tmp_path / "cache")
    assert "later" not in {r.id for r in read_manifest(manifest)}


def test_links_are_not_followed_out_of_the_folder(corpus: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(corpus / "rejects", elsewhere / "rejects")
    (corpus / "rejects").symlink_to(elsewhere / "rejects", target_is_directory=True)
    shutil.move(corpus / "faces" / "tom", elsewhere / "tom")
    (corpus / "faces" / "tom").symlink_to(elsewhere / "tom", target_is_directory=True)
    shutil.move(corpus / "clips", elsewhere / "clips")
    (corpus / "clips").symlink_to(elsewhere / "clips", target_is_directory=True)
    before = snapshot(elsewhere)
    clips = {path for r in shows(corpus) for path in (r.path, r.path.with_suffix(".json"))}
    done = run(corpus, tmp_path / "cache")
    assert snapshot(elsewhere) == before
    assert clips <= set(done.outside)
    assert not (corpus / "rejects").is_symlink()
    assert not (corpus / "faces" / "tom").is_symlink()


def test_clips_outside_of_the_corpus_stay_and_are_named(corpus: Path, tmp_path: Path) -> None:
    records = read_manifest(corpus / "manifest.jsonl")
    moved = shows(corpus)[0]
    outside = tmp_path / f"party{moved.path.suffix}"
    moved.path.rename(outside)
    changed = [Record(**{**vars(r), "path": outside}) if r.id == moved.id else r for r in records]
    write_manifest(corpus / "manifest.jsonl", changed)
    assert run(corpus, tmp_path / "cache").outside == [outside]
    assert outside.exists()


def test_refusals_change_nothing(corpus: Path, tmp_path: Path) -> None:
    before = snapshot(tmp_path)
    with pytest.raises(UserError, match=r"a corpus folder holds manifest\.jsonl: .* does not"):
        forget("tom", tmp_path, caches=Caches(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"knows \['tom', 'ann'\], got 'eva'\."):
        forget("eva", corpus, caches=Caches(tmp_path / "cache"))
    (corpus / "manifest.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"line 1: key 'schema_version' is missing"):
        run(corpus, tmp_path / "cache")
    assert snapshot(tmp_path) == before | {"corpus/manifest.jsonl": b"{}\n"}


def test_one_after_the_other(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run(corpus, tmp_path / "cache")
    with pytest.raises(UserError, match=r"'tom' was begun in .* Run pvchat forget 'tom' first"):
        forget("ann", corpus, caches=Caches(tmp_path / "cache"))
    (corpus / NOTE).write_text("?")
    with pytest.raises(UserError, match=r"is damaged: delete it and run pvchat forget again"):
        run(corpus, tmp_path / "cache")


def test_through_the_command_line(
    tiny_run: Path, tmp_path: Path, private_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that was trained on the corpus is named and stays."""
    root = make_corpus(tmp_path / "corpus").parent  # what the run was trained on, elsewhere
    runs = tmp_path / "runs"
    shutil.copytree(tiny_run, runs / "trained" / "1")
    arguments = ["forget", "tom", "--corpus", str(root), "--runs", str(runs)]
    assert cli.main(arguments) == 2
    assert "Say --yes to do so." in capsys.readouterr().err
    assert cli.main([*arguments, "--yes"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[-1] == "left of tom: 0"
    assert f"stays: the run {runs / 'trained' / '1'} learned tom." in shown[-2]
    assert (runs / "trained" / "1" / "adapter").is_dir()
    assert not root.exists()
