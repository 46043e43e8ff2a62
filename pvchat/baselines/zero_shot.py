"""A vision-language model of transformers as it is: Qwen3-VL, InternVL, others with a chat template."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from pvchat.baselines.baseline import Baseline
from pvchat.baselines.frame_views import images_of
from pvchat.baselines.reference_clips import references_of
from pvchat.baselines.worded_prompts import plain
from pvchat.batch import Batch, Example, TrainingClip
from pvchat.errors import UserError
from pvchat.modules.video_chat import Control

SENTENCE = "Answer in one short sentence."
OPENED = "Start with Yes or No."


class ZeroShot(Baseline):
    """Shows the reference and the clip as frames in the model's own chat template, and asks by name.

    ``source`` is a folder or hub id with weights and processor; it is loaded when first needed, on the device
    of the clips. ``num_reference_frames`` of each person come first, spread over their first reference clip.
    Existence questions are told to start with Yes or No, all to take one short sentence. Greedy, question by
    question. Needs ``FrameViews``. Raises UserError."""

    def __init__(
        self,
        *,
        source: str,
        num_reference_frames: int = 4,
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
    ) -> None:
        if num_reference_frames < 1:
            raise UserError(f"num_reference_frames must be >= 1: got {num_reference_frames}.")
        self.source, self.num_reference_frames = source, num_reference_frames
        self.dtype = dtype if dtype == "auto" else getattr(torch, dtype)
        self.shown: dict[str, list[Image.Image]] = {}
        self._loaded: tuple[Any, Any] | None = None

    def study(self, clips: Iterable[TrainingClip]) -> None:
        seen = list(clips)
        for name in seen[0].presence:
            features = references_of(seen, name)[0].features
            if "frames" not in features:
                raise UserError(
                    f"a model with eyes of its own is shown frames: got {sorted(features)}. Set "
                    "model.chat.init_args.views to pvchat.baselines.FrameViews."
                )
            images = images_of(features["frames"])
            count = min(self.num_reference_frames, len(images))
            self.shown[name] = [images[i * len(images) // count] for i in range(count)]

    @torch.no_grad()
    def presence_scores(self, batch: Batch, *, control: Control = "main") -> Tensor:
        """Logit of "Yes" minus logit of "No" (B,) as first word of the answer."""
        processor, model = self._ready(batch)
        yes, no = (processor.tokenizer.encode(w, add_special_tokens=False)[0] for w in ("Yes", "No"))
        scores = []
        for inputs in self._inputs(batch, control):
            logits = model(**inputs, logits_to_keep=1).logits[0, -1].float()
            scores.append(logits[yes] - logits[no])
        return torch.stack(scores)

    @torch.no_grad()
    def answer(self, batch: Batch, *, control: Control = "main", max_new_tokens: int = 32) -> list[str]:
        processor, model = self._ready(batch)
        answers = []
        for inputs in self._inputs(batch, control):
            ids = model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=max_new_tokens)
            written = ids[0, inputs["input_ids"].shape[1] :]
            answers.append(processor.tokenizer.decode(written, skip_special_tokens=True).strip())
        return answers

    def conversation(
        self, example: Example, clip: list[Image.Image]
    ) -> tuple[list[dict[str, Any]], list[Image.Image]]:
        """Messages for a chat template and the images in it; no clip, no image at all."""
        content: list[dict[str, str]] = []
        images: list[Image.Image] = []
        for name, frames in self.shown.items() if clip else ():
            content += [{"type": "text", "text": f"This is {name}:"}, *[{"type": "image"}] * len(frames)]
            images += frames
        if clip:
            content += [{"type": "text", "text": "This is another video:"}, *[{"type": "image"}] * len(clip)]
            images += clip
        told = f"{OPENED} {SENTENCE}" if example.type == "existence" else SENTENCE
        content.append({"type": "text", "text": f"{plain(example.question)} {told}"})
        return [{"role": "user", "content": content}], images

    def _inputs(self, batch: Batch, control: Control) -> Iterable[Any]:
        processor, model = self._ready(batch)
        for i, example in enumerate(batch.examples):
            clip = [] if control == "text_only" else images_of(batch.views["frames"][i])
            messages, images = self.conversation(example, clip)
            text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            inputs = processor(text=[text], images=images or None, return_tensors="pt")
            yield inputs.to(model.device, model.dtype)

    def _ready(self, batch: Batch) -> tuple[Any, Any]:
        """Processor and model, on the device of ``batch``."""
        if self._loaded is None:
            from transformers import AutoModelForImageTextToText, AutoProcessor

            try:
                processor = AutoProcessor.from_pretrained(self.source)  # type: ignore[no-untyped-call]
                model: Any = AutoModelForImageTextToText.from_pretrained(self.source, dtype=self.dtype)
            except (OSError, ValueError) as error:
                raise UserError(
                    f"cannot load the vision-language model {self.source!r}: {str(error).splitlines()[0]} "
                    "Give a folder or hub id with config, safetensors and processor."
                ) from error
            self._loaded = processor, model.eval().to(batch.person_mask.device)
        return self._loaded
