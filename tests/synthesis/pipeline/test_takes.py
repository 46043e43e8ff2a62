from collections.abc import Mapping

from drawn_studio import Drawn, DrawnStudio

from pvchat.datamodules.manifest import Split
from pvchat.synthesis.pipeline.takes import Cast, SplitSize, plan_takes

Casts = Mapping[Split, Cast[Drawn]]
Sizes = Mapping[Split, SplitSize]


def test_every_scene_is_filmed_with_the_whole_cast(studio: DrawnStudio, casts: Casts, sizes: Sizes) -> None:
    scenes = plan_takes(studio, casts, sizes, seed=0)("train", 0)
    assert [[take.actor.person for take in scene] for scene in scenes] == [["tom", "ann", "ben"]] * 4
    assert all(len({take.scene for take in scene}) == 1 for scene in scenes)
    assert scenes[0][0].scene.cast == ("tom", "ann", "ben")  # matched with all of them
    assert [take.subject for take in scenes[0]] == ["tom", None, None]
    assert [take.id for take in scenes[3]] == ["train-003-0", "train-003-1", "train-003-2"]
    assert len({take.scene.seed for scene in scenes for take in scene}) == 4


def test_a_seed_fixes_all_and_another_attempt_has_other_scenes(
    studio: DrawnStudio, casts: Casts, sizes: Sizes
) -> None:
    plan = plan_takes(studio, casts, sizes, seed=0)
    assert plan("train", 0) == plan_takes(studio, casts, sizes, seed=0)("train", 0)
    assert plan("train", 0) != plan_takes(studio, casts, sizes, seed=1)("train", 0)
    first, second = plan("train", 0), plan("train", 1)
    assert not {t.scene.seed for s in first for t in s} & {t.scene.seed for s in second for t in s}
    assert not {t.id for s in first for t in s} & {t.id for s in second for t in s}
    assert not {t.scene.seed for s in first for t in s} & {t.scene.seed for s in plan("test", 0) for t in s}


def test_a_prefix_begins_the_ids(studio: DrawnStudio, casts: Casts, sizes: Sizes) -> None:
    plan = plan_takes(studio, casts, sizes, seed=0, prefix="prompted")
    assert plan("test", 0)[1][0].id == "prompted-test-001-0"
    assert plan("validation", 0) == []
