"""A tiny random Mistral in NF4 on the CPU: what is stored, what it computes, what learns."""

from pathlib import Path

import pytest
import torch
from modules.test_language_model import save_model
from tiny import make_batch, make_chat, make_module, state
from torch import Tensor, nn
from transformers import MistralConfig, MistralForCausalLM

from pvchat.checkpoints import fill_checkpoint, trim_checkpoint
from pvchat.errors import UserError
from pvchat.modules import four_bit
from pvchat.modules.language_model import LanguageModel, LoRA
from pvchat.planning.plan import NF4_BITS, in_four_bits
from pvchat.planning.simulation import StepCost

WIDTH = 256
EVERYWHERE = LoRA(rank=4, alpha=8, targets=("q_proj", "v_proj", "down_proj", "lm_head"))
needs_bitsandbytes = pytest.mark.skipif(
    not four_bit.is_bitsandbytes_available(), reason="needs pip install 'pvchat[4bit]'"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_model(tmp_path_factory.mktemp("mistral"))  # for its tokenizer
    config = MistralConfig(
        vocab_size=259,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.06,
        eos_token_id=2,
        bos_token_id=None,
    )
    torch.manual_seed(7)
    MistralForCausalLM(config).bfloat16().save_pretrained(folder)
    return folder


def load(folder: Path, *, lora: LoRA | None = None, checkpointing: bool = False) -> LanguageModel:
    return LanguageModel(
        source=str(folder), lora=lora, quantization="nf4", gradient_checkpointing=checkpointing
    )


def quantised(model: LanguageModel) -> dict[str, nn.Module]:
    own = {n.removesuffix(".weight") for n, p in model.base.named_parameters() if p.dtype == torch.uint8}
    return {name: model.base.get_submodule(name) for name in own}


def unpacked(layer: nn.Module) -> Tensor:
    """The weight of a layer, by the NF4 table and its two levels of scales, without bitsandbytes."""
    scales = layer.weight.quant_state
    nested = scales.state2.absmax.repeat_interleave(256)[: scales.absmax.numel()]
    absmax = scales.state2.code[scales.absmax.long()] * nested + scales.offset
    packed = layer.weight.flatten().long()
    values = scales.code[torch.stack([packed >> 4, packed & 15], -1).flatten()]
    return (values * absmax.repeat_interleave(64)).reshape(scales.shape)


@needs_bitsandbytes
def test_linear_layers_are_the_nearest_nf4_and_the_rest_is_as_it_was(folder: Path) -> None:
    model, base = load(folder), MistralForCausalLM.from_pretrained(folder, dtype="bfloat16")
    given, packed = dict(base.named_parameters()), quantised(model)
    linear = {n for n, m in base.named_modules() if isinstance(m, nn.Linear)}
    assert packed.keys() == linear - {"lm_head"}
    for name, layer in packed.items():
        weight = given[f"{name}.weight"].float()
        blocks = (weight.flatten().unflatten(0, (-1, 64)), unpacked(layer).flatten().unflatten(0, (-1, 64)))
        scale = blocks[0].abs().amax(1, keepdim=True)
        assert ((blocks[0] - blocks[1]).abs() / scale).max() < 0.16  # half the widest gap of the table
        table = layer.weight.quant_state.code
        assert (len(table), table.min(), table.max()) == (16, -1, 1)
    for name, parameter in model.base.named_parameters():
        if name.removesuffix(".weight") not in packed:
            assert torch.equal(parameter, given[name]), name


@needs_bitsandbytes
def test_it_computes_what_its_unpacked_weights_say(folder: Path) -> None:
    """And that is close to the base in bf16, but not equal."""
    model, base = load(folder), MistralForCausalLM.from_pretrained(folder, dtype="float32").eval()
    ids, mask = torch.randint(3, 259, (2, 9)), torch.ones(2, 9).bool()
    model.eval()
    with torch.no_grad():
        found, exact = model.logits(model.hidden(model.embed(ids), mask)), base(ids).logits
        for name, layer in quantised(model).items():
            base.get_submodule(name).weight.copy_(unpacked(layer))
        rounded = base(ids).logits

    def distance(a: Tensor, b: Tensor) -> float:
        return float((a - b).norm() / b.norm())

    assert distance(found, rounded) < 0.03  # of bf16
    assert 0.05 < distance(rounded, exact) < 0.4
    assert distance(found, exact) < 0.4


@needs_bitsandbytes
@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_learn_and_the_base_stays_through_evaluation(
    folder: Path, checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU with AVX512-BF16, which is pretended here, bitsandbytes repacks weights that are evaluated and
    lets no gradient through from then on."""
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: True)
    model = load(folder, lora=EVERYWHERE, checkpointing=checkpointing)
    fingerprint = load(folder).fingerprint
    chat = make_chat(language_model=model)
    batch = make_batch(chat, ("Is <tom> here?", "Yes, here."))
    before = {n: unpacked(m).clone() for n, m in quantised(model).items()}
    optimizer = torch.optim.AdamW([p for g in chat.parameter_groups().values() for p in g], lr=5e-3)
    losses = []
    for _ in range(8):
        chat.eval().presence_scores(batch)
        out = chat.train()(batch)
        loss = torch.nn.functional.cross_entropy(out.logits, out.labels)
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.lora_parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    first = model.base.model.layers[0].self_attn.q_proj  # its gradient came through every other layer
    assert type(first).__name__ == "Linear4bit"
    assert all(adapter.weight.any() for adapter in first.lora_B.values())
    after = {n: unpacked(m) for n, m in quantised(model).items()}
    assert len(after) == 14
    assert all(torch.equal(before[name], weight) for name, weight in after.items())
    assert model.fingerprint == fingerprint


@needs_bitsandbytes
def test_checkpoints_hold_what_is_trained(folder: Path) -> None:
    """And they go back into a model in 4 bits, into no other."""

    def module(quantization: str | None) -> object:
        model = LanguageModel(
            source=str(folder), lora=EVERYWHERE, quantization=quantization, dtype="bfloat16"
        )
        return make_module(chat={"language_model": model})

    trained = module("nf4")
    with torch.no_grad():
        for parameter in trained.chat.language_model.lora_parameters():
            parameter.normal_()
    keep = frozenset(trained.trainable_state())
    saved = {"state_dict": state(trained)}
    trim_checkpoint(saved, keep=keep, base_fingerprint=trained.base_fingerprint)
    assert {t.dtype for t in saved["state_dict"].values()} == {torch.float32}
    fresh = module("nf4")
    fill_checkpoint(saved, module=fresh, keep=keep, base_fingerprint=fresh.base_fingerprint)
    fresh.load_state_dict(saved["state_dict"], strict=False)
    batch = make_batch(fresh.chat, "Is <tom> here?")
    scores = [m.chat.eval().presence_scores(batch) for m in (trained, fresh, module("nf4"))]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])
    plain = module(None)
    trim_checkpoint(saved, keep=keep, base_fingerprint=trained.base_fingerprint)
    with pytest.raises(UserError, match="the checkpoint was trained on another base model"):
        fill_checkpoint(saved, module=plain, keep=keep, base_fingerprint=plain.base_fingerprint)


@needs_bitsandbytes
def test_fingerprint_names_the_weights(folder: Path, tmp_path: Path) -> None:
    fingerprint = load(folder).fingerprint
    assert load(folder, lora=EVERYWHERE).fingerprint == fingerprint
    assert LanguageModel(source=str(folder), lora=None, dtype="bfloat16").fingerprint != fingerprint
    save_model(tmp_path)
    base = MistralForCausalLM.from_pretrained(folder, dtype="bfloat16")
    with torch.no_grad():
        base.model.layers[1].mlp.up_proj.weight[3, 5] *= -1
    base.save_pretrained(tmp_path)
    assert load(tmp_path).fingerprint != fingerprint


@needs_bitsandbytes
def test_what_was_quantised_once_is_read_as_it_is(folder: Path, tmp_path: Path) -> None:
    """A folder that transformers saved in 4 bits holds the same base, and needs no time to quantise."""
    save_model(tmp_path)
    model = load(folder)
    model.base.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.fingerprint == model.fingerprint
    for name, layer in quantised(model).items():
        assert torch.equal(unpacked(layer), unpacked(quantised(again)[name]))
    with torch.device("meta"):
        planned = load(tmp_path)
    assert {p.dtype for p in planned.base.parameters()} == {torch.bfloat16}


@needs_bitsandbytes
def test_memory_is_as_planned(folder: Path, tmp_path: Path) -> None:
    """Bytes that are held, tables and scales included, within a tenth of what a plan without weights says."""
    config = MistralConfig.from_pretrained(folder)
    config.hidden_size = config.intermediate_size = 1024
    config.num_hidden_layers, config.head_dim = 1, 256
    save_model(tmp_path)
    MistralForCausalLM(config).bfloat16().save_pretrained(tmp_path)
    model = load(tmp_path)
    held = [
        sum(t.nbytes for t in (layer.weight, *tensors_of(layer.weight.quant_state)))
        for layer in quantised(model).values()
    ]
    count = sum(layer.weight.quant_state.shape.numel() for layer in quantised(model).values())
    assert 8 * sum(held) / count == pytest.approx(NF4_BITS, rel=0.1)
    with torch.device("meta"):
        planned = make_module(chat={"language_model": load(tmp_path)})
    whole = sum(p.nbytes for p in planned.parameters())
    cost = in_four_bits(planned, StepCost(0, whole, 0, 0, 0))
    rest = whole - sum(p.nbytes for p in planned.chat.language_model.base.parameters())
    real = sum(held) + sum(p.nbytes for p in model.base.parameters() if p.dtype != torch.uint8)
    assert cost.weights - rest == pytest.approx(real, rel=0.1)


def tensors_of(quant_state: object) -> list[Tensor]:
    inner = quant_state.state2
    return [quant_state.absmax, quant_state.code, inner.absmax, inner.code, quant_state.offset]


def test_without_bitsandbytes_it_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(four_bit, "is_bitsandbytes_available", lambda: False)
    with pytest.raises(UserError, match=r"nf4 needs bitsandbytes: .* Run pip install 'pvchat\[4bit\]'"):
        load(folder)
    with torch.device("meta"):
        assert load(folder).quantization == "nf4"  # a plan needs none
