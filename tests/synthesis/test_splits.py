from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pvchat.commands import build_parser
from pvchat.datamodules.manifest import Record, check_records
from pvchat.errors import UserError
from pvchat.synthesis.splits import check_leaks, deal_splits, find_leaks


def clip(name: str, split: str = "train", *, there: bool = True, **changes: object) -> Record:
    fields = {
        "id": name, "path": Path(f"/{name}.mp4"), "presence": {"tom": there}, "source_id": name,
        "origin": "real", "split": split, "licence": "CC0", "consent": "given",
    }  # fmt: skip
    return Record(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("split", ["reference", "train", "validation"])
def test_what_a_test_clip_shares_is_found(split: str) -> None:
    earlier = clip("a", split, background="beach", end_s=4.0, where="m.jsonl line 1")
    for changes, shared in (
        ({"source_id": "a"}, "source"),
        ({"background": "beach"}, "background"),
        ({"path": Path("/a.mp4"), "start_s": 3.0}, "time"),
    ):
        (leak,) = find_leaks([earlier, clip("b", "test", where="m.jsonl line 2", **changes)])
        assert (leak.shared, leak.test.id, leak.earlier.id) == (shared, "b", "a")
        assert str(leak).startswith("m.jsonl line 2: test clip 'b' shares ")
        assert str(leak).endswith(f" with {split} clip 'a' (m.jsonl line 1).")


def test_what_is_no_leak() -> None:
    earlier = clip("a", background="beach", end_s=4.0)
    assert find_leaks([earlier, clip("b", "test", path=Path("/a.mp4"), start_s=4.0)]) == []
    assert find_leaks([earlier, clip("b", source_id="a", background="beach")]) == []  # both are trained on
    tests = [clip("b", "test", source_id="x"), clip("c", "test", source_id="x")]
    assert find_leaks([earlier, *tests]) == []
    assert find_leaks([clip("a"), clip("b", "test")]) == []  # backgrounds that are not told are not the same


def test_the_user_may_allow_it() -> None:
    records = [clip("a", background="beach"), clip("b", "test", source_id="a", background="beach")]
    assert [leak.shared for leak in find_leaks(records, allow=["source"])] == ["background"]
    check_leaks(records, allow=["source", "background"])
    with pytest.raises(
        UserError,
        match=r"^clip: test clip 'b' shares its source 'a' with train clip 'a'\. So do 1 more\. Give the "
        r"test material of its own, or allow 'source'\.$",
    ):
        check_leaks(records)


def test_the_command_line_offers_what_can_be_allowed() -> None:
    """Seconds that are trained on are refused by the manifest itself."""
    parser = build_parser()
    options = parser.parse_args(["data", "check", "x", "--allow", "source", "--allow", "background"])
    records = [clip("a", background="beach"), clip("b", "test", source_id="a", background="beach")]
    assert find_leaks(records, allow=options.allow) == []
    with pytest.raises(UserError, match="shows the same seconds"):
        check_records([clip("a"), clip("b", "test", path=Path("/a.mp4"))])


def corpus() -> list[Record]:
    """Forty clips of tom and of strangers, two a photo, and a reference."""
    clips = [clip(f"c{i}", there=i % 4 < 2, source_id=f"photo {i // 2}") for i in range(40)]
    return [clip("r", "reference"), *clips]


def test_splits_have_no_leak_and_the_shares_asked_for() -> None:
    records = deal_splits(corpus(), test=0.3, validation=0.2, seed=0)
    check_leaks(records)
    counts = Counter((r.split, r.presence["tom"]) for r in records)
    assert counts == {
        ("reference", True): 1,
        ("test", True): 6, ("test", False): 6, ("validation", True): 4, ("validation", False): 4,
        ("train", True): 10, ("train", False): 10,
    }  # fmt: skip
    assert [r.id for r in records] == [r.id for r in corpus()]
    assert records == deal_splits(corpus(), test=0.3, validation=0.2, seed=0)
    assert records != deal_splits(corpus(), test=0.3, validation=0.2, seed=1)


def test_what_shares_with_the_reference_is_trained_on() -> None:
    """Directly or through another clip: the photo of one, the background of the next."""
    records = [
        clip("r", "reference"), clip("a", source_id="r", background="beach"), clip("b", background="beach"),
        *(clip(f"c{i}") for i in range(3)),
    ]  # fmt: skip
    for seed in range(8):
        dealt = {r.id: r.split for r in deal_splits(records, test=0.6, validation=0, seed=seed)}
        assert (dealt["r"], dealt["a"], dealt["b"]) == ("reference", "train", "train")
        assert list(dealt.values()).count("test") == 3
    free = [
        {r.id: r.split for r in deal_splits(records, test=0.6, validation=0, seed=s, allow=["source"])}
        for s in range(8)
    ]
    assert {"test"} <= {dealt["a"] for dealt in free}
    assert all(dealt["a"] == dealt["b"] for dealt in free)  # they still share a background


def test_parts_of_a_recording_that_overlap_stay_together() -> None:
    parts = [
        clip(f"p{i}", path=Path("/r.mp4"), start_s=2.0 * i, end_s=2.0 * i + (3 if i == 0 else 2))
        for i in range(6)
    ]
    for seed in range(6):
        dealt = deal_splits(parts, test=0.5, validation=0, seed=seed)
        check_leaks(dealt)
        assert dealt[0].split == dealt[1].split
        assert sum(r.split == "test" for r in dealt) in (2, 3)


def test_refusals() -> None:
    for shares in ({"test": 0.7, "validation": 0.3}, {"test": -0.1, "validation": 0.1}):
        with pytest.raises(UserError, match=r"shares held out must be >= 0 and less than 1 together"):
            deal_splits(corpus(), seed=0, **shares)


def test_only_references_keep_their_split() -> None:
    tests = [replace(r, split="test") for r in corpus()[1:]]
    assert {r.split for r in deal_splits(tests, test=0, validation=0, seed=0)} == {"train"}
