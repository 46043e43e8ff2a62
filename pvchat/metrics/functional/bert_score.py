"""BERTScore (Zhang et al. 2020): likeness of answers to references in the space of a text encoder.

The arithmetic is that of the package ``bert_score``, without idf weights and without rescaling. Its loading
is not used: it goes to the hub, and takes any path with "t5" in it for a T5.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pvchat.assets import asset
from pvchat.errors import UserError

ROBERTA = "roberta-large"
_HUB = (ROBERTA, f"FacebookAI/{ROBERTA}")  # the former name of the hub and the present one
_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
# roberta-large: bert_score's choice on WMT16. MiniLM: the 5th of 6, as bert_score has it for distilbert's 6.
LAYERS = {ROBERTA: 17, "minilm": 5}


@dataclass(frozen=True)
class TextEncoder:
    """A BERT or RoBERTa in ``folder`` (transformers' format), of which layer ``num_layers`` is read. Numbers
    of encoders with different names are not comparable."""

    name: str
    folder: Path
    num_layers: int

    @property
    def signature(self) -> str:
        """How the numbers come about, as sacrebleu's."""
        packages = f"bert_score:{version('bert_score')}|transformers:{version('transformers')}"
        return f"model:{self.name}|layer:{self.num_layers}|idf:no|rescaled:no|{packages}"


def find_text_encoder(folder: str | Path | None = None) -> TextEncoder:
    """roberta-large, the paper's, in ``folder`` or in the hub's cache on this machine; where it is in neither
    the embedded MiniLM. Nothing is fetched from the hub. UserError for a ``folder`` without it."""
    if folder is not None:
        if missing := [name for name in _NEEDED if not (Path(folder) / name).is_file()]:
            raise UserError(
                f"the folder of {ROBERTA} must hold {' and '.join(_NEEDED)}: {folder} has no "
                f"{' and no '.join(missing)}. Give the folder of a download, or none for the embedded MiniLM."
            )
        return TextEncoder(ROBERTA, Path(folder), LAYERS[ROBERTA])
    for repository in _HUB:
        files = [_cached(repository, name) for name in _NEEDED]
        if all(files):
            return TextEncoder(ROBERTA, Path(str(files[0])).parent, LAYERS[ROBERTA])
    return TextEncoder("minilm", asset("minilm"), LAYERS["minilm"])


def bert_scores(
    preds: Sequence[str],
    target: Sequence[str],
    encoder: TextEncoder,
    *,
    batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Precision, recall and F1 of each answer: (N, 3), double, on the CPU.

    An empty answer or reference scores 0. What is longer than the encoder reads is cut. Equal pairs are
    scored once. Rounded to 5 places, so that the length of its batch does not change a score."""
    from bert_score.utils import bert_cos_score_idf

    if isinstance(preds, str) or isinstance(target, str) or len(preds) != len(target):
        raise UserError(
            f"each answer needs its reference, as lists: got {len(preds)} preds and {len(target)} target."
        )
    pairs = list(zip(map(str.strip, preds), map(str.strip, target), strict=True))
    scores = {pair: torch.zeros(3, dtype=torch.float64) for pair in pairs}
    if written := [pair for pair in scores if all(pair)]:
        model, tokenizer = _load(encoder, str(device))
        weights = defaultdict(lambda: 1.0, {tokenizer.cls_token_id: 0.0, tokenizer.sep_token_id: 0.0})
        hyps, refs = map(list, zip(*written, strict=True))
        found = bert_cos_score_idf(
            model, refs, hyps, tokenizer, weights, batch_size=batch_size, device=device
        )
        scores |= zip(written, found.double().round(decimals=5), strict=True)
    return torch.stack([scores[pair] for pair in pairs]) if pairs else torch.zeros(0, 3, dtype=torch.float64)


@lru_cache(maxsize=1)
def _load(encoder: TextEncoder, device: str) -> tuple[Any, Any]:
    """Model without the layers behind ``num_layers``, and tokenizer."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # a head or pooler that is not read is no news
    model = AutoModel.from_pretrained(encoder.folder, local_files_only=True, add_pooling_layer=False)
    logging.set_verbosity(verbosity)
    layers = model.encoder.layer
    if not 0 < encoder.num_layers <= len(layers):
        raise UserError(
            f"num_layers must be 1 to {len(layers)}, which {encoder.name} has: got {encoder.num_layers}."
        )
    model.encoder.layer = layers[: encoder.num_layers]
    tokenizer = AutoTokenizer.from_pretrained(encoder.folder, local_files_only=True)
    # RoBERTa numbers its positions from behind the padding's; tokenizers saved without a length have 10**30
    positions = model.config.max_position_embeddings
    if model.config.model_type == "roberta":
        positions -= model.config.pad_token_id + 1
    tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    return model.eval().to(device), tokenizer


def _cached(repository: str, name: str) -> str | None:
    """Where the hub's cache of this machine has a file."""
    from transformers.utils.hub import cached_file

    found: str | None = cached_file(
        repository,
        name,
        local_files_only=True,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return found
