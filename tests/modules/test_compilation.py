"""Compiled training is the training: losses over both stages, gradients, names, checkpoints. ``aot_eager``
traces and differentiates as inductor does, and writes no C++."""

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from tiny import CONFIG, fit, make_corpus, make_data, make_module, make_plan, state

from pvchat import cli
from pvchat.checkpoints import read_checkpoint
from pvchat.errors import UserError
from pvchat.modules import compilation
from pvchat.modules.compilation import compile_blocks, is_compiled
from pvchat.modules.language_model import LoRA, RandomLanguageModel
from pvchat.training import PersonalizedVideoChat

PEOPLE = ("tom", "ann")


class Losses(L.Callback):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, i: int) -> None:
        self.seen.append(float(outputs["loss"]))


def module(*, compiled: bool, checkpointing: bool = False) -> PersonalizedVideoChat:
    torch.manual_seed(0)
    lora = LoRA(rank=8, alpha=16)
    decoder = RandomLanguageModel(width=64, num_layers=2, lora=lora, gradient_checkpointing=checkpointing)
    found = make_module(PEOPLE, chat={"language_model": decoder})
    if compiled:
        compile_blocks(found.chat, "aot_eager")
    return found


@pytest.fixture(autouse=True)
def fresh() -> None:
    torch._dynamo.reset()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("two"), PEOPLE, clips={"train": 3, "validation": 2, "test": 2})


def test_names_and_fingerprints_stay() -> None:
    plain, compiled = module(compiled=False), module(compiled=True)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert compiled.trainable == plain.trainable
    assert compiled.base_fingerprint == plain.base_fingerprint
    blocks = [m for m in compiled.modules() if is_compiled(m)]
    assert len(blocks) == 2 + 2 + 1  # Q-former, decoder, late block; nothing else, nothing twice


def test_a_machine_without_a_compiler_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compilation.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"--compile needs a C\+\+ compiler: got none .*leave out --compile"):
        compile_blocks(module(compiled=False).chat, "inductor")


@pytest.mark.slow
def test_gradients_are_those_of_eager_in_both_stages(corpus: Path) -> None:
    """Two persons, gradient checkpointing, late blocks frozen and then not, a last batch of another size."""
    found: list[list[dict[str, torch.Tensor]]] = []
    for compiled in (False, True):
        model = module(compiled=compiled, checkpointing=True).train()
        data = make_data(corpus, model, stages=make_plan(1, 1), batch_size=5)
        data.setup("fit")
        found.append([])
        for epoch in (0, 1):
            model.train_only(data.stages.at(epoch).trainable)
            batches = list(data.epoch_loader(epoch))
            assert len(batches[0]) != len(batches[-1])
            for batch in (batches[0], batches[-1]):
                model.zero_grad()
                model.loss(batch).backward()
                grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
                found[-1].append({n: g.clone() for n, g in grads.items()})
    eager, compiled_ = found
    assert any(".late." in n for n in eager[-1])
    assert not any(".late." in n for n in eager[0])
    for ours, theirs in zip(compiled_, eager, strict=True):
        assert ours.keys() == theirs.keys()
        for name, gradient in theirs.items():
            assert (ours[name] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-7, name
    assert torch._dynamo.utils.counters["graph_break"] == {}


@pytest.mark.slow
def test_losses_are_those_of_eager_over_both_stages(corpus: Path, tmp_path: Path) -> None:
    """Within 1e-5 over all steps (bit by bit where it was written). Either loads the other's checkpoint."""
    runs, trainers = {}, {}
    for compiled in (False, True):
        model, losses = module(compiled=compiled), Losses()
        data = make_data(corpus, model, stages=make_plan(1, 1), batch_size=5)
        trainers[compiled] = fit(model, data, losses)
        trainers[compiled].save_checkpoint(tmp_path / f"{compiled}.ckpt")
        runs[compiled] = losses.seen
    assert runs[True] == pytest.approx(runs[False], rel=1e-5)
    for compiled in (False, True):
        model = module(compiled=not compiled)
        checkpoint = read_checkpoint(tmp_path / f"{compiled}.ckpt")
        saved = dict(checkpoint["state_dict"])
        model.on_load_checkpoint(checkpoint)
        model.load_state_dict(checkpoint["state_dict"])
        assert all(torch.equal(state(model)[name], value) for name, value in saved.items())


@pytest.mark.slow
def test_switched_on_by_config(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A training alone: its run is tested without, and a plan knows nothing of it."""
    calls = []
    monkeypatch.setattr("pvchat.lightning_cli.compile_blocks", lambda _, compiler: calls.append(compiler))
    where = (f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tmp_path}", f"--runs={tmp_path}")
    once = ("--trainer.fast_dev_run=true",)
    for value, expected in (("true", ["inductor"]), ("aot_eager", ["aot_eager"]), ("false", [])):
        assert cli.main(["fit", *CONFIG, *where, *once, f"--compile={value}"]) == 0
        assert calls == expected
        calls.clear()
    assert cli.main(["validate", *CONFIG, *where, *once, "--compile=true"]) == 0
    assert cli.main(["plan", *CONFIG, "--compile=true"]) == 0
    assert calls == []
    assert cli.main(["fit", *CONFIG, *where, "--compile=perhaps"]) == 2
    assert "compile must be" in capsys.readouterr().err
