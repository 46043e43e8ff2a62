"""PhotoMaker V2 in its own environment, over the package of its checkout (TencentARC/PhotoMaker)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Handle = Callable[["dict[str, Any]", "list[Array]"], "tuple[dict[str, Any], list[Array]]"]


def load(settings: dict[str, Any]) -> Handle:
    """``settings``: ``folder`` of the checkout, ``base`` (SDXL) and ``weights`` (a file), ``faces`` (root of
    insightface's models), ``device``, ``offload``, and those of sampling."""
    sys.path.insert(0, settings["folder"])
    torch, diffusers = import_module("torch"), import_module("diffusers")
    photomaker, image = import_module("photomaker"), import_module("PIL.Image")
    cuda = settings["device"] != "cpu"
    pipe = photomaker.PhotoMakerStableDiffusionXLPipeline.from_pretrained(
        settings["base"], torch_dtype=torch.bfloat16 if cuda else torch.float32
    ).to("cpu" if settings["offload"] else settings["device"])
    weights = settings["weights"]
    if not weights.endswith(".safetensors"):  # a pickle: only tensors are taken from it
        weights = torch.load(weights, map_location="cpu", weights_only=True)
    else:
        weights = os.path.dirname(weights)
    name = os.path.basename(settings["weights"])
    pipe.load_photomaker_adapter(weights, weight_name=name, subfolder="", trigger_word=settings["trigger"])
    pipe.fuse_lora()
    pipe.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    if settings["offload"]:
        pipe.enable_model_cpu_offload()
    detector = photomaker.FaceAnalysis2(
        root=settings["faces"],
        providers=["CUDAExecutionProvider" if cuda else "CPUExecutionProvider"],
        allowed_modules=["detection", "recognition"],
    )
    detector.prepare(ctx_id=0 if cuda else -1, det_size=(640, 640))

    def handle(header: dict[str, Any], arrays: list[Array]) -> tuple[dict[str, Any], list[Array]]:
        """One picture of the person of ``arrays``, photos (H, W, 3) RGB."""
        shown, embeddings = [], []
        for photo in arrays:
            found = photomaker.analyze_faces(detector, np.ascontiguousarray(photo[..., ::-1]))  # BGR
            if found:
                largest = max(found, key=lambda f: f["bbox"][3] - f["bbox"][1])
                shown.append(image.fromarray(photo))
                embeddings.append(torch.from_numpy(largest["embedding"]))
        if not shown:
            raise ValueError("none of the photos shows a face that insightface finds.")
        picture = pipe(
            prompt=header["prompt"],
            negative_prompt=settings["negative_prompt"],
            input_id_images=shown,
            id_embeds=torch.stack(embeddings),
            num_images_per_prompt=1,
            num_inference_steps=settings["num_steps"],
            start_merge_step=settings["start_merge_step"],
            guidance_scale=settings["guidance"],
            width=settings["width_px"],
            height=settings["height_px"],
            generator=torch.Generator("cpu").manual_seed(header["seed"]),
        ).images[0]
        return {}, [np.asarray(picture.convert("RGB"))[None]]

    return handle
