"""Generators with small random weights in their real formats, which the real code loads."""

from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from tokenizers import pre_tokenizers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from pvchat.faces import FaceAnalyzer

Frame = npt.NDArray[np.uint8]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]


@pytest.fixture(scope="session")
def faces() -> FaceAnalyzer:
    return FaceAnalyzer()


@pytest.fixture(scope="session")
def hopper() -> Frame:
    return np.asarray(Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"))


def enliven(module: torch.nn.Module, scale: float) -> None:
    """Random weights as they are initialised hardly let anything through; these do."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim > 1 and "norm" not in name:
                parameter.mul_(scale)


@pytest.fixture(scope="session")
def consisid_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ConsisID a million times smaller. Unlike diffusers' own test configuration its face extractor is wide
    enough to tell faces apart."""
    from diffusers import AutoencoderKLCogVideoX, CogVideoXDDIMScheduler, ConsisIDPipeline
    from diffusers import ConsisIDTransformer3DModel as Transformer

    torch.manual_seed(0)
    heads, width = 2, 16
    transformer = Transformer(
        num_attention_heads=heads,
        attention_head_dim=width,
        in_channels=8,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=32,
        num_layers=2,
        sample_width=2,
        sample_height=2,
        sample_frames=49,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=24,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=True,
        cross_attn_interval=1,
        cross_attn_dim_head=8,
        cross_attn_num_heads=2,
        LFE_id_dim=8,
        LFE_vit_dim=16,
        LFE_depth=5,
        LFE_dim_head=8,
        LFE_num_heads=2,
        LFE_num_id_token=2,
        LFE_num_querie=4,
        LFE_output_dim=int(heads * width * 2 / 3),
        LFE_ff_mult=1,
        LFE_num_scale=5,
        is_train_face=True,
    )
    enliven(transformer, 4)
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
    )
    letters = [chr(n) for n in range(32, 127)]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((c, -3.0) for c in letters)]
    text = T5Config(vocab_size=200, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4)
    folder = tmp_path_factory.mktemp("consisid")
    ConsisIDPipeline(
        T5Tokenizer(vocab=pieces, extra_ids=0),
        T5EncoderModel(text),
        vae,
        transformer,
        CogVideoXDDIMScheduler(),
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def qwen_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Qwen-Image-Edit, a million times smaller."""
    from diffusers import (
        AutoencoderKLQwenImage,
        FlowMatchEulerDiscreteScheduler,
        QwenImageEditPlusPipeline,
        QwenImageTransformer2DModel,
    )

    torch.manual_seed(0)
    words = {word: i for i, word in enumerate([*ALPHABET, *SPECIAL])}
    tokenizer = Qwen2Tokenizer(
        vocab={w: i for w, i in words.items() if w in ALPHABET},
        merges=[],
        unk_token=None,
        pad_token="<|im_end|>",
        eos_token="<|im_end|>",
        additional_special_tokens=SPECIAL,
    )
    pictures = Qwen2VLImageProcessor(
        patch_size=8, merge_size=2, size={"shortest_edge": 256, "longest_edge": 4096}
    )
    processor = Qwen2VLProcessor(pictures, tokenizer, Qwen2VLVideoProcessor(patch_size=8, merge_size=2))
    ids = {
        name: tokenizer.convert_tokens_to_ids(f"<|{name}|>")
        for name in ("image_pad", "vision_start", "vision_end", "video_pad")
    }
    transformer = QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=3,
        joint_attention_dim=16,
        axes_dims_rope=(8, 4, 4),
    )
    enliven(transformer, 3)
    vae = AutoencoderKLQwenImage(
        base_dim=24,
        z_dim=4,
        dim_mult=[1, 2, 4],
        num_res_blocks=1,
        temperal_downsample=[False, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )
    enliven(vae.decoder, 2)
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "initializer_range": 0.4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "fullatt_block_indexes": [0],
            "window_size": 32,
        },
        image_token_id=ids["image_pad"],
        video_token_id=ids["video_pad"],
        vision_start_token_id=ids["vision_start"],
        vision_end_token_id=ids["vision_end"],
    )
    folder = tmp_path_factory.mktemp("qwen")
    QwenImageEditPlusPipeline(
        FlowMatchEulerDiscreteScheduler(),
        vae,
        Qwen2_5_VLForConditionalGeneration(config),
        tokenizer,
        processor,
        transformer,
    ).save_pretrained(folder)
    return folder
