"""What the video encoders of transformers share: sources that do not fit, plans, a training by class path."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from modules import test_qwen3_vl, test_vjepa2
from safetensors.torch import load_file, save_file
from tiny import CONFIG

from pvchat import lightning_cli
from pvchat.errors import UserError
from pvchat.modules.qwen3_vl import Qwen3VL
from pvchat.modules.tubelet_encoder import TubeletEncoder
from pvchat.modules.vjepa2 import VJEPA2
from pvchat.planning.simulation import without_data

KINDS: dict[str, tuple[Callable[[Path], str], Callable[..., TubeletEncoder], dict[str, Any]]] = {
    "vjepa2": (test_vjepa2.save, VJEPA2, {"num_late_blocks": 1}),
    "qwen3_vl": (test_qwen3_vl.save, Qwen3VL, {"image_px": 64, "dtype": "float32"}),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def train(corpus: Path, folder: Path, encoder: str, options: dict[str, Any]) -> Any:
    """A step of each stage with the encoder of this class path: features of one frame, then of the video."""
    views = "--model.chat.init_args.views"
    cli = lightning_cli.run(
        [
            "fit",
            *CONFIG,
            f"{views}=pvchat.modules.hd_views.HDViews",
            f"{views}.faces=tiny.DrawnFaces",
            f"{views}.encoder={encoder}",
            *(f"{views}.encoder.{name}={value}" for name, value in options.items()),
            "--data.source=pvchat.datamodules.sources.ManifestSource",
            f"--data.source.path={corpus}",
            f"--data.cache_dir={folder / 'cache'}",
            "--data.num_frames=4",
            "--trainer.limit_train_batches=1",
            "--trainer.limit_val_batches=0",
            f"--runs={folder / 'runs'}",
        ]
    )
    assert cli.trainer.global_step == 2
    return cli.model


def moved(model: Any) -> set[str]:
    now = dict(model.named_parameters())
    return {name for name, start in model.initial.items() if not torch.equal(now[name], start)}


@every_kind
def test_it_trains_by_class_path(kind: str, tiny_corpus: Path, tmp_path: Path) -> None:
    """Only what is named moves."""
    save, cls, options = KINDS[kind]
    given = {"source": save(tmp_path / "source"), **options}
    model = train(tiny_corpus, tmp_path, f"{cls.__module__}.{cls.__name__}", given)
    encoder, names = model.chat.views.encoder, moved(model)
    assert isinstance(encoder, cls)
    assert any(name.startswith("chat.qformer.") for name in names)
    late = {f"chat.views.encoder.{n}" for n, p in encoder.named_parameters() if p.requires_grad}
    assert bool(late) == (kind == "vjepa2")
    assert late == {name for name in names if ".encoder." in name}


NEW = """
from types import SimpleNamespace

from torch import nn

from pvchat.modules.tubelet_encoder import TubeletEncoder


class Colours(TubeletEncoder):
    def __init__(self, *, image_px: int) -> None:
        super().__init__(
            tower=nn.Linear(3, 8),
            processor=SimpleNamespace(image_mean=[0.5] * 3, image_std=[0.5] * 3),
            width=8,
            image_px=image_px,
            num_frames=4,
            frames_per_tubelet=2,
            tokens_per_tubelet=1,
        )

    def tokens(self, pixels):
        return self.tower(pixels.unflatten(1, (-1, 2)).mean((2, 4, 5)))
"""


def test_a_new_encoder_is_one_file(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "colours.py").write_text(NEW)
    monkeypatch.syspath_prepend(tmp_path)
    model = train(tiny_corpus, tmp_path, "colours.Colours", {"image_px": 16})
    assert type(model.chat.views.encoder).__name__ == "Colours"
    assert any(name.startswith("chat.qformer.") for name in moved(model))


@every_kind
def test_it_is_planned_without_weights(kind: str, tmp_path: Path) -> None:
    save, cls, options = KINDS[kind]
    source = save(tmp_path)
    real = cls(source=source, **options)
    (tmp_path / "model.safetensors").unlink()
    with torch.device("meta"):
        encoder = cls(source=source, **options)
    sizes = {n: (p.shape, p.dtype, p.requires_grad) for n, p in real.named_parameters()}
    assert {n: (p.shape, p.dtype, p.requires_grad) for n, p in encoder.named_parameters()} == sizes
    with without_data(encoder):
        for frames in (1, 4):
            tokens = encoder.finish(encoder.embed(torch.zeros(3, frames, 3, 64, 64)))
            assert tokens.shape == (3, encoder.num_tokens(frames), encoder.width)


@every_kind
@pytest.mark.parametrize("shape", [(2, 3, 64, 64), (1, 0, 3, 64, 64), (1, 2, 3, 64, 80), (1, 2, 1, 64, 64)])
def test_videos_of_another_shape_are_refused(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    save, cls, options = KINDS[kind]
    with pytest.raises(UserError, match=r"the encoder takes videos \(N, T, 3, 64, 64\): got"):
        cls(source=save(tmp_path), **options).embed(torch.zeros(shape))


@every_kind
def test_sources_that_do_not_fit_are_refused(kind: str, tmp_path: Path) -> None:
    save, cls, options = KINDS[kind]
    source, others = tmp_path / kind, [other for other in KINDS if other != kind]
    save(source)
    with pytest.raises(UserError, match=r"cannot load the video encoder '/nowhere': .* Give a hub id or a"):
        cls(source="/nowhere", **options)
    KINDS[others[0]][0](tmp_path / "other")
    with pytest.raises(UserError, match=f"the encoder's source must be of type .*{others[0]}'"):
        cls(source=str(tmp_path / "other"), **options)
    for lost in ("model.safetensors", "video_preprocessor_config.json"):
        copied = Path(shutil.copytree(source, tmp_path / lost))
        (copied / lost).unlink()
        with pytest.raises(UserError, match="cannot load the video encoder"):
            cls(source=str(copied), **options)
    weights = load_file(source / "model.safetensors")
    (first, *_) = [name for name in weights if "norm1.weight" in name]
    save_file(
        {n: t for n, t in weights.items() if n != first}, source / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(UserError, match=r"must hold all its weights: .* lacks 1, such as .*norm1.weight"):
        cls(source=str(source), **options)
