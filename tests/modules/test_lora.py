import copy

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaModel

from pvchat.errors import UserError
from pvchat.modules.lora import LoRA, inject_lora

CONFIG = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4
)


def decoder(dtype: torch.dtype = torch.float32) -> nn.Module:
    return LlamaModel(CONFIG).to(dtype)


def test_starts_as_the_identity() -> None:
    plain = decoder().eval()
    adapted = copy.deepcopy(plain)
    inject_lora(adapted, LoRA(rank=4))
    x = torch.randn(1, 5, 32)
    assert torch.equal(plain(inputs_embeds=x).last_hidden_state, adapted(inputs_embeds=x).last_hidden_state)


def test_only_adapters_train_on_every_target_of_every_layer() -> None:
    model = decoder()
    inject_lora(model, LoRA(rank=4))
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    assert len(trainable) == 2 * 7 * 2  # layers, targets, A and B
    assert all("lora_" in name for name in trainable)


def test_only_the_targets_are_adapted() -> None:
    model = decoder()
    inject_lora(model, LoRA(rank=4, targets=("q_proj", "v_proj")))
    assert {n.split(".")[3] for n, p in model.named_parameters() if p.requires_grad} == {"q_proj", "v_proj"}


def test_scale_is_alpha_over_rank() -> None:
    plain = decoder().eval()
    adapted = copy.deepcopy(plain)
    inject_lora(adapted, LoRA(rank=4, alpha=12, targets=("down_proj",)))
    layer = adapted.layers[0].mlp.down_proj
    a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    nn.init.normal_(b)
    x = torch.randn(3, 48)
    expected = plain.layers[0].mlp.down_proj(x) + 12 / 4 * x @ a.T @ b.T
    torch.testing.assert_close(layer(x), expected)


def test_adapters_are_float32_on_a_bf16_base() -> None:
    model = decoder(torch.bfloat16)
    inject_lora(model, LoRA(rank=4))
    for name, parameter in model.named_parameters():
        assert parameter.dtype == (torch.float32 if "lora_" in name else torch.bfloat16), name


def test_tiny_steps_move_the_master_and_would_not_move_bf16() -> None:
    """The released code trains bf16 weights with lr 1e-6: updates under half a unit in the last place."""
    model = decoder(torch.bfloat16)
    inject_lora(model, LoRA(rank=4, targets=("q_proj",)))
    master = next(p for p in model.parameters() if p.requires_grad)
    half = nn.Parameter(master.detach().bfloat16())
    before, before_half = master.detach().clone(), half.detach().clone()
    optimizer = torch.optim.AdamW([master, half], lr=1e-6, weight_decay=0.0)
    for _ in range(10):
        master.grad, half.grad = torch.ones_like(master), torch.ones_like(half)
        optimizer.step()
    torch.testing.assert_close(before - master.detach(), torch.full_like(before, 1e-5), rtol=0.02, atol=0)
    large = before_half.abs() > 0.01
    assert large.float().mean() > 0.8
    assert torch.equal(half.detach()[large], before_half[large])


def test_missing_targets_are_named() -> None:
    with pytest.raises(UserError, match=r"\['qkv', 'lm_head'\] match none; available: \['down_proj', 'gate"):
        inject_lora(decoder(), LoRA(targets=("q_proj", "qkv", "lm_head")))


@pytest.mark.parametrize("lora", [LoRA(rank=0), LoRA(targets=())])
def test_settings_are_checked(lora: LoRA) -> None:
    with pytest.raises(UserError, match="lora needs rank > 0 and targets"):
        inject_lora(decoder(), lora)
