import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from pvchat.errors import UserError
from pvchat.modules.language_model import LanguageModel, LoRA, RandomLanguageModel
from pvchat.prompts import SharedStart
from pvchat.subjects import SubjectRegistry

NAMES = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def save_model(folder: Path, special: tuple[str, ...] = NAMES) -> Path:
    """A tiny random Llama with a byte-level tokenizer, as from_pretrained finds it on a disk."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate((*special, *alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=special[-1]).save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(special) + 256,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        eos_token_id=2,
    )
    torch.manual_seed(7)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("llama"))


@pytest.fixture
def model(folder: Path) -> LanguageModel:
    return LanguageModel(source=str(folder), lora=None, dtype="float32")


def disturb(model: LanguageModel) -> LanguageModel:
    """Adapters and rows that matter, as after training."""
    for parameter in (*model.lora_parameters(), *model.token_rows.parameters()):
        nn.init.normal_(parameter, std=0.1)
    return model


def left_pad(prompts: list[Tensor]) -> tuple[Tensor, Tensor]:
    length = max(len(p) for p in prompts)
    ids = torch.stack([F.pad(p, (length - len(p), 0)) for p in prompts])
    mask = torch.stack([F.pad(torch.ones_like(p), (length - len(p), 0)) for p in prompts]).bool()
    return ids, mask


def test_logits_equal_transformers(folder: Path, model: LanguageModel) -> None:
    reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = torch.randint(3, 259, (2, 9))
    mask = torch.ones_like(ids).bool()
    model.add_rows(4)
    logits = model.logits(model.hidden(model.embed(ids), mask))
    torch.testing.assert_close(logits[..., :259], reference(ids).logits, rtol=1e-4, atol=1e-4)
    assert logits.shape == (2, 9, 263)
    assert not logits[..., 259:].any()  # untrained rows score zero and win no argmax


@pytest.mark.parametrize("side", ["left", "middle", "right"])
def test_masked_positions_are_as_if_dropped(model: LanguageModel, side: str) -> None:
    hole = {"left": slice(0, 3), "middle": slice(4, 7), "right": slice(7, 10)}[side]
    embeds, mask = model.embed(torch.randint(3, 259, (1, 10))), torch.ones(1, 10).bool()
    mask[:, hole] = False
    kept = model.hidden(embeds, mask)[mask]
    short = embeds[mask].unsqueeze(0)
    torch.testing.assert_close(kept, model.hidden(short, torch.ones(1, 7).bool())[0])


def test_generation_equals_one_by_one_equals_transformers(folder: Path) -> None:
    model = LanguageModel(source=str(folder), lora=None, dtype="float32")
    reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    prompts = [torch.randint(3, 259, (n,)) for n in (4, 11, 7)]
    ids, mask = left_pad(prompts)
    together = model.generate(model.embed(ids), mask, max_new_tokens=12)
    for prompt, answer in zip(prompts, together, strict=True):
        alone = model.generate(
            model.embed(prompt[None]), torch.ones(1, len(prompt)).bool(), max_new_tokens=12
        )
        theirs = reference.generate(prompt[None], max_new_tokens=12, do_sample=False)[
            0, len(prompt) :
        ].tolist()
        assert answer == alone[0] == theirs[: theirs.index(2) if 2 in theirs else None]


def trained(folder: Path) -> LanguageModel:
    torch.manual_seed(1)
    model = LanguageModel(source=str(folder), lora=LoRA(rank=4, dropout=0.5), dtype="float32")
    model.add_rows(5)
    return disturb(model)


def test_cache_equals_no_cache_through_holes_new_tokens_and_adapters(folder: Path) -> None:
    model = trained(folder).eval()
    embeds, mask = model.embed(torch.randint(3, 264, (2, 9))), torch.ones(2, 9).bool()
    mask[0, :2], mask[1, 3:6] = False, False
    cached = model.generate(embeds, mask, max_new_tokens=8, stop_ids=[])
    plain: list[list[int]] = [[], []]
    for _ in range(8):
        token = model.logits(model.hidden(embeds, mask)[:, -1]).argmax(-1)
        for row, value in zip(plain, token.tolist(), strict=True):
            row.append(value)
        embeds = torch.cat([embeds, model.embed(token[:, None])], 1)
        mask = torch.cat([mask, torch.ones(2, 1).bool()], 1)
    assert cached == plain


def test_generation_is_deterministic_and_leaves_the_mode(folder: Path) -> None:
    model = trained(folder).train()  # with dropout .5
    embeds, mask = model.embed(torch.randint(3, 259, (1, 6))), torch.ones(1, 6).bool()
    answers = [model.generate(embeds, mask, max_new_tokens=8)[0] for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert list(model.stream(embeds, mask, max_new_tokens=8)) == answers[0]
    assert model.training


def test_stop_ids_end_an_answer_and_are_not_part_of_it(model: LanguageModel) -> None:
    ids, mask = left_pad([torch.randint(3, 259, (n,)) for n in (5, 8)])
    embeds = model.embed(ids)
    free = model.generate(embeds, mask, max_new_tokens=10, stop_ids=[])
    stop = free[0][3]
    first = free[0].index(stop)
    stopped = model.generate(embeds, mask, max_new_tokens=10, stop_ids=[stop])
    assert stopped[0] == free[0][:first]
    assert stopped[1] == free[1][: free[1].index(stop) if stop in free[1] else None]
    assert list(model.stream(embeds[:1], mask[:1], max_new_tokens=10, stop_ids=[stop])) == stopped[0]


def reads(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and positions of each pass through the decoder from now on."""
    sizes: list[tuple[int, int]] = []
    decode = model._decoder

    def watched(embeds: Tensor, *others: object) -> Tensor:
        sizes.append((embeds.shape[0], embeds.shape[1]))
        return decode(embeds, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "_decoder", watched)
    return sizes


def test_answered_rows_cost_nothing_more(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = trained(folder)
    ids, mask = left_pad([torch.randint(3, 259, (n,)) for n in (5, 8, 6)])
    embeds = model.embed(ids)
    free = model.generate(embeds, mask, max_new_tokens=10, stop_ids=[])
    stop = next(t for t in free[1][1:] if t not in [*free[0], free[1][0], *free[2]])
    sizes = reads(model, monkeypatch)
    stopped = model.generate(embeds, mask, max_new_tokens=10, stop_ids=[stop])
    end = free[1].index(stop)
    assert stopped == [free[0], free[1][:end], free[2]]
    assert [rows for rows, _ in sizes] == [3] * (end + 1) + [2] * (9 - end)


def test_a_shared_start_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kinds of start with a hole in one, four prompts, padding between start and question."""
    model = trained(folder).eval()
    starts = torch.randint(3, 264, (2, 6))
    ids = torch.cat([starts[[0, 1, 0, 1]], torch.randint(3, 259, (4, 5))], 1)
    mask = torch.ones_like(ids).bool()
    mask[1::2, 2:4], mask[2, 6:8] = False, False
    embeds = model.embed(ids)
    shared = SharedStart(6, [0, 1, 0, 1])
    assert (shared.first, shared.kind) == ([0, 1], [0, 1, 0, 1])
    torch.testing.assert_close(model.read(embeds, mask, shared), model.read(embeds, mask))
    apart = model.generate(embeds, mask, max_new_tokens=8, stop_ids=[])
    sizes = reads(model, monkeypatch)
    assert model.generate(embeds, mask, shared, max_new_tokens=8, stop_ids=[]) == apart
    assert sizes == [(2, 6), (4, 5), *[(4, 1)] * 7]


def test_right_padded_generation_is_refused(model: LanguageModel) -> None:
    with pytest.raises(ValueError, match="left-padded"):
        model.generate(torch.zeros(1, 2, 32), torch.tensor([[True, False]]))


def train(model: LanguageModel, steps: int = 3) -> list[float]:
    ids = torch.tensor([[5, 6, model.vocab_size, 7, model.vocab_size + 1]])
    mask = torch.ones_like(ids).bool()
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=1e-2, weight_decay=0.1)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        hidden = model.hidden(model.embed(ids), mask)
        loss = F.cross_entropy(model.logits(hidden[0, :-1]), ids[0, 1:])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_training_moves_rows_and_adapters_and_not_one_bit_of_the_base(
    folder: Path, dtype: str, gradient_checkpointing: bool
) -> None:
    model = LanguageModel(
        source=str(folder),
        lora=LoRA(rank=4),
        dtype=dtype,  # type: ignore[arg-type]
        gradient_checkpointing=gradient_checkpointing,
    ).train()
    model.add_rows(2)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    fingerprint = model.fingerprint
    losses = train(model)
    assert losses[-1] < losses[0]
    for name, parameter in model.named_parameters():
        moves = "lora_" in name or name.startswith("token_rows")
        assert torch.equal(parameter, before[name]) != moves, name
        assert parameter.dtype == (torch.float32 if moves else getattr(torch, dtype)), name
    model._fingerprint = None
    assert model.fingerprint == fingerprint


def test_gradient_checkpointing_changes_no_gradient(folder: Path) -> None:
    grads = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = LanguageModel(
            source=str(folder), lora=LoRA(rank=4), dtype="float32", gradient_checkpointing=checkpointing
        )
        model.add_rows(2)
        train(disturb(model.train()), steps=1)
        grads.append([p.grad for p in model.parameters() if p.requires_grad])
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_learn_from_inputs_that_need_no_gradient(folder: Path, checkpointing: bool) -> None:
    """Released bug 3: reentrant checkpointing gives them no gradient, since only the inputs are looked at."""
    model = LanguageModel(
        source=str(folder), lora=LoRA(rank=4), dtype="float32", gradient_checkpointing=checkpointing
    )
    disturb(model.train())
    model.hidden(torch.randn(1, 5, model.width), torch.ones(1, 5).bool()).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.lora_parameters())


def test_bf16_and_float32_agree_and_logits_are_float32(folder: Path) -> None:
    ids, mask = torch.randint(3, 259, (1, 8)), torch.ones(1, 8).bool()
    outputs = []
    for dtype in ("float32", "bfloat16"):
        torch.manual_seed(1)
        model = LanguageModel(source=str(folder), lora=LoRA(rank=4), dtype=dtype)  # type: ignore[arg-type]
        model.add_rows(1)
        with torch.no_grad():
            outputs.append(model.logits(disturb(model).hidden(model.embed(ids), mask)))
    exact, rounded = outputs
    assert rounded.dtype == torch.float32
    assert F.cosine_similarity(exact, rounded, dim=-1).min() > 0.998
    assert not torch.equal(rounded, rounded.bfloat16().float())  # finer than bf16, even under autocast
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        under = model.logits(model.hidden(model.embed(ids), mask))
    assert torch.equal(under, rounded)


def test_fingerprint_names_the_base_alone(folder: Path, tmp_path: Path) -> None:
    model = trained(folder)
    bare = LanguageModel(source=str(folder), lora=None, dtype="bfloat16")
    assert model.fingerprint == bare.fingerprint  # adapters, rows and dtype do not matter
    other = LlamaForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight[0, 0] += 1
    bare.tokenizer.save_pretrained(tmp_path)
    other.save_pretrained(tmp_path)
    assert LanguageModel(source=str(tmp_path), lora=None).fingerprint != model.fingerprint


@pytest.mark.parametrize("changed", ["embeddings", "rms_norm_eps", "rope_theta", "num_attention_heads"])
def test_fingerprint_names_all_that_computes(
    folder: Path, model: LanguageModel, tmp_path: Path, changed: str
) -> None:
    """The same weights in a model of other settings are another base."""
    other = LlamaForCausalLM.from_pretrained(folder)
    if changed == "embeddings":
        with torch.no_grad():
            other.model.embed_tokens.weight[9, 9] += 1
    model.tokenizer.save_pretrained(tmp_path)
    other.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    if changed == "rope_theta":
        config["rope_parameters"]["rope_theta"] = 500.0
    elif changed != "embeddings":
        config |= {"rms_norm_eps": 1e-3} if changed == "rms_norm_eps" else {changed: 2, "head_dim": 16}
        config["num_key_value_heads"] = 1 if changed == "num_attention_heads" else 2
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert LanguageModel(source=str(tmp_path), lora=None).fingerprint != model.fingerprint


def test_fingerprint_names_the_tokenizer(folder: Path, model: LanguageModel, tmp_path: Path) -> None:
    """Other ids for the same pieces, or another cut into them."""
    LlamaForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    for change in ("ids", "cut"):
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = tokenizer["model"]["vocab"]
        if change == "ids":
            vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
        else:
            tokenizer["pre_tokenizer"]["add_prefix_space"] = True
        model.tokenizer.save_pretrained(tmp_path)
        (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
        assert LanguageModel(source=str(tmp_path), lora=None).fingerprint != model.fingerprint, change


def test_answers_read_as_text(folder: Path) -> None:
    model, registry = trained(folder), SubjectRegistry(["tom", "Mary Ann"], num_soft_tokens=1)
    encode = model.tokenizer.encode
    tom, soft, ann = (model.vocab_size + row for row in (0, 1, 2))
    ids = [*encode("Yes, "), tom, soft, *encode(" is here with "), ann, *encode(". é"), model.eos_ids[0]]
    assert model.decode(ids, registry) == "Yes, <tom> is here with <Mary Ann>. é"
    assert model.decode([], registry) == ""


def test_vocabulary_grows_once(model: LanguageModel) -> None:
    model.add_rows(3)
    with pytest.raises(UserError, match="already has 3 new rows"):
        model.add_rows(3)


def test_template_and_ids_come_from_the_tokenizer(model: LanguageModel, tmp_path: Path) -> None:
    assert (model.template, model.eos_ids, model.pad_id) == ("chatml", (2,), 2)
    mistral = save_model(tmp_path / "a", ("<s>", "[INST]", "</s>"))
    assert LanguageModel(source=str(mistral), lora=None).template == "mistral"
    with pytest.raises(UserError, match=r"template 'chatml' ends answers with '<\|im_end\|>'"):
        LanguageModel(source=str(mistral), lora=None, template="chatml")
    with pytest.raises(UserError, match="set template to one of"):
        LanguageModel(source=str(save_model(tmp_path / "b", ("<s>", "[A]", "<end>"))), lora=None)


def test_errors_say_what_to_do(model: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot load the language model .* Give an embedded asset"):
        LanguageModel(source=str(tmp_path), lora=None)
    with pytest.raises(UserError, match=r"at most 64 tokens: got 65\. Use fewer visual tokens"):
        model.hidden(torch.zeros(1, 65, 32), torch.ones(1, 65).bool())


def test_random_model_depends_on_its_seed_alone() -> None:
    first = RandomLanguageModel(lora=None, seed=1)
    state = torch.get_rng_state()
    second, other = RandomLanguageModel(lora=LoRA(), seed=1), RandomLanguageModel(lora=None, seed=2)
    assert first.fingerprint == second.fingerprint != other.fingerprint
    torch.set_rng_state(state)
    RandomLanguageModel(lora=None)
    assert torch.equal(torch.get_rng_state(), state)
    assert float(first.base.model.embed_tokens.weight[1:].std()) == pytest.approx(0.06, rel=0.02)
    assert len(first.base.model.layers) == 4


def test_random_model_learns_to_answer_in_seconds() -> None:
    """Its adapters and rows suffice: two subjects, told apart by their rows alone."""
    model = RandomLanguageModel(lora=LoRA())
    model.add_rows(2)
    encode = model.tokenizer.encode
    answers = [[*encode(text), *model.eos_ids] for text in ("Yes, here.", "No, not here.")]
    prompts = [[*encode("Is "), model.vocab_size + row, *encode(" here? ")] for row in range(2)]
    ids, mask = left_pad([torch.tensor(p + a) for p, a in zip(prompts, answers, strict=True)])
    tail = max(map(len, answers))
    labels = torch.full_like(ids, -100)
    for row, answer in enumerate(answers):
        labels[row, -len(answer) :] = ids[row, -len(answer) :]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    for _ in range(30):
        optimizer.zero_grad()
        hidden = model.hidden(model.embed(ids), mask)
        F.cross_entropy(
            model.logits(hidden[:, -tail - 1 : -1]).flatten(0, 1), labels[:, -tail:].flatten()
        ).backward()
        optimizer.step()
    ids, mask = left_pad([torch.tensor(p) for p in prompts])
    told = model.generate(model.embed(ids), mask, max_new_tokens=10)
    assert [model.tokenizer.decode(answer) for answer in told] == ["Yes, here.", "No, not here."]


def test_embedded_model_answers() -> None:
    model = LanguageModel(lora=LoRA())
    model.add_rows(17)
    assert (model.template, model.width, model.vocab_size) == ("chatml", 576, 49152)
    question = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    embeds = model.embed(torch.tensor([model.tokenizer.encode(question, add_special_tokens=False)]))
    ids = model.generate(embeds, torch.ones(embeds.shape[:2]).bool(), max_new_tokens=16)[0]
    assert model.decode(ids, SubjectRegistry(["tom"])) == "The capital of France is Paris."
