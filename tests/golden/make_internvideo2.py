"""Makes ``internvideo2.safetensors``: what the public vision encoder and video loader answer.

    python tests/golden/make_internvideo2.py CHECKOUT CLIP

CHECKOUT is a folder with the code of OpenGVLab/InternVideo2_chat_8B_HD: ``modeling_internvideo2_vit.py`` and
``demo.py``. CLIP is talking/d0.mp4 of $PVCHAT_MEDIA. Needs timm and decord. None of that code is kept here.
"""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from noise import fill, noise
from safetensors.torch import save_file
from torch import Tensor, nn

SMALL = {"embed_dim": 32, "num_heads": 4, "depth": 4, "img_size": 28, "num_frames": 8}
WIDE = {"embed_dim": 1408, "num_heads": 16, "depth": 2, "img_size": 28, "num_frames": 4}


def main(checkout: Path, clip: Path) -> None:
    public = load(checkout / "modeling_internvideo2_vit.py")
    torch.Tensor.cuda = lambda self, *_: self  # type: ignore[method-assign]  # positions are moved in vain
    golden: dict[str, Tensor] = {}
    small, norm = build(public, SMALL)
    golden["small.drop_path"] = torch.tensor(
        [rate(b) for b in build(public, {**SMALL, "depth": 40})[0].blocks]
    )
    with torch.no_grad():
        for frames in (1, 4, 8):
            golden[f"small.{frames}"] = norm(small(video(2, frames), use_image=frames == 1))
        wide, norm = build(public, WIDE)
        golden["wide.4"] = norm(wide(video(1, 4)))
    loader = functions(checkout / "demo.py", "get_index", "HD_transform_no_padding", "load_video")
    golden["views"] = views(loader)
    golden["clip"] = views_of_file(loader, clip)
    golden["indices"] = torch.tensor([loader["get_index"](n, 8).tolist() for n in range(1, 400)]).short()
    save_file(golden, Path(__file__).parent / "internvideo2.safetensors", metadata={"source": "public code"})


def build(public: ModuleType, sizes: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
    """The public encoder (without its last block, as released) and the layer norm behind it."""
    encoder = public.PretrainVisionTransformer_clean(
        **sizes,
        use_flash_attn=False,
        use_fused_rmsnorm=False,
        use_fused_mlp=False,
        layerscale_no_force_fp32=True,
        sep_image_video_pos_embed=True,
        x_vis_return_idx=-2,
        x_vis_only=True,
    ).eval()
    norm = nn.LayerNorm(sizes["embed_dim"], eps=1e-12)
    with torch.no_grad():
        for prefix, module in (("vision_encoder", encoder), ("vision_layernorm", norm)):
            for name, parameter in module.named_parameters():
                parameter.copy_(fill(f"{prefix}.{name}", parameter))
    return encoder, norm


def video(batch: int, frames: int) -> Tensor:
    """Normalised pixels (N, 3, T, 28, 28), as the public encoder wants them."""
    pixels = (noise("video", batch, frames, 3, 28, 28) + 1) / 2
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return ((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1)).transpose(1, 2)


def views(loader: dict[str, Any]) -> Tensor:
    """The public loader's views (3, T, 3, 14, 14) of a clip of 9 frames, 8 of them chosen."""
    clip = ((noise("clip", 9, 20, 34, 3) + 1) * 127.5).round()

    class Reader:
        def __init__(self, *_: object, **__: object) -> None: ...

        def __len__(self) -> int:
            return len(clip)

        def get_batch(self, indices: Any) -> Tensor:
            return clip[torch.as_tensor(indices)]

    loader["VideoReader"] = Reader
    found: Tensor = loader["load_video"]("clip", num_segments=8, resolution=14)
    return found.squeeze(0)


def views_of_file(loader: dict[str, Any], clip: Path) -> Tensor:
    """The same of a real clip, of which every other frame is kept: (3, 4, 3, 14, 14)."""
    import decord

    decord.bridge.set_bridge("torch")
    loader.update(decord=decord, VideoReader=decord.VideoReader, cpu=decord.cpu)
    found: Tensor = loader["load_video"](str(clip), num_segments=8, resolution=14)
    return found.squeeze(0)[:, ::2].contiguous()


def load(path: Path) -> ModuleType:
    sys.modules.setdefault("einops", ModuleType("einops")).__dict__.setdefault("rearrange", None)
    spec = importlib.util.spec_from_file_location("public", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def functions(path: Path, *names: str) -> dict[str, Any]:
    """Some functions of a script that would open a web page when imported."""
    from torchvision import transforms

    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]

    class Decord:
        class bridge:  # noqa: N801
            @staticmethod
            def set_bridge(_: str) -> None: ...

    space: dict[str, Any] = {
        "np": np, "torch": torch, "F": F, "transforms": transforms, "decord": Decord, "cpu": lambda _: None
    }  # fmt: skip
    exec(compile(tree, str(path), "exec"), space)
    return space


def rate(block: Any) -> float:
    return float(getattr(block.drop_path1, "drop_prob", 0.0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
