"""Image stage, then video stage: what moves when, and that nothing is forgotten by the optimizer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny import changed, fit, make_data, make_module, make_plan, make_trainer, state

from pvchat.callbacks import StageSchedule
from pvchat.errors import UserError
from pvchat.stages import StagePlan
from pvchat.training import PersonalizedVideoChat

LATE = "chat.views.encoder.late."


class Moves(L.Callback):
    """Which parameters each epoch changed, what was shown and what had momentum at its end."""

    def __init__(self) -> None:
        self.before: dict[str, torch.Tensor] = {}
        self.moved: list[set[str]] = []
        self.frames: list[set[int]] = []
        self.types: list[set[str]] = []
        self.with_momentum: list[set[str]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.before = state(pl_module)
        self.frames.append(set())
        self.types.append(set())

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, i: int) -> None:
        self.frames[-1] |= {view.shape[1] for view in batch.views.values()}
        self.types[-1] |= {example.type for example in batch.examples}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        names = {id(p): n for n, p in pl_module.named_parameters()}
        self.moved.append(changed(self.before, pl_module))
        self.with_momentum.append({names[id(p)] for p in trainer.optimizers[0].state})


def moves(corpus: Path, module: PersonalizedVideoChat, **plan: Any) -> Moves:
    seen = Moves()
    data = make_data(corpus, module, stages=make_plan(**plan))
    fit(module, data, seen)
    return seen


def late(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith(LATE)}


def test_late_blocks_move_in_the_video_stage_only(tiny_corpus: Path) -> None:
    """Released bug 3."""
    module = make_module()
    seen = moves(tiny_corpus, module, image=1, video=1)
    assert late(seen.moved[0]) == set()
    assert late(seen.with_momentum[0]) == set()  # not even decay or momentum
    every = {n for n, _ in module.named_parameters() if n.startswith(LATE)}
    assert len(every) > 5
    assert late(seen.moved[1]) == every
    frozen = {n for n, _ in module.named_parameters()} - module.trainable
    assert (seen.moved[0] | seen.moved[1]) & frozen == set()


def test_with_the_released_optimizer_they_never_move(tiny_corpus: Path) -> None:
    """Released bug 3, as released: the optimizer holds what requires a gradient when training
    starts, and the late blocks are unfrozen later."""

    class Released(PersonalizedVideoChat):
        def configure_optimizers(self) -> Any:
            start = StagePlan().image.trainable
            groups = self.chat.parameter_groups()
            return torch.optim.AdamW([{"params": groups[name]} for name in start], lr=1e-3)

    settings = make_module()
    module = Released(
        subjects=["tom"], chat=lambda _: make_module().chat, objective=settings.objective, controls=["main"]
    )
    seen = moves(tiny_corpus, module, image=1, video=1)
    assert late(seen.moved[1]) == set()


def test_every_group_is_in_the_optimizer_from_the_start(tiny_corpus: Path) -> None:
    """Released bug 3."""
    module = make_module()
    data = make_data(tiny_corpus, module)
    trainer = fit(module, data, limit_train_batches=1, max_epochs=1)
    groups = {g["name"]: {id(p) for p in g["params"]} for g in trainer.optimizers[0].param_groups}
    assert groups == {n: {id(p) for p in ps} for n, ps in module.chat.parameter_groups().items()}
    assert {id(p) for n, p in module.named_parameters() if n in module.trainable} == set().union(
        *groups.values()
    )


def test_stages_show_what_the_paper_says(tiny_corpus: Path) -> None:
    """Released bug 10: the first frame in the image stage, all frames in the video stage."""
    seen = moves(tiny_corpus, make_module(), image=1, video=1)
    assert seen.frames == [{1}, {2}]
    assert seen.types == [{"existence", "appearance"}, {"existence", "appearance", "location"}]


def test_the_image_stage_shows_the_first_frame(tiny_corpus: Path) -> None:
    """Released bug 10: the released code takes frame 51 and drops clips that are shorter; the
    drawn clips have four frames, and every one of them is asked about."""
    module = make_module()
    data = make_data(tiny_corpus, module)
    asked = {e.clip_id for batch in data.epoch_loader(0) for e in batch.examples}
    assert asked == {r.id for r in data.records if r.split == "train"}
    whole = {e.clip_id: n for n, (_, e) in enumerate(data._examples(("reference", "train")))}
    for batch in data.epoch_loader(0):
        for n, example in enumerate(batch.examples):
            features = data.store.features(data._examples(("reference", "train"))[whole[example.clip_id]][0])
            assert torch.equal(batch.views["global"][n], features["global"][:1])
            assert features["global"].shape[0] == 2


@pytest.mark.parametrize(("image", "video"), [(0, 1), (1, 0)])
def test_a_stage_may_be_left_out(tiny_corpus: Path, image: int, video: int) -> None:
    seen = moves(tiny_corpus, make_module(), image=image, video=video)
    assert bool(late(seen.moved[0])) == bool(video)


def test_only_the_groups_of_the_stage_move(tiny_corpus: Path) -> None:
    module = make_module()
    plan = make_plan(image=1, video=0)
    plan = replace(plan, image=replace(plan.image, trainable=("token_rows",)))
    seen = Moves()
    fit(module, make_data(tiny_corpus, module, stages=plan), seen)
    assert seen.moved[0] - {"objective.smooth_proximity.weight"} == {
        "chat.language_model.token_rows.input_rows",
        "chat.language_model.token_rows.output_rows",
        "chat.qformer.personal_query_tokens",
    }


def test_unknown_groups_are_refused(tiny_corpus: Path) -> None:
    module = make_module()
    plan = make_plan()
    plan = replace(plan, video=replace(plan.video, trainable=("qformer", "vit")))
    data = make_data(tiny_corpus, module)
    trainer = make_trainer(data)
    trainer.callbacks[0] = StageSchedule(plan)  # type: ignore[attr-defined]
    with pytest.raises(
        UserError, match=r"stages.video.trainable names unknown groups \['vit'\]; available: \["
    ):
        trainer.fit(module, datamodule=data)
