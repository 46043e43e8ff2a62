"""InternVideo2-Chat-8B-HD, published and imported, a hundred thousand times smaller, with a tokenizer."""

import json
from pathlib import Path

import torch
from golden.noise import fill
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from pvchat.modules.published.checkpoint_folders import PublishedCheckpoint
from pvchat.modules.published.exchange import convert
from pvchat.modules.published.key_table import PublishedSizes, key_table
from pvchat.modules.published.shards import INDEX

SIZES = PublishedSizes(
    encoder_width=16,
    encoder_blocks=3,
    encoder_heads=2,
    encoder_mlp=24,
    image_px=28,
    num_frames=4,
    qformer_width=24,
    qformer_layers=4,
    qformer_heads=12,
    qformer_mlp=32,
    num_query_tokens=3,
    num_extra_query_tokens=2,
    text_vocabulary=11,
    text_positions=7,
    lm_width=32,
    lm_layers=2,
    lm_heads=4,
    lm_kv_heads=2,
    lm_mlp=48,
    lm_vocabulary=264,
    lora_rank=2,
)
NUM_SHARDS = 4  # as published
_SPECIAL = ("<unk>", "<s>", "</s>", "[INST]", "[/INST]")  # first as in Mistral-7B-Instruct-v0.3


def make_checkpoint(folder: Path) -> Path:
    """A folder as ``import-checkpoint`` writes it, below ``folder``; ``published`` is beside it."""
    published = folder / "published"
    published.mkdir(parents=True)
    table, places = key_table(SIZES), dict[str, str]()
    for number in range(NUM_SHARDS):
        shard = f"model-{number + 1:05}-of-{NUM_SHARDS:05}.safetensors"
        tensors = {
            key.published: torch.arange(key.shape[1])[None]
            if key.is_positions
            else fill(key.published, torch.empty(key.shape)).bfloat16()
            for key in table[number::NUM_SHARDS]
        }
        save_file(tensors, published / shard, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, shard)
    index = {"metadata": {"total_size": sum(key.num_bytes for key in table)}, "weight_map": places}
    (published / INDEX).write_text(json.dumps(index))
    _save_tokenizer(published)
    convert(PublishedCheckpoint(published, sizes=SIZES), folder / "imported")
    return folder / "imported"


def _save_tokenizer(folder: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({piece: i for i, piece in enumerate((*_SPECIAL, *alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(_SPECIAL))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>").save_pretrained(
        folder
    )
