import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvchat.datamodules.manifest import QA
from pvchat.datamodules.sources import MCLLaVA
from pvchat.errors import UserError

Photos = Callable[..., None]
AUTHORS = "/workspace/data/MulBench"


def pair(human: str, ai: str) -> dict[str, str]:
    return {"Human": human, "AI": ai}


def write(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data))


@pytest.fixture
def root(tmp_path: Path, photos: Photos) -> Path:
    """Two scenarios: A with L and Y, and Bo with Ann."""
    for case, cast in (("three_concept", ("A", "L", "Y")), ("two_concept", ("Bo", "Ann"))):
        inside = f"{AUTHORS}/{case}/concept/test"
        for name in cast:
            photos(tmp_path / case / "concept" / "train" / name, "0.png", "0_mask.png", "1.png")
            folder = tmp_path / case / "concept" / "test" / name
            photos(folder, "0.png", "1.png")
            human = f"What is <{name}> holding?\nA. A cup\nB. A red, big book\nC. Nothing"
            write(folder / "choice.json", {f"{inside}/{name}/0.png": pair(human, "B")})
            write(
                folder / "vqa.json", {f"{inside}/{name}/1.png": pair("Where is <sks>?", "<sks> is outside.")}
            )
            write(folder / "qa.json", [{"question": f"Is <{name}> tall? A. Yes B. No", "answer": "A"}])
        multi = tmp_path / case / "multi" / "_".join(cast)
        photos(multi, "0.png", "1.png")
        names = " and ".join(f"<{name}>" for name in cast)
        write(multi / "vqa.json", {"x/0.png": [pair(f"Who are {names}?", "Friends."), pair("Why?", "So.")]})
        write(multi / "choice.json", {"x/1.png": [pair(f"Which of {names}?", "C.")]})
        write(multi / "position.json", {"x/0.png": dict.fromkeys(cast, "left") | {cast[0]: None}})
    photos(tmp_path / "random-images", "10192.png")
    write(tmp_path / "scenarios.json", ["A_L_Y", "Bo_Ann", "Tom_Jerry"])
    return tmp_path


def test_records(root: Path) -> None:
    source = MCLLaVA(root=root)
    records = source.records()
    by = {r.id: r for r in records}
    assert source.subjects == ("A", "Ann", "Bo", "L", "Y")
    assert len(records) == 1 + 5 * 4 + 2 * 2  # masks are no photos
    assert all(r.path.is_file() for r in records)
    assert {r.split for r in records if "/train/" in r.id or "random" in r.id} == {"train"}
    assert {r.split for r in records if "/test/" in r.id or "/multi/" in r.id} == {"test"}
    assert not any(by["random-images/10192.png"].presence.values())
    alone = by["three_concept/concept/test/A/0.png"]
    assert [name for name, there in alone.presence.items() if there] == ["A"]
    assert alone.qa[-1] == QA(
        "What is <A> holding? Answer with one of: A cup; A red, big book; Nothing.",
        "A red, big book",
        "general",
        None,
        ("A",),
    )
    outside = by["two_concept/concept/test/Bo/1.png"].qa[-1]
    assert outside == QA("Where is <Bo>?", "<Bo> is outside.", "location", None, ("Bo",))


def test_several_on_one_photo(root: Path) -> None:
    by = {r.id: r for r in MCLLaVA(root=root).records()}
    first, second = (by[f"three_concept/multi/A_L_Y/{n}.png"] for n in (0, 1))
    assert [n for n, there in first.presence.items() if there] == ["L", "Y"]  # A has no position
    assert [n for n, there in second.presence.items() if there] == ["A", "L", "Y"]  # no positions at all
    assert [q.subjects for q in first.qa[5:]] == [("A", "L", "Y")] * 2
    letter = second.qa[-1]  # its options are not in the text
    assert letter.question == "Which of <A> and <L> and <Y>? Answer with a single letter."
    assert (letter.answer, letter.type) == ("C", "general")


def test_a_scenario_is_its_subjects(root: Path) -> None:
    source = MCLLaVA(root=root, subjects=["Bo", "Ann"])
    records = source.records()
    assert {tuple(r.presence) for r in records} == {("Bo", "Ann")}
    assert sum(r.origin == "negative" for r in records) == 1 + 3 * 4 + 2
    assert len(source.left_out["questions about concepts that are no subjects"]) == 3 * 2 + 3


def test_what_is_left_out_is_named(root: Path, capsys: Any) -> None:
    (root / "two_concept" / "concept" / "train" / "Bo" / "caption_llava.json").write_text("{}")
    source = MCLLaVA(root=root)
    source.records()
    assert {why: len(some) for why, some in source.left_out.items()} == {
        "questions without a photo": 5,
        "files that are no photos": 1,
        "scenarios of scenarios.json without a folder": 1,
    }
    said = capsys.readouterr().err
    assert "1 scenarios of scenarios.json without a folder: Tom_Jerry." in said
    assert "1 files that are no photos: two_concept/concept/train/Bo/caption_llava.json." in said


@pytest.mark.parametrize(
    "human",
    [
        "Who? A. Tom B. Ann",
        "Who?\nA) Tom\nB) Ann",
        "Who? (A) Tom (B) Ann",
        "Who? A: Tom, B: Ann",
    ],
)
def test_ways_to_write_options(root: Path, human: str) -> None:
    write(root / "two_concept" / "multi" / "Bo_Ann" / "choice.json", {"0.png": [pair(human, "B")]})
    by = {r.id: r for r in MCLLaVA(root=root).records()}
    [qa] = [q for q in by["two_concept/multi/Bo_Ann/0.png"].qa if q.answer == "Ann"]
    assert qa.question == "Who? Answer with one of: Tom; Ann."
    assert qa.subjects == ("Bo", "Ann")


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        ("vqa.json", {"x/0.png": [{"Human": "Who?"}]}, "vqa.json, 'x/0.png': AI must be a non-empty string"),
        ("vqa.json", 3, "vqa.json must hold an object or a list: got '3'"),
        ("position.json", {"x/0.png": {"Leo": "left"}}, "'x/0.png': positions must be of ['Bo', 'Ann']: got"),
    ],
)
def test_broken_files(root: Path, file: str, data: Any, message: str) -> None:
    write(root / "two_concept" / "multi" / "Bo_Ann" / file, data)
    with pytest.raises(UserError, match=re.escape(message)):
        MCLLaVA(root=root).records()


@pytest.mark.parametrize("data", [5, None, [["Bo", "Ann"]], "Bo_Ann"])
def test_scenarios_are_names(root: Path, data: Any) -> None:
    write(root / "scenarios.json", data)
    with pytest.raises(UserError, match=r"scenarios.json must hold a list of names: got"):
        MCLLaVA(root=root).records()


def test_a_scenario_of_unknown_concepts(root: Path, photos: Photos) -> None:
    photos(root / "two_concept" / "multi" / "Bo_Leo", "0.png")
    with pytest.raises(
        UserError, match="Bo_Leo: a scenario is named after its concepts, as a_b: 'Leo' has no"
    ):
        MCLLaVA(root=root).records()
