"""A tiny random RoBERTa in the format of the published one."""

from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import RobertaConfig, RobertaModel, RobertaTokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def make_roberta(folder: Path, *, max_length: int | None = 30) -> Path:
    """Three layers, 30 tokens; written to ``folder``. ``max_length``: as the tokenizer states it."""
    bpe = ByteLevelBPETokenizer()
    text = "Yes, Tom is here. No, Ann is not. She wears a red coat at the table in the house."
    bpe.train_from_iterator([text] * 8, vocab_size=400, special_tokens=SPECIAL)
    bpe.save_model(str(folder))
    tokenizer = RobertaTokenizer.from_pretrained(
        folder, **({"model_max_length": max_length} if max_length else {})
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        type_vocab_size=1,
        initializer_range=0.5,
    )
    RobertaModel(config).save_pretrained(folder)
    return folder
