"""The frozen language model: embed, hidden states, logits where asked, greedy decoding."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
)

from pvchat.assets import asset
from pvchat.errors import UserError
from pvchat.modules.byte_tokenizer import ByteTokenizer
from pvchat.modules.four_bit import four_bit_options, frozen_bits, keep_as_loaded
from pvchat.modules.lora import LORA_MARK, LoRA, inject_lora, lora_update
from pvchat.modules.published.checkpoint_folders import LANGUAGE_MODEL, open_checkpoint
from pvchat.modules.published.key_table import mistral_config
from pvchat.modules.token_rows import TokenRows, initial_rows
from pvchat.modules.weightless import StandInTokenizer, weightless
from pvchat.prompts import TEMPLATES, SharedStart, TemplateName
from pvchat.subjects import SubjectRegistry

EMBEDDED = "embedded:"
# what weights and buffers do not show of a Llama-like decoder
_DECISIVE = ("model_type", "hidden_act", "num_attention_heads", "num_key_value_heads", "rms_norm_eps")
_PROBE = "Is Tom here?\n 12 é, <tom>'s"  # tokenizers of one vocabulary may still cut text otherwise


class LanguageModel(nn.Module):
    """A Llama-like decoder, frozen, with LoRA inside and trainable rows for new tokens beside it.

    ``source`` is ``embedded:<asset>``, a hub id or a folder. The base keeps its own dtype (``auto``: bf16
    where the machine multiplies it, else float32); everything trainable is float32. ``lora=None`` leaves
    the decoder as it is. ``template`` is guessed from the tokenizer when None. ``attention`` names an
    implementation of transformers (auto: sdpa on a GPU, eager on a CPU). With ``quantization`` the linear
    layers of the base are kept in 4 bits (see ``four_bit.py``) and ``auto`` is bf16 everywhere.
    """

    quantization: Literal["nf4"] | None = None

    def __init__(
        self,
        *,
        source: str = "embedded:smollm2-135m-instruct",
        lora: LoRA | None,
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
        template: TemplateName | None = None,
        gradient_checkpointing: bool = False,
        attention: str = "auto",
        quantization: Literal["nf4"] | None = None,
    ) -> None:
        super().__init__()
        self.quantization = quantization
        chosen = _auto_dtype(quantization) if dtype == "auto" else getattr(torch, dtype)
        options = {"dtype": chosen, "attn_implementation": _attention() if attention == "auto" else attention}
        base, tokenizer = _load(source, options, quantization)
        self._build(base, tokenizer, lora, template, gradient_checkpointing)

    def _build(
        self, base: Any, tokenizer: Any, lora: LoRA | None, template: TemplateName | None, checkpointing: bool
    ) -> None:
        self.base, self.tokenizer = base.requires_grad_(False), tokenizer
        self.template: TemplateName = template or _guess_template(tokenizer)
        self.eos_ids = _eos_ids(tokenizer, self.template)
        self.pad_id: int = self.eos_ids[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        table = base.get_input_embeddings().weight
        self.vocab_size: int = table.shape[0]
        self.width: int = table.shape[1]
        self.embedding_std = 0.02 if weightless() else float(table.float().std())
        self.token_rows = TokenRows(0, self.width)
        # bf16 scores of 20 come in eighths: ties between yes and no. A copy, since a cast per call is slow.
        self._float_head = nn.Buffer(base.get_output_embeddings().weight.detach().float(), persistent=False)
        if lora is not None:
            inject_lora(base, lora)
        self._fingerprint: str | None = None
        if checkpointing:
            checkpoint_blocks(base)

    @property
    def fingerprint(self) -> str:
        """sha256 over the frozen base, rounded to bf16 so that it does not depend on the dtype in use: its
        weights (of those in 4 bits the codes), what else decides how they are used, and the tokenizer."""
        if self._fingerprint is None:
            config = [getattr(self.base.config, name, None) for name in _DECISIVE]
            words = sorted(self.tokenizer.get_vocab().items())
            probe = self.tokenizer.encode(_PROBE, add_special_tokens=False)
            digest = hashlib.sha256(repr((config, words, probe)).encode())
            for name, buffer in self.base.named_buffers():
                if name.endswith(".inv_freq"):  # of rotary positions
                    digest.update(buffer.bfloat16().view(torch.uint8).cpu().numpy())
            for name, parameter in self.base.named_parameters():
                if LORA_MARK not in name:
                    digest.update(name.replace(".base_layer", "").encode())
                    digest.update(frozen_bits(parameter).cpu().numpy().data)
            self._fingerprint = digest.hexdigest()
        return self._fingerprint

    def lora_parameters(self) -> list[nn.Parameter]:
        return [p for name, p in self.base.named_parameters() if LORA_MARK in name]

    def add_rows(self, num_rows: int) -> None:
        """Grow the vocabulary by ``num_rows`` trainable tokens, once, before the optimizer is built."""
        if self.token_rows.num_rows:
            raise UserError(
                f"the vocabulary grows once: it already has {self.token_rows.num_rows} new rows. "
                "Register all subjects together."
            )
        rows = TokenRows(num_rows, self.width).to(self._float_head.device)
        for parameter, value in zip(rows.parameters(), self.initial_rows(num_rows), strict=True):
            parameter.data.copy_(value)
        self.token_rows = rows

    def initial_rows(
        self, num_rows: int, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Untrained input and output rows (num_rows, D), in the order of ``token_rows.parameters()``."""
        return initial_rows(self.base.get_input_embeddings().weight, num_rows, generator=generator)

    def embed(self, ids: Tensor) -> Tensor:
        """Embeddings of base and new tokens: (B, S) -> (B, S, D) float32."""
        return self.token_rows.embed(ids, self.base.get_input_embeddings(), self.vocab_size)

    def hidden(self, inputs_embeds: Tensor, attention_mask: Tensor) -> Tensor:
        """Last hidden states (B, S, D) in the dtype of the base; ``attention_mask`` (B, S) bool may have
        holes anywhere: masked positions neither attend nor count as positions. No logits are computed."""
        return self._decoder(inputs_embeds, attention_mask, None)

    def logits(self, hidden: Tensor) -> Tensor:
        """Scores over base and new tokens: (..., D) -> (..., V + R) float32. Ask only where needed."""
        with torch.autocast(hidden.device.type, enabled=False):
            return self.token_rows.logits(hidden, self._base_logits)

    @torch.no_grad()
    def read(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor,
        shared: SharedStart | None = None,
        *,
        cache: DynamicCache | None = None,
    ) -> Tensor:
        """Hidden states (B, D) behind prompts (B, S, D), without gradient; what is ``shared`` is read once.
        ``cache`` is filled."""
        if shared is None or shared.length == 0 or len(shared.first) == len(shared.like):
            return self._decoder(inputs_embeds, attention_mask, cache)[:, -1]
        cache = DynamicCache(config=self.base.config) if cache is None else cache
        first, length = shared.first, shared.length
        self._decoder(inputs_embeds[first, :length], attention_mask[first, :length], cache)
        cache.batch_select_indices(torch.tensor(shared.kind, device=attention_mask.device))
        return self._decoder(inputs_embeds[:, length:], attention_mask, cache)[:, -1]

    @torch.no_grad()
    def generate(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor,
        shared: SharedStart | None = None,
        *,
        max_new_tokens: int = 64,
        stop_ids: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """Greedy answers to prompts (B, S, D) without padding at the end, nor the stop id that ended them."""
        stop = self.eos_ids if stop_ids is None else stop_ids
        answers: list[list[int]] = [[] for _ in range(inputs_embeds.shape[0])]
        for step in self._greedy(inputs_embeds, attention_mask, max_new_tokens, stop, shared):
            for row, token in step.items():
                answers[row].append(token)
        return answers

    @torch.no_grad()
    def stream(
        self,
        inputs_embeds: Tensor,
        attention_mask: Tensor,
        *,
        max_new_tokens: int = 64,
        stop_ids: Sequence[int] | None = None,
    ) -> Iterator[int]:
        """The same answer to one prompt (1, S, D), token by token."""
        stop = self.eos_ids if stop_ids is None else stop_ids
        for step in self._greedy(inputs_embeds, attention_mask, max_new_tokens, stop):
            yield from step.values()

    def decode(self, ids: Sequence[int], registry: SubjectRegistry) -> str:
        """Text of generated ``ids``; name tokens read as mentions, soft tokens are silent."""
        anchor = self.tokenizer.encode("a", add_special_tokens=False)
        text = ""
        for is_row, run in groupby(ids, lambda token: token >= self.vocab_size):
            if is_row:
                text += "".join(registry.row_text(token - self.vocab_size) for token in run)
            elif text:  # behind an anchor, since some tokenizers drop the space that opens a text
                text += self._text([*anchor, *run])[len(self._text(anchor)) :]
            else:
                text += self._text(list(run))
        return text

    def _text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)  # type: ignore[no-any-return]

    def _base_logits(self, hidden: Tensor) -> Tensor:
        logits = F.linear(hidden.float(), self._float_head)
        update = lora_update(self.base.get_output_embeddings(), hidden.float())
        return logits if update is None else logits + update

    def _decoder(self, inputs_embeds: Tensor, mask: Tensor, cache: DynamicCache | None) -> Tensor:
        """Run the decoder on the last ``inputs_embeds.shape[1]`` positions of ``mask``."""
        limit = self.base.config.max_position_embeddings
        if mask.shape[1] > limit:
            raise UserError(
                f"the language model reads at most {limit} tokens: got {mask.shape[1]}. "
                "Use fewer visual tokens or a shorter conversation."
            )
        positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -inputs_embeds.shape[1] :]
        dtype, device = self.base.get_input_embeddings().weight.dtype, inputs_embeds.device.type
        with nullcontext() if dtype == torch.float32 else torch.autocast(device, dtype):  # casts the adapters
            out = self.base.get_decoder()(
                inputs_embeds=inputs_embeds.to(dtype),
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        return out.last_hidden_state  # type: ignore[no-any-return]

    def _greedy(
        self,
        embeds: Tensor,
        mask: Tensor,
        max_new_tokens: int,
        stop: Sequence[int],
        shared: SharedStart | None = None,
    ) -> Iterator[dict[int, int]]:
        """Next id of each row, step by step; a row that has met a stop id is done and costs nothing more."""
        if not bool(mask[:, -1].all()):
            raise ValueError("generation needs left-padded prompts: the last position of a row is masked.")
        cache = DynamicCache(config=self.base.config)
        rows = list(range(len(mask)))
        with _evaluating(self):
            for _ in range(max_new_tokens):
                ids = self.logits(self.read(embeds, mask, shared, cache=cache)).argmax(-1)  # (rows,)
                told = ids.tolist()
                going = [i for i, token in enumerate(told) if token not in stop]
                yield {rows[i]: told[i] for i in going}
                if not going:
                    return
                if len(going) < len(rows):
                    cache.batch_select_indices(torch.tensor(going, device=mask.device))
                    mask, ids, rows = mask[going], ids[going], [rows[i] for i in going]
                embeds, shared = self.embed(ids.unsqueeze(1)), None  # the rest is in the cache
                mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)


class RandomLanguageModel(LanguageModel):
    """A tiny random Llama with a built-in tokenizer: needs no download and still learns in seconds.

    ``seed`` fixes the frozen weights. The initial spread of .06 matters: with .02 nothing is learnt."""

    def __init__(
        self,
        *,
        seed: int = 0,
        width: int = 256,
        num_layers: int = 4,
        lora: LoRA | None,
        gradient_checkpointing: bool = False,
    ) -> None:
        nn.Module.__init__(self)
        tokenizer = ByteTokenizer()
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=num_layers,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=4096,
            initializer_range=0.06,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            base = LlamaForCausalLM(config)
        base.set_attn_implementation(_attention())
        self._build(base, tokenizer, lora, "chatml", gradient_checkpointing)


def checkpoint_blocks(base: Any) -> None:
    """Recompute each block in the backward pass; not reentrant, or frozen inputs would end the gradient."""
    base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})


def _load(source: str, options: dict[str, Any], quantization: str | None) -> tuple[Any, Any]:
    path: str | Path = asset(source.removeprefix(EMBEDDED)) if source.startswith(EMBEDDED) else source
    try:
        if weightless():
            return _unread(path, options)
        tokenizer = AutoTokenizer.from_pretrained(path)  # first: the weights take minutes
        if quantization:
            options |= four_bit_options(options["dtype"])
        base = AutoModelForCausalLM.from_pretrained(path, **options)
        keep_as_loaded(base)
        return base, tokenizer
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        if reason.startswith("Couldn't instantiate the backend tokenizer"):
            reason = "it has no tokenizer."
        elif reason.startswith("Repo id must"):
            reason = "there is no such folder."
        raise UserError(
            f"cannot load the language model {source!r}: {reason} Give an embedded "
            "asset, a hub id or a folder with config, safetensors and tokenizer."
        ) from error


def _unread(path: str | Path, options: dict[str, Any]) -> tuple[Any, Any]:
    """Decoder and tokenizer by their config; published ones where a checkpoint is still to be downloaded."""
    if Path(path).name == LANGUAGE_MODEL and not Path(path).exists():
        config: Any = MistralConfig.from_dict(mistral_config(open_checkpoint(Path(path).parent).sizes))
        tokenizer: Any = StandInTokenizer()
    else:
        config, tokenizer = AutoConfig.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    return AutoModelForCausalLM.from_config(config, **options), tokenizer  # type: ignore[no-untyped-call]


def _attention() -> str:
    """Fused attention on a GPU, and where one is planned; on a CPU its bf16 backward is slow."""
    return "sdpa" if torch.cuda.is_available() or weightless() else "eager"


def _auto_dtype(quantization: str | None) -> torch.dtype:
    if quantization:
        return torch.bfloat16  # what is quantised must not depend on the machine
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported()
    else:
        check = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
        fast = check is not None and check()
    return torch.bfloat16 if fast else torch.float32


def _guess_template(tokenizer: Any) -> TemplateName:
    for name, mark in (("chatml", "<|im_end|>"), ("mistral", "[INST]")):
        if len(tokenizer.encode(mark, add_special_tokens=False)) == 1:
            return name  # type: ignore[return-value]
    raise UserError(
        f"no chat template fits this tokenizer; set template to one of {sorted(TEMPLATES)} yourself."
    )


def _eos_ids(tokenizer: Any, template: TemplateName) -> tuple[int, ...]:
    """Ids that end an answer: the template's and the tokenizer's own."""
    ids = tokenizer.encode(TEMPLATES[template].eos, add_special_tokens=False)
    if len(ids) != 1:
        raise UserError(
            f"template {template!r} ends answers with {TEMPLATES[template].eos!r}, which this tokenizer "
            f"splits into {len(ids)} tokens; choose another template."
        )
    own = tokenizer.eos_token_id
    return tuple(dict.fromkeys([ids[0]] if own is None else [ids[0], own]))


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout off inside, the mode of ``module`` restored after."""
    was = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was)


__all__ = ["LanguageModel", "LoRA", "RandomLanguageModel"]
