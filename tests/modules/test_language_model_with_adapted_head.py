"""LoRA on the vocabulary head, as in InternVideo2-Chat: scores go through it, the frozen head stays."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import MistralConfig, MistralForCausalLM

from pvchat.modules.language_model import LanguageModel, LoRA, RandomLanguageModel
from pvchat.modules.lora import inject_lora
from pvchat.modules.published.key_table import LORA_TARGETS, PublishedSizes, mistral_config


def build(*, targets: tuple[str, ...] = LORA_TARGETS, dropout: float = 0.0) -> LanguageModel:
    torch.manual_seed(0)
    lora = LoRA(rank=4, alpha=8, dropout=dropout, targets=targets)
    return RandomLanguageModel(width=32, num_layers=2, lora=lora)


def disturb(model: LanguageModel) -> LanguageModel:
    """Adapters start as the identity."""
    for parameter in model.lora_parameters():
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


def test_logits_are_those_of_the_adapted_head() -> None:
    model, hidden = build(), torch.randn(3, 32)
    plain = model.logits(hidden)
    assert torch.equal(plain, hidden @ model._float_head.T)  # the identity at the start
    head: Any = disturb(model).base.lm_head
    update = hidden @ head.lora_A["default"].weight.T @ head.lora_B["default"].weight.T * 2  # alpha / rank
    torch.testing.assert_close(model.logits(hidden), plain + update)
    torch.testing.assert_close(model.logits(hidden), head(hidden))
    assert torch.equal(head.base_layer.weight, model._float_head)


def test_the_whole_is_what_peft_computes() -> None:
    model = disturb(build())
    ids = torch.randint(3, 200, (2, 7))
    with torch.no_grad():
        ours = model.logits(model.hidden(model.embed(ids), torch.ones(2, 7, dtype=torch.bool)))
        torch.testing.assert_close(ours, model.base(input_ids=ids).logits)


def test_the_adapter_of_the_head_learns_and_the_head_does_not() -> None:
    model = disturb(build())
    model.add_rows(2)
    before = {n: p.detach().clone() for n, p in model.base.named_parameters()}
    optimizer = torch.optim.AdamW(model.lora_parameters(), lr=1e-3)
    model.logits(torch.randn(5, 32)).logsumexp(-1).sum().backward()
    optimizer.step()
    moved = {n for n, p in model.base.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {"lm_head.lora_A.default.weight", "lm_head.lora_B.default.weight"}
    assert {p.dtype for p in model.lora_parameters()} == {torch.float32}


def test_dropout_of_the_adapter_is_on_in_training_alone() -> None:
    model, hidden = disturb(build(dropout=0.5)), torch.randn(3, 32)
    assert torch.equal(model.logits(hidden), model.logits(hidden))
    model.train()
    assert not torch.equal(model.logits(hidden), model.logits(hidden))


def test_scores_of_a_bf16_base_stay_float32() -> None:
    model, hidden = disturb(build()), torch.randn(3, 32).bfloat16()
    expected = model.logits(hidden.float())
    for name, parameter in model.base.named_parameters():
        if "lora_" not in name:
            parameter.data = parameter.data.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(model.logits(hidden), expected)
    assert expected.dtype == torch.float32


def test_the_base_is_the_same_with_and_without_adapters_on_its_head() -> None:
    assert len({build(targets=t).fingerprint for t in (LORA_TARGETS, LORA_TARGETS[:-1])}) == 1


@pytest.mark.parametrize(("targets", "count"), [(LORA_TARGETS, 42_532_864), (LORA_TARGETS[:-1], 41_943_040)])
def test_as_many_parameters_as_published(targets: tuple[str, ...], count: int) -> None:
    """Mistral-7B, without memory."""
    with torch.device("meta"):
        base = MistralForCausalLM(MistralConfig(**mistral_config(PublishedSizes())))
        inject_lora(base, LoRA(targets=targets))
    assert sum(p.numel() for p in base.parameters() if p.requires_grad) == count
