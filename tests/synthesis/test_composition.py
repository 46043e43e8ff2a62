"""Corpora composed out of others: splits stay apart, answers are the truth, whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
from tiny import make_corpus

from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.errors import UserError
from pvchat.metrics.functional.intervals import parse_intervals
from pvchat.synthesis.composition import Composition, compose_corpus

SMALL = Composition(count=6, held_out=4, parts=2, seconds=(0.5, 0.5), people=(2,))


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    manifest = make_corpus(tmp_path / "corpus", ("tom", "ann"), clips={"train": 4, "test": 4})
    found = read_manifest(manifest)
    return [*found, replace(found[0], id="reference", source_id="reference", split="reference")]


def test_splits_stay_apart_and_answers_are_the_truth(records: list[Record], tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = compose_corpus(records, out, SMALL, allow=("background",))
    assert read_manifest(out / "manifest.jsonl") == made
    assert [r.split for r in made].count("train") == 2 * 6 + 6
    assert [r.split for r in made].count("test") == 2 * 4 + 4
    splits = {r.source_id: r.split for r in records}
    for record in made:
        assert record.path.parent == out / "clips"
        if record.split != "reference":
            assert {splits[source] for source in record.source_id.split("+")} == {record.split}
            assert {qa.type for qa in record.qa if qa.subjects} >= {"existence"}
            for qa in (qa for qa in record.qa if qa.type == "when"):
                assert bool(parse_intervals(qa.answer)) == record.presence[qa.subjects[0]]
    assert {qa.type for r in made for qa in r.qa} >= {"when", "who", "existence", "appearance"}
    [reference] = [r for r in made if r.split == "reference"]
    assert reference.path.read_bytes() == records[-1].path.read_bytes()


def test_one_kind_alone_and_one_subject(records: list[Record], tmp_path: Path) -> None:
    one = compose_corpus(
        records, tmp_path / "one", replace(SMALL, people=()), subjects=["ann"], allow=("background",)
    )
    assert len(one) == 6 + 4 + 1
    sides = compose_corpus(records, tmp_path / "two", replace(SMALL, parts=0), allow=("background",))
    assert not any(qa.type == "when" for r in sides for qa in r.qa)


def test_refused_and_nothing_is_left(records: list[Record], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"a subject must be one of tom, ann: got 'bob'"):
        compose_corpus(records, out, SMALL, subjects=["bob"])
    with pytest.raises(UserError, match=r"shares its background .* or allow 'background'"):
        compose_corpus(records, out, SMALL)
    with pytest.raises(UserError, match=r"videos of 9 clips need as many .* of the train clips. Take fewer"):
        compose_corpus(records, out, replace(SMALL, parts=9), allow=("background",))
    with pytest.raises(UserError, match=r"5 people side by side"):
        compose_corpus(records, out, replace(SMALL, people=(5,)), allow=("background",))
    assert [p.name for p in tmp_path.iterdir()] == ["corpus"]
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(UserError, match=r"a corpus needs a folder of its own: .* Choose another"):
        compose_corpus(records, out, SMALL, allow=("background",))
