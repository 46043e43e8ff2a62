"""Which strategies are refused, and before what; what is sharded."""

from pathlib import Path
from typing import ClassVar

import lightning as L
import pytest
import torch
from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy
from tiny import CONFIG, fit, make_chat, make_corpus, make_data, make_module
from torch.distributed.tensor import DTensor

from pvchat import cli
from pvchat.errors import UserError
from pvchat.lightning_cli import PVChatCLI
from pvchat.strategies import FullySharded, blocks, check_strategy, launched, register_ddp, resolve
from pvchat.training import PersonalizedVideoChat


def trainer(strategy: object, precision: object = "32-true") -> Namespace:
    return Namespace(strategy=strategy, precision=precision)


def by_path(name: str, **options: object) -> Namespace:
    return Namespace(class_path=f"lightning.pytorch.strategies.{name}", dict_kwargs=options)


@pytest.mark.parametrize(
    "strategy",
    [
        "ddp_spawn",
        "ddp_notebook",
        "ddp_find_unused_parameters_false",
        "deepspeed_stage_2",
        "fsdp_cpu_offload",
        by_path("DDPStrategy"),
        by_path("DDPStrategy", static_graph=True),
        by_path("FSDPStrategy"),
        by_path("ModelParallelStrategy"),
    ],
    ids=str,
)
def test_what_cannot_synchronise_late_parameters_is_refused_by_name(strategy: object) -> None:
    name = strategy if isinstance(strategy, str) else strategy.class_path.rpartition(".")[2]  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=f"got {name}. Use ddp .* or fsdp"):
        check_strategy(trainer(strategy))


@pytest.mark.parametrize(
    "strategy",
    [
        "auto",
        "ddp",
        "fsdp",
        "ddp_find_unused_parameters_true",
        by_path("DDPStrategy", find_unused_parameters=True),
        Namespace(class_path="pvchat.strategies.FullySharded"),
    ],
    ids=str,
)
def test_what_can_is_let_through(strategy: object) -> None:
    check_strategy(trainer(strategy, "bf16-mixed"))


@pytest.mark.parametrize("precision", [16, "16-mixed"])
def test_sharded_weights_are_not_scaled_for_half_precision(precision: object) -> None:
    with pytest.raises(UserError, match="bf16-mixed or 32-true: got"):
        check_strategy(trainer("fsdp", precision))


def test_it_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        pytest.fail("the model was built")

    monkeypatch.setattr(PVChatCLI, "instantiate_classes", fail)
    path = make_corpus(tmp_path)
    more = (f"--data.source.path={path}", f"--runs={tmp_path / 'runs'}", "--trainer.strategy=ddp_spawn")
    assert cli.main(["fit", *CONFIG, *more]) == 2
    assert "got ddp_spawn" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["ddp", "auto"])
def test_copies_look_for_parameters_without_gradient(name: str) -> None:
    register_ddp()
    strategy = Trainer(accelerator="cpu", devices=2, strategy=name, logger=False).strategy
    assert type(strategy) is DDPStrategy
    assert strategy._ddp_kwargs == {"find_unused_parameters": True}


def test_fsdp_is_ours_on_any_device() -> None:
    assert type(resolve("fsdp")) is FullySharded
    assert resolve("ddp") == "ddp"


def test_blocks_are_layers_of_decoder_and_encoder() -> None:
    chat = make_chat()
    assert list(blocks(chat.language_model)) == list(chat.language_model.base.model.layers)
    encoder = chat.views.encoder
    assert list(blocks(chat.views)) == [*encoder.trunk, *encoder.late]


def test_devices_are_those_that_were_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("LOCAL_WORLD_SIZE", "4"), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    assert launched() == {"devices": 4, "num_nodes": 2}


def test_one_device_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")  # as some clusters set it
    assert launched() == {"devices": 1, "num_nodes": 1}


def test_weights_are_in_parts_again_after_validation(tmp_path: Path) -> None:
    """A stage that begins there would unfreeze gathered weights, which are thrown away."""

    class Look(L.Callback):
        seen: ClassVar[list[bool]] = []

        def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
            assert isinstance(module, PersonalizedVideoChat)
            groups = module.chat.parameter_groups().values()
            self.seen.append(all(isinstance(p, DTensor) for group in groups for p in group))

    module = make_module()
    try:
        fit(module, make_data(make_corpus(tmp_path), module), Look(), strategy=FullySharded())
    finally:
        torch.distributed.destroy_process_group()
    assert Look.seen == [True, True]
