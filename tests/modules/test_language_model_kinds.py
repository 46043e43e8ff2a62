"""Other decoders of transformers by folder, small and random: they answer as transformers does, and learn."""

from pathlib import Path
from typing import Any

import pytest
import torch
from modules.test_language_model import save_model
from tiny import make_batch, make_chat
from transformers import (
    AutoModelForCausalLM,
    MistralConfig,
    OlmoConfig,
    PreTrainedConfig,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
    SmolLM3Config,
)

from pvchat.modules.language_model import LanguageModel, LoRA

SIZES: dict[str, Any] = {
    "vocab_size": 259,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "eos_token_id": 2,
    "bos_token_id": None,
    "pad_token_id": 0,
}
KINDS: dict[str, PreTrainedConfig] = {
    "mistral": MistralConfig(**SIZES),
    "olmo": OlmoConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=8),
    "qwen3-moe": Qwen3MoeConfig(
        **SIZES, head_dim=8, moe_intermediate_size=16, num_experts=4, num_experts_per_tok=2
    ),
    "smollm3": SmolLM3Config(**SIZES),
}
EVERYWHERE = ("q_proj", "k_proj", "v_proj", "o_proj")  # experts of a mixture are no linear layers


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    save_model(tmp_path)  # for its tokenizer
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(KINDS[request.param]).save_pretrained(tmp_path)
    return tmp_path


def test_greedy_answers_are_transformers(folder: Path) -> None:
    model = LanguageModel(source=str(folder), lora=None, dtype="float32")
    reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = torch.randint(3, 259, (1, 9), generator=torch.Generator().manual_seed(0))
    ours = model.generate(model.embed(prompt), torch.ones(1, 9).bool(), max_new_tokens=10)[0]
    theirs = reference.generate(prompt, max_new_tokens=10, do_sample=False)[0, 9:].tolist()
    assert ours == theirs[: theirs.index(2) if 2 in theirs else None]


def test_adapters_and_rows_learn_inside_the_whole_model(folder: Path) -> None:
    """The loss of one answer falls, the base stays as it is."""
    language_model = LanguageModel(
        source=str(folder), lora=LoRA(rank=4, alpha=8, targets=EVERYWHERE), dtype="float32"
    )
    frozen = {n: p.clone() for n, p in language_model.base.named_parameters() if "lora_" not in n}
    chat = make_chat(language_model=language_model)
    batch = make_batch(chat, ("Is <tom> here?", "Yes, here."))
    trained = [p for group in chat.parameter_groups().values() for p in group]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    losses = []
    for _ in range(8):
        out = chat(batch)
        loss = torch.nn.functional.cross_entropy(out.logits, out.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    now = dict(language_model.base.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in frozen.items())
