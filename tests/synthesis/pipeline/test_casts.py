import pytest
from drawn_studio import ANN, BEN, CAT, RED, TOM, Drawn

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
    assert list(dealt) == [f"p{n}" for n in range(count)]
    sources: dict[str, set[str]] = {"train": set(), "validation": set(), "test": set()}
    for (actor,) in people:
        sources[dealt[actor.person]].add(actor.source_id)
    assert not sources["test"] & (sources["train"] | sources["validation"])
    assert sources["train"]
    assert list(dealt.values()).count("test") == {1: 0, 2: 1, 3: 1, 4: 1, 8: 2, 24: 5}[count]
    assert bool(sources["validation"]) is (count >= 4)
    assert set(split_people(people, ["train"]).values()) == {"train"}


def test_a_split_needs_every_subject() -> None:
    tom: dict[Split, list[Drawn]] = {"train": [TOM], "test": [TOM]}
    ann: dict[Split, list[Drawn]] = {"train": [ANN]}
    casts = casts_of({"tom": tom, "ann": ann}, [[BEN]], [[CAT]])
    assert list(casts) == ["train"]
    assert casts["train"].subjects == {"tom": [TOM], "ann": [ANN]}
    assert (casts["train"].strangers, casts["train"].lookalikes) == ([BEN], [CAT])
