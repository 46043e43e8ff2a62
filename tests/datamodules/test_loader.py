"""A training loader that resumes: alone, and the way Lightning does it."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from pvchat.batch import Batch
from pvchat.datamodules.personalized import PersonalizedDataModule

Log = list[tuple[int, tuple[str, ...]]]


def ids(batch: Batch) -> tuple[str, ...]:
    return tuple(e.id for e in batch.examples)


@pytest.fixture
def data(corpus: Path, make_data: Any, extractor: Any) -> PersonalizedDataModule:
    return make_data(corpus, extractor)  # type: ignore[no-any-return]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("seen", [0, 1, 4])
def test_resumed_loader_yields_the_rest(
    corpus: Path, make_data: Any, extractor: Any, seen: int, workers: int
) -> None:
    data = make_data(corpus, extractor, num_workers=workers)
    whole = [ids(batch) for batch in data.epoch_loader(1)]
    loader = data.epoch_loader(1)
    batches = iter(loader)
    first = [ids(next(batches)) for _ in range(seen)]
    state = loader.state_dict()
    resumed = data.epoch_loader(1)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert len(resumed) == len(whole)  # Lightning compares it with what it counted over the whole epoch
    assert first + [ids(batch) for batch in resumed] == whole
    assert [ids(batch) for batch in resumed] == whole  # and the pass after that is whole again


def test_state_of_another_epoch_is_ignored(data: PersonalizedDataModule) -> None:
    loader = data.epoch_loader(2)
    loader.load_state_dict({"epoch": 1, "batches": 3})
    assert len(list(loader)) == len(loader)


def test_iterating_leaves_the_global_random_state_alone(data: PersonalizedDataModule) -> None:
    before = torch.get_rng_state()
    list(data.epoch_loader(0))
    assert torch.equal(torch.get_rng_state(), before)


class Recorder(LightningModule):
    """Remembers (epoch, ids) of every training batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.log_of_batches: Log = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.log_of_batches.append((self.current_epoch, ids(batch)))
        return self.weight * 1.0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        assert len(batch) > 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Stop(Callback):
    """The run dies after ``steps`` training batches."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        if len(module.log_of_batches) == self.steps:
            raise KeyboardInterrupt


def fit(folder: Path, data: PersonalizedDataModule, *callbacks: Callback, resume: Path | None = None) -> Log:
    module = Recorder()
    trainer = Trainer(
        default_root_dir=folder,
        max_epochs=data.stages.epochs,
        accelerator="cpu",
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=bool(callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trainer.fit(module, datamodule=data, ckpt_path=resume, weights_only=True if resume else None)
        except (KeyboardInterrupt, SystemExit):
            assert callbacks
    return module.log_of_batches


@pytest.mark.parametrize(
    ("checkpoint", "seen"),
    [
        ({"every_n_train_steps": 2}, 5),  # inside the first epoch
        ({"every_n_train_steps": 1}, 17),  # inside another
        ({"every_n_train_steps": 1}, 12),  # after the last batch of the first epoch
        ({"save_on_train_epoch_end": True}, 14),  # at its end
        ({"save_on_train_epoch_end": True}, 30),
    ],
)
def test_lightning_resumes_exactly(
    tmp_path: Path, corpus: Path, make_data: Any, extractor: Any, checkpoint: dict[str, Any], seen: int
) -> None:
    whole = fit(tmp_path, make_data(corpus, extractor))
    epochs = make_data(corpus, extractor)
    assert [epoch for epoch, _ in whole] == [e for e in range(3) for _ in range(epochs.steps_per_epoch(e))]
    assert len(whole) == epochs.total_steps()
    assert [asked for _, asked in whole] == [ids(b) for e in range(3) for b in epochs.epoch_loader(e)]

    keep = ModelCheckpoint(tmp_path / "run", filename="last", enable_version_counter=False, **checkpoint)
    first = fit(tmp_path, make_data(corpus, extractor), keep, Stop(seen))
    saved = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    done = saved["global_step"]
    assert first == whole[: len(first)]
    assert done == {5: 4, 17: 17, 12: 12, 14: 12, 30: 24}[seen]
    rest = fit(tmp_path, make_data(corpus, extractor), resume=tmp_path / "run" / "last.ckpt")
    assert rest == whole[done:]
