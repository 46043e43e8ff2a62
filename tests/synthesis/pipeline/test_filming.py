from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from drawn_studio import Drawn, DrawnStudio, Ground

from pvchat.datamodules.manifest import Split
from pvchat.errors import UserError
from pvchat.synthesis.executors import LocalExecutor
from pvchat.synthesis.gate import IdentityGate
from pvchat.synthesis.pipeline.filming import Camera, Filmed, film
from pvchat.synthesis.pipeline.takes import Cast, SplitSize, plan_takes

Casts = Mapping[Split, Cast[Drawn]]
Sizes = Mapping[Split, SplitSize]
SPLITS: tuple[Split, ...] = ("train", "test")


def shot(
    studio: DrawnStudio,
    casts: Casts,
    sizes: Sizes,
    folder: Path,
    gates: Mapping[str, IdentityGate] | None = None,
) -> Filmed[Drawn, Ground]:
    plan = plan_takes(studio, casts, sizes, seed=0)
    camera = Camera(studio=studio, folder=folder, gates=gates)
    return film(plan, SPLITS, camera=camera, executor=LocalExecutor())


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_all_takes_are_filmed_once(
    tmp_path: Path, studio: DrawnStudio, casts: Casts, sizes: Sizes, gates: dict[str, IdentityGate]
) -> None:
    filmed = shot(studio, casts, sizes, tmp_path, gates)
    assert (len(filmed.kept), filmed.rejected, filmed.lost) == (4 * 3 + 2 * 2, [], 0)
    assert all(clip.path.is_file() and clip.history.passed for clip in filmed.kept)
    before = bytes_of(tmp_path)
    again = shot(studio, casts, sizes, tmp_path, gates)
    assert studio.filmed == 16
    assert bytes_of(tmp_path) == before
    assert [c.history for c in again.kept] == [c.history for c in filmed.kept]


@pytest.mark.parametrize("damage", ["clip", "history", "no history"])
def test_what_was_damaged_is_made_again(
    tmp_path: Path, studio: DrawnStudio, casts: Casts, sizes: Sizes, damage: str
) -> None:
    shot(studio, casts, sizes, tmp_path)
    before = bytes_of(tmp_path)
    clip = tmp_path / "clips" / "train-001-0.mp4"
    if damage == "clip":
        clip.write_bytes(clip.read_bytes()[:-9])
    elif damage == "history":
        clip.with_suffix(".json").write_text("{")
    else:
        clip.with_suffix(".json").unlink()
    shot(studio, casts, sizes, tmp_path)
    assert studio.filmed == 17
    assert bytes_of(tmp_path) == before


def test_a_scene_with_a_rejected_clip_is_replaced_whole(
    tmp_path: Path, casts: Casts, sizes: Sizes, gates: dict[str, IdentityGate]
) -> None:
    plan = plan_takes(DrawnStudio(), casts, sizes, seed=0)
    spoiled = [plan("train", 0)[1][0].scene.seed, plan("train", 1)[1][0].scene.seed]
    filmed = shot(DrawnStudio(spoiled=spoiled), casts, sizes, tmp_path, gates)
    assert Counter(c.take.split for c in filmed.kept) == {"train": 12, "test": 4}
    assert [c.take.id for c in filmed.kept][3:6] == [f"train-001-{n}-again2" for n in range(3)]
    assert {c.take.scene for c in filmed.kept if c.take.scene.seed in spoiled} == set()
    assert [c.take.id for c in filmed.rejected if not c.history.passed] == [
        "train-001-0",
        "train-001-0-again1",
    ]
    assert "tom: distance" in filmed.rejected[0].history.reason
    assert filmed.rejected[0].path == tmp_path / "rejects" / "train-001-0.mp4"
    assert filmed.rejected[0].path.is_file()


def test_a_negative_that_looks_like_the_subject_is_rejected(
    tmp_path: Path, studio: DrawnStudio, casts: Casts, sizes: Sizes, gates: dict[str, IdentityGate]
) -> None:
    twin = Cast(casts["test"].subjects, [Drawn("twin", (250, 60, 60), "twin")])
    with pytest.raises(UserError, match=r"2 of 2 'test' scenes failed 3 times.*test-00[01]-1.*below 0.30"):
        shot(studio, {**casts, "test": twin}, sizes, tmp_path, gates)


def test_another_gate_or_scene_is_another_clip(
    tmp_path: Path, studio: DrawnStudio, casts: Casts, sizes: Sizes, gates: dict[str, IdentityGate]
) -> None:
    shot(studio, casts, sizes, tmp_path)
    shot(studio, casts, sizes, tmp_path, gates)
    assert studio.filmed == 32


def test_scenes_that_fail_each_time_are_lost_and_counted(
    tmp_path: Path, casts: Casts, sizes: Sizes, gates: dict[str, IdentityGate]
) -> None:
    plan = plan_takes(DrawnStudio(), casts, sizes, seed=0)
    spoiled = [plan("train", attempt)[2][0].scene.seed for attempt in range(3)]
    filmed = shot(DrawnStudio(spoiled=spoiled), casts, sizes, tmp_path, gates)
    assert filmed.lost == 1
    assert Counter(c.take.split for c in filmed.kept) == {"train": 9, "test": 4}
