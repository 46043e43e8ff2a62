"""Puts each named package to a little work in this one process; prints {name: error or ""} as JSON.

Run by test_install.py in a folder of its own. No network but a server of its own, no pretrained weights.
"""

import json
import sys
import threading
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch

CHECKS: dict[str, Callable[[], None]] = {}


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS[function.__name__.removesuffix("_works")] = function
    return function


def clip() -> Path:
    """A video of 10 frames, frame k of brightness 20 k."""
    import av

    path = Path("clip.mp4")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for k in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * k, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def tiny_llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    return LlamaForCausalLM(config)


@check
def torchvision_works() -> None:
    import torchvision

    boxes = torch.tensor([[0, 0, 10, 10], [0, 0, 10, 11], [20, 20, 30, 30.0]])
    assert torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]


@check
def transformers_works() -> None:
    out = tiny_llama().generate(torch.tensor([[1, 2]]), max_new_tokens=2, do_sample=False, pad_token_id=0)
    assert out.shape[1] in (3, 4)  # it may stop early


@check
def peft_works() -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(tiny_llama(), LoraConfig(r=2, target_modules=["q_proj"]))
    model(input_ids=torch.tensor([[1, 2]]), labels=torch.tensor([[1, 2]])).loss.backward()
    trained = [n for n, p in model.named_parameters() if p.grad is not None]
    assert trained, "no parameter has a gradient"
    assert all("lora_" in name for name in trained)


@check
def diffusers_works() -> None:
    from diffusers import DDIMScheduler, UNet2DModel

    unet = UNet2DModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        block_out_channels=(32,),
        layers_per_block=1,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    scheduler = DDIMScheduler()
    scheduler.set_timesteps(2)
    sample = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        for step in scheduler.timesteps:
            sample = scheduler.step(unet(sample, step).sample, step, sample).prev_sample
    assert sample.isfinite().all()


@check
def facenet_pytorch_works() -> None:
    import skimage.data
    from facenet_pytorch import MTCNN

    boxes, probabilities = MTCNN(keep_all=True).detect(skimage.data.astronaut())
    assert len(boxes) == 1
    assert probabilities[0] > 0.99
    left, top, right, bottom = boxes[0]
    assert left < 225 < right  # her nose
    assert top < 120 < bottom


@check
def dlib_works() -> None:
    import dlib
    import skimage.data

    assert len(dlib.get_frontal_face_detector()(skimage.data.astronaut())) == 1


@check
def torchmetrics_works() -> None:
    from torchmetrics import Accuracy

    assert Accuracy(task="binary")(torch.tensor([0.9, 0.1]), torch.tensor([1, 1])) == 0.5


@check
def bert_score_works() -> None:
    from bert_score import BERTScorer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    Path("vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "yes", "no"]))
    BertTokenizerFast(vocab="vocab.txt", model_max_length=16).save_pretrained("bert")
    config = BertConfig(
        vocab_size=7, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained("bert")
    _, _, score = BERTScorer(model_type="bert", num_layers=1).score(["yes", "no"], ["yes", "yes"])
    assert score[0] > 0.99 > score[1]


@check
def sacrebleu_works() -> None:
    import sacrebleu

    assert round(sacrebleu.corpus_bleu(["a man in a red hat"], [["a man in a red hat"]]).score) == 100


@check
def lightning_works() -> None:
    import lightning
    from lightning.pytorch.demos.boring_classes import BoringModel

    trainer = lightning.Trainer(
        fast_dev_run=2, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False
    )
    trainer.fit(BoringModel())
    assert trainer.global_step == 2


@check
def wandb_works() -> None:
    import wandb

    with wandb.init(mode="offline", dir=".", project="install") as run:
        run.log({"loss": 1.0})
    assert list(Path("wandb").glob("offline-run-*/*.wandb"))


@check
def av_works() -> None:
    import av

    with av.open(str(clip())) as container:
        means = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert np.allclose(means, 20 * np.arange(10), atol=4)


@check
def decord_works() -> None:
    import decord

    frames = decord.VideoReader(str(clip())).get_batch([0, 5, 9]).asnumpy()
    assert np.allclose(frames.mean((1, 2, 3)), [0, 100, 180], atol=4)


@check
def open_clip_works() -> None:
    import open_clip

    model = open_clip.CLIP(
        embed_dim=8,
        vision_cfg={"image_size": 16, "patch_size": 8, "width": 64, "head_width": 16, "layers": 1},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    )
    text = open_clip.tokenize(["a photo of a man"])
    with torch.no_grad():
        assert model.encode_image(torch.rand(1, 3, 16, 16)).shape == model.encode_text(text).shape == (1, 8)


@check
def openai_works() -> None:
    import openai

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            message = {"role": "assistant", "content": "yes"}
            body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
            choices = [{"index": 0, "finish_reason": "stop", "message": message}]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps({**body, "choices": choices}).encode())

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}", timeout=10)
        answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "?"}])
    assert answer.choices[0].message.content == "yes"


@check
def omegaconf_works() -> None:
    from omegaconf import OmegaConf

    assert OmegaConf.create({"a": 1, "b": "${a}"}).b == 1


def main(names: list[str]) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    errors = {}
    for name in names:
        try:
            CHECKS[name]()
            errors[name] = ""
        except Exception:
            errors[name] = traceback.format_exc()
    print(json.dumps(errors))


if __name__ == "__main__":
    main(sys.argv[1:])
