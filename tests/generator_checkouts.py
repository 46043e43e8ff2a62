"""Stand-ins for the public checkouts that run in environments of their own: the same names, little inside."""

from pathlib import Path

# Keypoints are corners and middles of the face; the picture follows their mean shift and turn.
LIVEPORTRAIT = {
    "src/config/inference_config.py": """
from dataclasses import dataclass, field
import numpy as np
@dataclass
class InferenceConfig:
    flag_force_cpu: bool = False
    flag_use_half_precision: bool = True
    mask_crop: object = field(default_factory=lambda: np.full((512, 512, 3), 255, np.uint8))
""",
    "src/live_portrait_wrapper.py": """
import numpy as np, torch
import torch.nn.functional as F
print("Load appearance_feature_extractor done.")
class LivePortraitWrapper:
    def __init__(self, inference_cfg):
        assert inference_cfg.flag_force_cpu and not inference_cfg.flag_use_half_precision
        self.kp = torch.randn(1, 21, 3, generator=torch.Generator().manual_seed(0)) / 4
    def prepare_source(self, img):
        assert img.shape == (256, 256, 3) and img.dtype == np.uint8
        return torch.from_numpy(img[None] / 255.0).permute(0, 3, 1, 2).float()
    def extract_feature_3d(self, x): return x
    def get_kp_info(self, x):
        angle = torch.zeros(1, 1)
        return dict(kp=self.kp, exp=torch.zeros(1, 21, 3), scale=torch.ones(1, 1), t=torch.zeros(1, 3),
                    pitch=angle, yaw=angle, roll=angle)
    def transform_keypoint(self, info):
        turn = torch.stack([info["yaw"], info["pitch"], info["roll"]], -1) / 90
        return info["scale"][..., None] * (info["kp"] + info["exp"] + turn)
    def stitching(self, source, driving): return driving
    def warp_decode(self, feature, kp_source, kp_driving):
        shift = (kp_source - kp_driving).mean(1)[0] + 3 * (kp_source - kp_driving)[0, 17]
        place = torch.tensor([[[1, 0, shift[0]], [0, 1, shift[1]]]])
        grid = F.affine_grid(place, [1, 3, 512, 512], align_corners=False)
        return {"out": F.grid_sample(feature, grid, padding_mode="border", align_corners=False)}
    def parse_output(self, out): return (out.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
""",
    "src/utils/crop.py": """
import cv2, numpy as np
def prepare_paste_back(mask_crop, crop_M_c2o, dsize):
    return cv2.warpAffine(mask_crop, crop_M_c2o[:2], dsize).astype(np.float32) / 255
def paste_back(img_crop, M_c2o, img_ori, mask_ori):
    there = cv2.warpAffine(img_crop, M_c2o[:2], (img_ori.shape[1], img_ori.shape[0]))
    return (mask_ori * there + (1 - mask_ori) * img_ori).round().astype(np.uint8)
""",
    "src/utils/cropper.py": "raise ImportError('insightface must not be loaded')",
    "pretrained_weights/liveportrait/base_models/spade_generator.pth": "weights",
}
# The picture is the photo in colours that prompt, face and noise have chosen.
PHOTOMAKER = {
    "photomaker/__init__.py": """
import zlib
import numpy as np, torch
from diffusers import EulerDiscreteScheduler
from PIL import Image
print("PhotoMaker prints this")
class Output:
    def __init__(self, images): self.images = images
class PhotoMakerStableDiffusionXLPipeline:
    @classmethod
    def from_pretrained(cls, base, torch_dtype):
        assert torch_dtype == torch.float32
        pipe = cls()
        pipe.scheduler = EulerDiscreteScheduler()
        return pipe
    def to(self, device): return self
    def load_photomaker_adapter(self, weights, weight_name, subfolder, trigger_word):
        assert list(weights) == ["id_encoder", "lora_weights"], list(weights)
        self.gain, self.trigger = float(weights["id_encoder"]["gain"]), trigger_word
    def fuse_lora(self): self.fused = True
    def __call__(self, prompt, negative_prompt, input_id_images, id_embeds, num_images_per_prompt,
                 num_inference_steps, start_merge_step, guidance_scale, width, height, generator):
        assert f" {self.trigger}" in prompt and self.fused
        assert len(id_embeds) == len(input_id_images)
        face = id_embeds.float().mean(0) * self.gain if num_inference_steps > start_merge_step + 1 else 0
        words = zlib.crc32(prompt.encode()) / 2**32
        shifts = 0.5 + 0.5 * torch.sin(face[:3] + 6 * words + torch.randn(3, generator=generator))
        picture = np.asarray(input_id_images[0].resize((width, height))) * shifts.numpy()
        return Output([Image.fromarray(picture.astype(np.uint8))])
class FaceAnalysis2:
    def __init__(self, root, providers, allowed_modules): assert providers == ["CPUExecutionProvider"]
    def prepare(self, ctx_id, det_size): pass
def analyze_faces(detector, bgr):
    if bgr[..., 0].min() > 200:  # stands for a face that insightface does not find
        return []
    embedding = bgr.reshape(-1, 3).mean(0).astype(np.float32) / 20
    return [{"bbox": np.array([0, 0, 9, 9]), "embedding": embedding}]
""",
}


def make_checkout(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder
