"""Captioners: frames on the wire, and a small random Qwen3-VL in the real format, loaded by the real code."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from openai_server import Reply, Server, in_turn
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from pvchat.endpoint import Endpoint
from pvchat.errors import UserError
from pvchat.synthesis.captioning import EndpointCaptioner, LocalCaptioner
from pvchat.synthesis.roles import Frames

SPECIAL = [
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for part in m.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def ramp(count: int, *, light: int = 200) -> Frames:
    """``count`` frames (64, 96); frame i has red i * 10."""
    frames = np.full((count, 64, 96, 3), light, np.uint8)
    frames[..., 0] = (np.arange(count, dtype=np.uint8) * 10)[:, None, None]
    return frames


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qwen3-vl")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: i for i, word in enumerate([*alphabet, *SPECIAL])}
    backend = Tokenizer(models.BPE(vocab={w: i for w, i in words.items() if w in alphabet}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(SPECIAL)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    pictures = Qwen2VLImageProcessor(
        patch_size=8, merge_size=2, size={"shortest_edge": 1024, "longest_edge": 16384}
    )
    videos = Qwen3VLVideoProcessor(patch_size=8, merge_size=2)
    Qwen3VLProcessor(pictures, tokenizer, videos, chat_template=TEMPLATE).save_pretrained(folder)
    torch.manual_seed(3)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "initializer_range": 0.4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 4,
            "patch_size": 8,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 32,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": 0.4,
        },
        **{f"{name}_token_id": words[f"<|{name}{'_pad' * (name in ('image', 'video'))}|>"]
           for name in ("image", "video", "vision_start", "vision_end")},
        tie_word_embeddings=False,
    )  # fmt: skip
    model = Qwen3VLForConditionalGeneration(config).eval()
    model.generation_config.eos_token_id = model.generation_config.pad_token_id = words["<|im_end|>"]
    model.save_pretrained(folder)
    return folder


def greedy(folder: Path, pictures: list[Image.Image], text: str, steps: int) -> str:
    """What the model says, by forward passes without cache or generate."""
    model = Qwen3VLForConditionalGeneration.from_pretrained(folder).eval()
    processor = Qwen3VLProcessor.from_pretrained(folder)
    visible = "<|vision_start|><|image_pad|><|vision_end|>" * len(pictures)
    prompt = f"<|im_start|>user\n{visible}{text}<|im_end|>\n<|im_start|>assistant\n"
    inputs = processor(text=[prompt], images=pictures, return_tensors="pt")
    start = inputs["input_ids"].shape[1]
    for _ in range(steps):
        with torch.no_grad():
            best = model(**inputs, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
        if best.item() == model.generation_config.eos_token_id:
            break
        inputs["input_ids"] = torch.cat([inputs["input_ids"], best], 1)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        inputs["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(best)], 1)
    return str(processor.decode(inputs["input_ids"][0, start:], skip_special_tokens=True)).strip()


def test_a_local_model_sees_the_frames_and_the_question(qwen: Path) -> None:
    captioner = LocalCaptioner(source=str(qwen), num_frames=2, max_new_tokens=8, device="cpu")
    answers = {}
    for light in (200, 20):
        frames = ramp(8, light=light)
        from_prompt = captioner.caption(frames, "Where is it?")
        prompt = (
            "The pictures are frames of one video clip, in order. Answer the question about the clip in one "
            "to three plain sentences, and say only what can be seen.\nWhere is it?"
        )
        pictures = [Image.fromarray(frames[i]) for i in (1, 5)]  # the middles of two halves
        answers[light] = greedy(qwen, pictures, prompt, 8)
        assert from_prompt == answers[light] != ""
    assert answers[200] != answers[20]


def test_an_adapter_is_known_by_its_weights(qwen: Path, tmp_path: Path) -> None:
    adapter = LocalCaptioner(source=str(qwen), device="cpu", licence="Apache-2.0", commercial=True).adapter
    assert (adapter.version, adapter.licence, adapter.commercial) == ("qwen3_vl", "Apache-2.0", True)
    again = LocalCaptioner(source=str(qwen), device="cpu")
    assert again.adapter.fingerprint == adapter.fingerprint
    model = Qwen3VLForConditionalGeneration.from_pretrained(qwen)
    with torch.no_grad():
        model.lm_head.weight[0, 0] += 1
    model.save_pretrained(tmp_path)
    assert LocalCaptioner(source=str(tmp_path), device="cpu").adapter.fingerprint != adapter.fingerprint


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"takes pictures, with its processor: .* cannot be loaded"):
        LocalCaptioner(source=str(tmp_path)).caption(ramp(2), "?")


def test_an_endpoint_sees_frames_evenly_spread(tmp_path: Path) -> None:
    with Server(in_turn("A red wall.")).running() as server:
        endpoint = Endpoint(model="m", base_url=server.url, api_key="k", cache_dir=tmp_path)
        captioner = EndpointCaptioner(endpoint=endpoint, num_frames=4, max_px=48)
        assert captioner.caption(ramp(20), "What is it?") == "A red wall."
        assert captioner.caption(ramp(20), "What is it?") == "A red wall."
        assert captioner.caption(ramp(20), "Where is it?") == "A red wall."
        assert len(server.requests) == 2
        assert captioner.caption(ramp(2), "What is it?") == "A red wall."
    *images, text = server.requests[0]["messages"][-1]["content"]
    assert text["text"] == "What is it?"
    urls = [image["image_url"]["url"].split(",")[1] for image in images]
    pictures = [np.asarray(Image.open(io.BytesIO(base64.b64decode(url)))) for url in urls]
    assert {picture.shape for picture in pictures} == {(32, 48, 3)}
    assert [round(float(p[..., 0].mean()) / 10) for p in pictures] == [2, 7, 12, 16]
    assert len(server.requests[2]["messages"][-1]["content"]) == 3  # a short clip shows what it has


def test_settings_change_the_fingerprint(tmp_path: Path) -> None:
    endpoint = Endpoint(model="m", base_url="http://127.0.0.1:9/v1", api_key="k", cache_dir=tmp_path)
    prints = {
        EndpointCaptioner(endpoint=endpoint, num_frames=n, max_px=p).adapter.fingerprint
        for n in (4, 8)
        for p in (256, 512)
    }
    assert len(prints) == 4


def test_failures_are_raised(tmp_path: Path) -> None:
    with Server(in_turn(Reply("blind", status=400))).running() as server:
        endpoint = Endpoint(model="m", base_url=server.url, api_key="k", cache_dir=tmp_path)
        with pytest.raises(UserError, match=r"400 for m: .*blind"):
            EndpointCaptioner(endpoint=endpoint).caption(ramp(2), "?")
