import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvchat.datamodules.manifest import QA
from pvchat.datamodules.sources import YoLLaVA
from pvchat.errors import UserError

Photos = Callable[..., None]


def item(question: str, right: str, **options: str) -> dict[str, Any]:
    return {"question": question, "options": options, "correct_answer": right}


def ask(root: Path, questions: Any) -> None:
    (root / "yollava-visual-qa.json").write_text(json.dumps(questions))


@pytest.fixture
def root(tmp_path: Path, photos: Photos) -> Path:
    """Three concepts as in the repository, questions about two."""
    root = tmp_path / "yollava-data"
    for concept in ("bo", "mam", "shiba-gray"):
        photos(root / "train" / concept, "0.png", "1.png", "2.png")
        photos(root / "test" / concept, "0.png", "10.png", "2.png")
    photos(root / "train" / "bo" / "negative_example", "76618997f6ce.png")
    (root / "train" / "bo" / "negative_example" / "scores.json").write_text("[]")
    (root / "test" / "bo" / ".DS_Store").write_text("")
    path = "./yollava-data/test"
    ask(
        root,
        {
            "bo": {f"{path}/bo/10.png": item("What colour is <sks>'s fur?", "B", A="Grey", B="Brown")},
            "mam": {f"{path}/mam/0.png": item("Is <sks> smiling?", "A", A="Yes", B="No")},
        },
    )
    return root


def test_records(root: Path) -> None:
    source = YoLLaVA(root=root)
    assert source.subjects == ("bo", "mam", "shiba-gray")
    records = source.records()
    assert Counter(r.split for r in records) == {"train": 10, "test": 9}
    assert [r.id for r in records if r.id.startswith("test/bo/")] == [
        "test/bo/0.png",
        "test/bo/2.png",
        "test/bo/10.png",
    ]
    assert all(r.path.is_file() for r in records)
    by = {r.id: r for r in records}
    assert by["test/bo/0.png"].presence == {"bo": True, "mam": False, "shiba-gray": False}
    assert [q.polarity for q in by["test/bo/0.png"].qa] == ["yes", "no", "no"]
    assert by["test/bo/10.png"].qa[-1] == QA(
        "What colour is <bo>'s fur? Answer with one of: Grey; Brown.", "Brown", "general", None, ("bo",)
    )
    assert by["test/mam/0.png"].qa[-1].answer == "Yes"
    assert source.left_out == {}


def test_others_are_the_negatives(root: Path, capsys: Any) -> None:
    source = YoLLaVA(root=root, subjects=["bo"])
    records = source.records()
    assert Counter((r.split, r.origin) for r in records) == {
        ("train", "real"): 3,
        ("train", "negative"): 7,
        ("test", "real"): 3,
        ("test", "negative"): 6,
    }
    why = "questions about concepts that are no subjects"
    assert source.left_out == {why: ["test/mam/0.png: Is <mam> smiling? Answer with one of: Yes; No."]}
    assert f": 1 {why}: test/mam/0.png: Is <mam>" in capsys.readouterr().err


def test_lookalikes_are_asked_about_their_concept_alone(root: Path) -> None:
    records = {r.id: r for r in YoLLaVA(root=root).records()}
    record = records["train/bo/negative_example/76618997f6ce.png"]
    assert not any(record.presence.values())
    assert [(q.subjects, q.polarity) for q in record.qa] == [(("bo",), "no")]
    other = YoLLaVA(root=root, subjects=["mam"]).records()
    assert not [r for r in other if "negative_example" in r.id]


def test_what_is_missing_is_named(
    root: Path, capsys: Any, make_data: Any, extractor: Any, photos: Photos
) -> None:
    """A photo that is asked about stays a record, so that the datamodule names it."""
    (root / "test" / "bo" / "10.png").unlink()
    shutil.rmtree(root / "test" / "shiba-gray")
    (root / "train" / "mam" / "notes.txt").write_text("")
    source = YoLLaVA(root=root)
    assert [r.id for r in source.records() if not r.path.is_file()] == ["test/bo/10.png"]
    assert source.left_out == {
        "files that are no photos": ["train/mam/notes.txt"],
        "subjects without test clips": ["shiba-gray"],
    }
    said = capsys.readouterr().err
    assert f"YoLLaVA {root}: 1 files that are no photos: train/mam/notes.txt." in said
    with pytest.raises(UserError, match=r"1 of 6 test clips do not exist: .*10\.png"):
        make_data(source, extractor).setup("test")
    data = make_data(source, extractor, on_bad_clip="skip")
    data.setup("fit")
    data.setup("test")
    assert set(data.bad_clips) == {"test/bo/10.png"}


def test_without_questions(root: Path) -> None:
    (root / "yollava-visual-qa.json").unlink()
    source = YoLLaVA(root=root)
    assert {q.type for r in source.records() for q in r.qa} == {"existence"}
    assert source.left_out == {"files of questions that are missing": ["yollava-visual-qa.json"]}


PHOTO = "./yollava-data/test/bo/0.png"


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ([], "yollava-visual-qa.json must hold a JSON object: got '[]'"),
        ({"leo": {}}, "yollava-visual-qa.json, 'leo': a concept with a folder must hold its photos"),
        ({"bo": {"test/mam/0.png": {}}}, "'bo': a photo is train or test, bo, file: got 'test/mam/0.png'"),
        ({"bo": {PHOTO: 3}}, f"{PHOTO!r}: question must be a non-empty string: got None"),
        (
            {"bo": {PHOTO: item("<sks>?", "C", A="x", B="y")}},
            f"{PHOTO!r}: options must hold correct_answer 'C'",
        ),
        ({"bo": {PHOTO: item("<sks>?", "A", A="x", B="")}}, "options: B must be a non-empty string: got ''"),
        ({"bo": {PHOTO: item("<sks>?", "A", A="x", B="X")}}, "options must be two or more that differ"),
    ],
)
def test_broken_questions(root: Path, questions: Any, message: str) -> None:
    ask(root, questions)
    with pytest.raises(UserError, match=re.escape(message)):
        YoLLaVA(root=root).records()


def test_broken_json(root: Path) -> None:
    file = root / "yollava-visual-qa.json"
    file.write_text('{"bo": {}, "bo": {}}')
    with pytest.raises(UserError, match=r"visual-qa.json is not valid JSON: key 'bo' is given twice\."):
        YoLLaVA(root=root).records()
    file.write_text("{")
    with pytest.raises(UserError, match=r"visual-qa.json is not valid JSON: "):
        YoLLaVA(root=root).records()


def test_wrong_root_and_subjects(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"root must be the folder of the data set: .* is none"):
        YoLLaVA(root=root / "nowhere").records()
    with pytest.raises(UserError, match=r"holds no concept as YoLLaVA has them"):
        _ = YoLLaVA(root=tmp_path).subjects
    with pytest.raises(
        UserError, match=r"subjects must be concepts of .*: got 'leo', which has bo, mam, shiba"
    ):
        _ = YoLLaVA(root=root, subjects=["leo"]).subjects


def test_fingerprint(root: Path, tmp_path: Path) -> None:
    one = YoLLaVA(root=root).fingerprint
    moved = shutil.copytree(root, tmp_path / "elsewhere")
    assert YoLLaVA(root=moved).fingerprint == one
    assert YoLLaVA(root=root, subjects=["bo"]).fingerprint != one
    ask(moved, {})
    assert YoLLaVA(root=moved).fingerprint != one
