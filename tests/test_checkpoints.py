import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from pvchat.checkpoints import (
    fill_checkpoint,
    load_adapter,
    read_adapter,
    read_checkpoint,
    save_adapter,
    trim_checkpoint,
)
from pvchat.errors import UserError

BASE = "sha-of-the-base"
METADATA = {"subjects": ["tom", "ann"], "base_fingerprint": BASE, "config_digest": "c0ffee"}


class Tiny(L.LightningModule):
    """A frozen trunk, a trainable head, and a late part that one stage freezes."""

    def __init__(self, width: int = 4, fingerprint: str = BASE) -> None:
        super().__init__()
        self.strict_loading = False
        self.fingerprint = fingerprint
        self.trunk = nn.Linear(4, width).requires_grad_(False)
        self.late = nn.Linear(width, width)
        self.head = nn.Linear(width, 1)
        self.weight = nn.Buffer(torch.tensor(1e-8))
        self.kept = {n for n, p in self.named_parameters() if p.requires_grad} | {"weight"}

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.weight *= 2
        loss: Tensor = self.head(self.late(self.trunk(batch))).square().mean()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW([*self.late.parameters(), *self.head.parameters()], lr=0.1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trim_checkpoint(checkpoint, keep=self.kept, base_fingerprint=self.fingerprint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        fill_checkpoint(checkpoint, module=self, keep=self.kept, base_fingerprint=self.fingerprint)


def fit(module: Tiny, epochs: int, folder: Path, ckpt_path: Path | None = None) -> L.Trainer:
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = torch.randn(64, 4, generator=torch.Generator().manual_seed(1))
    trainer.fit(module, DataLoader(data, batch_size=8), ckpt_path=ckpt_path, weights_only=True)
    return trainer


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Tiny, Path]:
    module = Tiny()
    fit(module, 1, tmp_path).save_checkpoint(tmp_path / "half.ckpt")
    return module, tmp_path / "half.ckpt"


def test_a_checkpoint_holds_what_is_trained_and_nothing_frozen(trained: tuple[Tiny, Path]) -> None:
    checkpoint = read_checkpoint(trained[1])  # weights_only
    assert set(checkpoint["state_dict"]) == {"late.weight", "late.bias", "head.weight", "head.bias", "weight"}
    assert checkpoint["pvchat"] == {"format": 1, "base_fingerprint": BASE}


def test_a_part_frozen_for_a_stage_is_kept_all_the_same(tmp_path: Path) -> None:
    module = Tiny()
    module.late.requires_grad_(False)
    checkpoint: dict[str, Any] = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(checkpoint)
    assert "late.weight" in checkpoint["state_dict"]


def test_resuming_repeats_an_undisturbed_run(tmp_path: Path) -> None:
    torch.manual_seed(0)
    through = Tiny()
    first, second = Tiny(), Tiny()  # the other process starts from other weights, on the same base
    first.load_state_dict(through.state_dict())
    second.trunk.load_state_dict(through.trunk.state_dict())
    fit(through, 2, tmp_path)
    fit(first, 1, tmp_path).save_checkpoint(tmp_path / "half.ckpt")
    fit(second, 2, tmp_path, tmp_path / "half.ckpt")
    for (name, a), b in zip(through.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert float(second.weight) == pytest.approx(1e-8 * 2**16)  # an epoch is 8 steps


def test_another_base_is_refused(trained: tuple[Tiny, Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trained on another base model"):
        fit(Tiny(fingerprint="other"), 2, tmp_path, trained[1])


def test_another_shape_is_refused_and_named(trained: tuple[Tiny, Path]) -> None:
    with pytest.raises(UserError, match=r"another shape: head.weight \(1, 4\), not \(1, 6\), late.bias"):
        Tiny(width=6).on_load_checkpoint(read_checkpoint(trained[1]))


def test_missing_and_unexpected_keys_are_listed(trained: tuple[Tiny, Path]) -> None:
    checkpoint = read_checkpoint(trained[1])
    checkpoint["state_dict"]["extra"] = checkpoint["state_dict"].pop("head.bias")
    with pytest.raises(UserError, match=r"missing: head.bias; unexpected: extra\. Use the config"):
        Tiny().on_load_checkpoint(checkpoint)


def test_a_long_list_is_cut() -> None:
    checkpoint = {"state_dict": {}, "pvchat": {"format": 1, "base_fingerprint": BASE}}
    module = nn.Sequential(*(nn.Linear(1, 1) for _ in range(5)))
    with pytest.raises(UserError, match=r"missing: 0.bias, .* and 5 more\."):
        fill_checkpoint(checkpoint, module=module, keep=set(module.state_dict()), base_fingerprint=BASE)


def test_foreign_checkpoints_and_other_formats_are_refused() -> None:
    with pytest.raises(UserError, match="no pvchat record"):
        fill_checkpoint({"state_dict": {}}, module=Tiny(), keep=(), base_fingerprint=BASE)
    checkpoint = {"state_dict": {}, "pvchat": {"format": 99, "base_fingerprint": BASE}}
    with pytest.raises(UserError, match="has format 99, this version reads format 1"):
        fill_checkpoint(checkpoint, module=Tiny(), keep=(), base_fingerprint=BASE)


def test_keep_must_exist() -> None:
    with pytest.raises(ValueError, match="nothing_like_this"):
        trim_checkpoint({"state_dict": {}}, keep=["nothing_like_this"], base_fingerprint=BASE)


def test_an_unreadable_checkpoint_is_one_sentence(trained: tuple[Tiny, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.ckpt"
    broken.write_bytes(trained[1].read_bytes()[:500])
    for path, message in ((broken, "damaged or not a checkpoint"), (tmp_path / "none.ckpt", "is a file")):
        with pytest.raises(UserError, match=message):
            read_checkpoint(path)


class Exploit:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code ran",))


def test_a_checkpoint_cannot_run_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": Exploit()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        read_checkpoint(tmp_path / "evil.ckpt")
    assert "code ran" not in capsys.readouterr().out


def test_an_adapter_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"rows": torch.randn(3, 4).t(), "lora": nn.Parameter(torch.randn(2, dtype=torch.float32))}
    save_adapter(tmp_path / "a", state, METADATA)
    back, metadata = read_adapter(tmp_path / "a")
    assert all(torch.equal(back[name], value) for name, value in state.items())
    assert metadata.items() >= METADATA.items()
    assert {p.name for p in (tmp_path / "a").iterdir()} == {"adapter.safetensors", "adapter.json"}
    assert load_adapter(tmp_path / "a", base_fingerprint=BASE, subjects=("tom", "ann")).keys() == state.keys()


def test_saving_again_replaces(tmp_path: Path) -> None:
    for value in (1.0, 2.0):
        save_adapter(tmp_path, {"x": torch.tensor(value)}, METADATA)
    assert float(read_adapter(tmp_path)[0]["x"]) == 2.0


def test_a_save_that_fails_leaves_the_old_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_adapter(tmp_path, {"x": torch.tensor(1.0)}, METADATA)

    def full_disk(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(UserError, match=r"cannot be written: No space left on device\. Give a folder"):
        save_adapter(tmp_path, {"x": torch.tensor(2.0)}, METADATA)
    assert float(read_adapter(tmp_path)[0]["x"]) == 1.0


def test_a_truncated_adapter_is_one_sentence(tmp_path: Path) -> None:
    save_adapter(tmp_path, {"x": torch.randn(100)}, METADATA)
    weights = tmp_path / "adapter.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(UserError, match=r"adapter.safetensors is damaged: .* Save or copy it again\.$"):
        read_adapter(tmp_path)
    (tmp_path / "adapter.json").write_text('{"format": 1')
    with pytest.raises(UserError, match=r"adapter.json: it is damaged"):
        read_adapter(tmp_path)


def test_no_adapter_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is a folder with adapter\.safetensors and adapter\.json"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_fingerprint": "other"}, "trained on another base model"),
        ({"subjects": ["ann", "tom"]}, r"knows the subjects \['tom', 'ann'\]: got \['ann', 'tom'\]"),
        ({"expected": {"y": torch.zeros(1)}}, "missing: y; unexpected: x"),
    ],
)
def test_an_adapter_for_something_else_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    save_adapter(tmp_path, {"x": torch.zeros(1)}, METADATA)
    with pytest.raises(UserError, match=message):
        load_adapter(tmp_path, **{"base_fingerprint": BASE, "subjects": ["tom", "ann"], **change})


def test_an_adapter_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="base_fingerprint"):
        save_adapter(tmp_path, {}, {"subjects": []})
    save_adapter(tmp_path, {}, METADATA)
    assert json.loads((tmp_path / "adapter.json").read_text())["config_digest"] == "c0ffee"
