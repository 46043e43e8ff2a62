"""Vision-language models with small random weights, saved in the formats of Qwen3-VL and InternVL."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import LAPTOP, PEOPLE, ROOT, TINY, make_batch, make_chat
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    GotOcr2ImageProcessor,
    InternVLConfig,
    InternVLForConditionalGeneration,
    InternVLProcessor,
    InternVLVideoProcessor,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)
from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

from pvchat import cli, lightning_cli
from pvchat.baselines import FrameViews, ZeroShot
from pvchat.batch import Batch, Clip, TrainingClip
from pvchat.errors import UserError
from pvchat.runs import METRICS

PX = 64
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = {
    "hidden_size": 40,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 20,
    "initializer_range": 0.2,
}


def tokenizer(special: dict[str, str]) -> PreTrainedTokenizerFast:
    """Bytes, and the tokens that frame turns and images."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(["<|im_start|>", "<|im_end|>", *special.values()])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|im_end|>", extra_special_tokens=special
    )


def save_qwen(folder: Path) -> None:
    special = {
        "image_token": "<|image_pad|>",
        "video_token": "<|video_pad|>",
        "vision_bos_token": "<|vision_start|>",
        "vision_eos_token": "<|vision_end|>",
    }
    words = tokenizer(special)
    ids = {f"{k}_id": words.convert_tokens_to_ids(special[f"{k}"]) for k in ("image_token", "video_token")}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 8,
        "out_hidden_size": 40,
        "num_position_embeddings": 36,
        "deepstack_visual_indexes": [0],
        "initializer_range": 0.2,
    }
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 3, 3]}
    config = Qwen3VLConfig(
        vision_config=vision,
        text_config={**TEXT, "vocab_size": len(words), "rope_parameters": rope},
        vision_start_token_id=words.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|vision_end|>"),
        **ids,
    )
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    size = {"shortest_edge": PX * PX, "longest_edge": PX * PX}
    images = Qwen2VLImageProcessor(patch_size=8, size=size)
    template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    videos = Qwen3VLVideoProcessor(patch_size=8)
    Qwen3VLProcessor(images, words, videos, chat_template=template).save_pretrained(folder)


def save_internvl(folder: Path) -> None:
    special = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    words = tokenizer(special)
    vision = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": [PX, PX],
        "patch_size": [16, 16],
    }
    config = InternVLConfig(
        vision_config=vision,
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(words)},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    InternVLForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": PX, "width": PX}
    template = TEMPLATE.replace("IMAGE", "<IMG_CONTEXT>\n")
    InternVLProcessor(
        GotOcr2ImageProcessor(size=size, crop_to_patches=False),
        words,
        InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=template,
    ).save_pretrained(folder)


@pytest.fixture(scope="module", params=[save_qwen, save_internvl], ids=["qwen3-vl", "internvl"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("vlm")
    torch.manual_seed(0)
    request.param(folder)
    return str(folder)


def frames(*colours: tuple[int, int, int]) -> Any:
    return np.stack([np.full((48, PX, 3), colour, np.uint8) for colour in colours])


def features(*colours: tuple[int, int, int]) -> Any:
    clip = Clip(frames(*colours), np.arange(len(colours)), "")
    return FrameViews(image_px=PX).extract(clip)


def batch_of(*colours: tuple[int, int, int]) -> Batch:
    batch = make_batch(make_chat(), *["Is <tom> here?"] * len(colours))
    views = {"frames": torch.stack([features(c, c)["frames"] for c in colours])}
    return Batch(batch.examples, views, {}, batch.person_mask)


def studied(source: str, colour: tuple[int, int, int] = PEOPLE["tom"], **more: Any) -> ZeroShot:
    asked = ZeroShot(source=source, dtype="float32", **more)
    asked.study([TrainingClip("a", features(colour, colour, colour, colour), [], {"tom": True}, True)])
    return asked


def test_frames_keep_their_shape_inside_a_square() -> None:
    shown = features(PEOPLE["tom"])["frames"].unflatten(1, (PX, PX))[0].numpy()
    assert (shown[8:-8] == PEOPLE["tom"]).all()
    assert not shown[:8].any()
    assert not shown[-8:].any()


def test_score_and_answer_are_those_of_the_models_own_interface(source: str) -> None:
    """Reference first, then the clip, in the chat template, by transformers' one call and by its generate."""
    asked, batch = studied(source, num_reference_frames=2), batch_of(PEOPLE["tom"], PEOPLE["ann"])
    processor = AutoProcessor.from_pretrained(source)
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32).eval()
    yes, no = (processor.tokenizer.encode(word)[0] for word in ("Yes", "No"))
    expected, answers = [], []
    for name in ("tom", "ann"):
        black = [Image.fromarray(np.pad(f, ((8, 8), (0, 0), (0, 0)))) for f in frames(PEOPLE["tom"])]
        clip = [Image.fromarray(np.pad(f, ((8, 8), (0, 0), (0, 0)))) for f in frames(PEOPLE[name])]
        content = [
            {"type": "text", "text": "This is tom:"},
            *[{"type": "image", "image": image} for image in black * 2],
            {"type": "text", "text": "This is another video:"},
            *[{"type": "image", "image": image} for image in clip * 2],
            {"type": "text", "text": "Is tom here? Start with Yes or No. Answer in one short sentence."},
        ]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            logits = model(**inputs).logits[0, -1]
            ids = model.generate(**inputs, max_new_tokens=5, do_sample=False)
        expected.append((logits[yes] - logits[no]).item())
        answers.append(processor.tokenizer.decode(ids[0, inputs["input_ids"].shape[1] :], True).strip())
    torch.testing.assert_close(asked.presence_scores(batch), torch.tensor(expected), atol=1e-4, rtol=0)
    assert asked.answer(batch, max_new_tokens=5) == answers
    assert expected[0] != pytest.approx(expected[1], abs=1e-5)


def test_what_is_shown_matters_and_text_alone_shows_nothing(source: str) -> None:
    batch = batch_of(PEOPLE["tom"], PEOPLE["ann"])
    of_tom, of_ann = studied(source), studied(source, PEOPLE["ann"])
    assert not torch.allclose(of_tom.presence_scores(batch), of_ann.presence_scores(batch), atol=1e-5)
    alone = of_tom.presence_scores(batch, control="text_only")
    assert alone[0] == alone[1]
    assert torch.equal(alone, of_ann.presence_scores(batch, control="text_only"))


def test_what_cannot_be_loaded_or_shown_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot load the vision-language model"):
        studied(str(tmp_path)).presence_scores(batch_of(PEOPLE["tom"]))
    clip = TrainingClip("a", {"global": torch.zeros(1, 1, 1)}, [], {"tom": True}, True)
    with pytest.raises(UserError, match="is shown frames: got"):
        ZeroShot(source="x").study([clip])


def test_it_runs_through_the_command_line(source: str, tiny_corpus: Path, tmp_path: Path) -> None:
    overlay = ROOT / "experiments" / "baselines" / "zero_shot.yaml"
    files = [f"--config={file}" for file in (LAPTOP, TINY, overlay)]
    views = "--model.chat.init_args.views.init_args"
    fitted = lightning_cli.run(
        [
            "fit",
            *files,
            f"--data.source.path={tiny_corpus}",
            f"--data.cache_dir={tiny_corpus.parent / 'cache'}",
            f"--runs={tmp_path}",
            f"--model.baseline.init_args.source={source}",
            f"{views}.image_px={PX}",
            f"{views}.faces=tiny.DrawnFaces",
            "--model.max_new_tokens=2",
            "--model.generate=[main]",
        ]
    )
    assert cli.main(["test", "--run", str(fitted.run_dir)]) == 0
    metrics = (fitted.run_dir / METRICS).read_text()
    for control in ("main", "text_only", "face_blanked"):
        assert f"test/{control}/presence_auc" in metrics
