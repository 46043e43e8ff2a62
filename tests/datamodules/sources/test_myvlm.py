import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvchat.datamodules.manifest import QA
from pvchat.datamodules.sources import MyVLM
from pvchat.errors import UserError

Photos = Callable[..., None]
NAMES = [f"IMG_{n}.jpg" for n in range(6)]


@pytest.fixture
def root(tmp_path: Path, photos: Photos) -> Path:
    """Two concepts of six photos, one of them with questions."""
    for concept in ("red_doll", "alex"):
        photos(tmp_path / concept, *NAMES)
        captions = {name: [f"A {concept} on a table.", f"{concept.title()} again."] for name in NAMES[:5]}
        (tmp_path / concept / "captions.json").write_text(json.dumps(captions))
    vqa = {f"/home/x/alex/{NAMES[0]}": [["What is alex wearing?", "alex is wearing a hat"]]}
    (tmp_path / "alex" / "additional_llava_vqa_data.json").write_text(json.dumps(vqa))
    return tmp_path


def test_records(root: Path) -> None:
    source = MyVLM(root=root)
    records = source.records()
    assert source.subjects == ("alex", "red_doll")
    assert Counter((r.id.split("/")[0], r.split) for r in records) == {
        (concept, split): n for concept in source.subjects for split, n in (("train", 4), ("test", 2))
    }
    by = {r.id: r for r in records}
    assert by["red_doll/IMG_1.jpg"].qa[2:] == tuple(
        QA("Please caption this photo of <red_doll>.", answer, "general", None, ("red_doll",))
        for answer in ("A <red_doll> on a table.", "<red_doll> again.")
    )
    assert by["alex/IMG_0.jpg"].qa[-1] == QA(
        "What is <alex> wearing?", "<alex> is wearing a hat", "appearance", None, ("alex",)
    )
    assert [q.type for q in by["alex/IMG_5.jpg"].qa] == ["existence"] * 2  # no caption, still there
    assert source.left_out == {}


def test_the_draw_is_the_seed_and_the_concept(root: Path) -> None:
    def drawn(**more: Any) -> set[str]:
        return {r.id for r in MyVLM(root=root, **more).records() if r.split == "train"}

    assert drawn() == drawn(subjects=["alex"])
    assert len({frozenset(drawn(seed=seed)) for seed in range(5)}) > 1
    assert len(drawn(num_train=1)) == 2


def test_augmented_captions_are_preferred(root: Path) -> None:
    text = json.dumps({NAMES[0]: ["sks in a garden."]})
    (root / "alex" / "captions_augmented.json").write_text(text)
    asked = {q.answer for r in MyVLM(root=root).records() for q in r.qa if q.subjects == ("alex",)}
    assert "<alex> in a garden." in asked
    assert "A <alex> on a table." not in asked


def test_what_is_missing_is_named(root: Path) -> None:
    (root / "red_doll" / "captions.json").unlink()
    (root / "alex" / NAMES[0]).unlink()
    source = MyVLM(root=root, num_train=6)
    records = source.records()
    assert [r.id for r in records if not r.path.is_file()] == ["alex/IMG_0.jpg"]
    assert source.left_out == {
        "concepts without captions": ["red_doll"],
        "subjects without test clips": ["alex", "red_doll"],
    }


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        (
            "captions.json",
            {"a.jpg": "A doll."},
            "captions.json, 'a.jpg': a photo must have a list: got 'A doll.'",
        ),
        ("captions.json", {"a.jpg": [3]}, "captions.json, 'a.jpg': a caption must be a text: got '3'"),
        (
            "additional_llava_vqa_data.json",
            {"/x/a.jpg": [["What?"]]},
            "'/x/a.jpg': an item must be a question and its answer: got \"['What?']\"",
        ),
    ],
)
def test_broken_files(root: Path, file: str, data: Any, message: str) -> None:
    (root / "alex" / file).write_text(json.dumps(data))
    with pytest.raises(UserError, match=re.escape(message)):
        MyVLM(root=root).records()


def test_num_train() -> None:
    with pytest.raises(UserError, match="num_train must be >= 1: got 0"):
        MyVLM(root=".", num_train=0)
