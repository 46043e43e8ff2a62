"""A checkpoint in the published layout, a hundred thousand times smaller."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from golden.noise import fill
from safetensors.torch import load_file, save_file
from tiny_checkpoint import SIZES
from torch import Tensor, nn
from transformers import MistralConfig, MistralForCausalLM

from pvchat.modules.attention import DenseAttention, ReMoHAttention
from pvchat.modules.internvideo2 import InternVideo2
from pvchat.modules.lora import LoRA, inject_lora
from pvchat.modules.published.key_table import LORA_TARGETS, PublishedSizes, key_table, mistral_config
from pvchat.modules.qformer import QFormer

TINY = replace(SIZES, qformer_heads=3, lm_width=16, lm_mlp=24, lm_vocabulary=40)


class Chat(nn.Module):
    """Our modules under the names they have in ``VideoChat``, with its new parts."""

    def __init__(
        self,
        *,
        text_input: bool = False,
        targets: tuple[str, ...] = LORA_TARGETS,
        rank: int = 2,
        num_query_tokens: int = 5,
        num_blocks: int = 3,
    ) -> None:
        super().__init__()
        encoder = InternVideo2(
            width=16,
            num_blocks=num_blocks,
            num_heads=2,
            mlp_width=24,
            image_px=28,
            num_frames=4,
            num_late_blocks=1,
        )
        self.views = nn.ModuleDict({"encoder": encoder})
        self.qformer = QFormer(
            16,
            1,
            width=24,
            num_layers=4,
            intermediate_width=32,
            num_query_tokens=num_query_tokens,
            num_personal_query_tokens=2,
            dense=partial(DenseAttention, num_heads=3),
            routed=partial(ReMoHAttention, num_heads=3, num_shared_heads=2),
            first_routed_layer=2,
            text_input=text_input,
        )
        self.project_up = nn.Linear(24, 16)
        self.language_model = nn.Module()
        self.language_model.base = MistralForCausalLM(MistralConfig(**mistral_config(TINY)))
        inject_lora(self.language_model.base, LoRA(rank=rank, alpha=2 * rank, targets=targets))

    def forward(self, video: Tensor) -> Tensor:
        encoder = self.views["encoder"]
        tokens = self.project_up(self.qformer(encoder.finish(encoder.embed(video))).hidden)
        logits: Tensor = self.language_model.base(inputs_embeds=tokens).logits
        return logits


@pytest.fixture
def sizes() -> PublishedSizes:
    return TINY


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Three shards and an index, written by the library, not by us."""
    folder = tmp_path / "published"
    folder.mkdir()
    table = key_table(TINY)
    places: dict[str, str] = {}
    for number in range(3):
        name = f"model-{number + 1:05}-of-00003.safetensors"
        tensors = {
            key.published: torch.arange(key.shape[1])[None]
            if key.is_positions
            else fill(key.published, torch.empty(key.shape)).bfloat16()
            for key in table[number::3]
        }
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, name)
    index = {"metadata": {"total_size": sum(key.num_bytes for key in table)}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def tensors_of() -> Callable[[Path], dict[str, Tensor]]:
    """All tensors of a folder, read by the library."""
    return _tensors_of


@pytest.fixture
def everything(published: Path) -> dict[str, Tensor]:
    return _tensors_of(published)


@pytest.fixture
def chat() -> type[Chat]:
    return Chat


def _tensors_of(folder: Path) -> dict[str, Tensor]:
    return {n: v for path in sorted(folder.glob("model*.safetensors")) for n, v in load_file(path).items()}
