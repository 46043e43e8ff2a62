"""The stage is a pure function of the epoch."""

import pytest

from pvchat.errors import UserError
from pvchat.stages import Stage, StagePlan


def plan(image: int, video: int) -> StagePlan:
    return StagePlan(
        Stage(image, 1, ("existence",), ("qformer",)), Stage(video, None, ("action",), ("encoder_late",))
    )


@pytest.mark.parametrize(("image", "video"), [(0, 2), (1, 7), (3, 0)])
def test_image_comes_first_and_video_lasts(image: int, video: int) -> None:
    stages = plan(image, video)
    names = [stages.name_at(epoch) for epoch in range(stages.epochs)]
    assert names == ["image"] * image + ["video"] * video
    assert stages.name_at(stages.epochs + 5) == "video"  # later epochs, e.g. when testing


def test_the_plan_of_the_paper() -> None:
    stages = StagePlan()
    assert stages.epochs == 8
    assert stages.at(0).num_frames == 1
    assert "encoder_late" not in stages.at(0).trainable
    assert "encoder_late" in stages.at(1).trainable


def test_stages_of_nothing_are_refused() -> None:
    with pytest.raises(UserError, match="epochs of a stage must be >= 0: got -1"):
        plan(1, -1)
    with pytest.raises(UserError, match="num_frames of a stage must be >= 1 or null: got 0"):
        Stage(1, 0, ("existence",), ("qformer",))


def test_negative_epochs_are_refused() -> None:
    with pytest.raises(UserError, match="epoch must be >= 0: got -1"):
        plan(1, 1).name_at(-1)
