import pytest
from drawn_studio import RED, Drawn

from pvchat.datamodules.manifest import Split
from pvchat.synthesis.pipeline.casts import casts_of, split_own, split_people


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ([0.0, 0.2, 0.55, 0.7, 1.0], {"train": 2, "validation": 1, "test": 2}),
        ([0.25, 0.75], {"train": 1, "validation": 1, "test": 1}),  # validation has that of the training
        ([0.0], {"train": 1, "validation": 1}),
        ([0.6], {"train": 1, "validation": 1}),
        ([0.9, 0.95], {"train": 2, "validation": 2}),
        ([0.6, 0.9], {"train": 1, "validation": 1, "test": 1}),
    ],
)
def test_own_pictures_are_split_by_time(at: list[float], expected: dict[Split, int]) -> None:
    dealt = split_own([(n, where) for n, where in enumerate(at)])
    assert {split: len(own) for split, own in dealt.items()} == expected
    assert not set(dealt.get("test", ())) & {n for s in ("train", "validation") for n in dealt[s]}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 24])
def test_nobody_and_no_source_is_in_training_and_test(count: int) -> None:
    people = [[Drawn(f"p{n}", RED, f"photo{n % 5}")] for n in range(count)]
    dealt = split_people(people)
    assert sorted(id(p) for group in dealt.values() for p in group) == sorted(map(id, people))
    sources = {split: {a.source_id for p in group for a in p} for split, group in dealt.items()}
    assert not sources["test"] & (sources["train"] | sources["validation"])
    assert dealt["train"]
    assert len(dealt["test"]) == {1: 0, 2: 1, 3: 1, 4: 1, 8: 2, 24: 5}[count]
    assert bool(dealt["validation"]) is (count >= 4)
    assert [split for split, group in split_people(people, ["train"]).items() if group] == ["train"]


def test_a_split_needs_every_subject() -> None:
    tom: dict[Split, list[str]] = {"train": ["a"], "test": ["b"]}
    ann: dict[Split, list[str]] = {"train": ["c"]}
    casts = casts_of({"tom": tom, "ann": ann}, {"train": ["x"], "test": ["y"]}, {})  # type: ignore[type-var]
    assert list(casts) == ["train"]
    assert casts["train"].subjects == {"tom": ["a"], "ann": ["c"]}
    assert casts["train"].strangers == ["x"]
    assert casts["train"].lookalikes == ()
