"""LivePortrait in its own environment, over the classes of its checkout (KwaiVGI/LivePortrait, MIT).

Its cropper, which loads insightface, is left out: the place of the face comes with the question."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Handle = Callable[["dict[str, Any]", "list[Array]"], "tuple[dict[str, Any], list[Array]]"]

NUM_KEYPOINTS, CROP_PX = 21, 512
X, Y, Z = 0, 1, 2
# (keypoint, axis, shift) at full weight: the directions and spans of the sliders of LivePortrait's own app.
EXPRESSIONS: dict[str, list[tuple[int, int, float]]] = {
    "smile": [
        *[(20, Y, -0.01), (14, Y, -0.02), (17, Y, 0.0065), (17, Z, 0.003)],
        *[(13, Y, -0.00275), (16, Y, -0.00275), (3, Y, -0.0035), (7, Y, -0.0035)],
    ],
    "anger": [(1, X, 0.025), (2, X, -0.025), (1, Y, -0.0075), (2, Y, 0.0075)],
    "brows": [(1, Y, 0.025), (2, Y, -0.025)],
    "jaw": [(19, Y, 0.09), (19, Z, 0.009), (17, Y, -0.009)],
    "blink": [(11, Y, 0.039), (13, Y, -0.0117), (15, Y, 0.039), (16, Y, -0.0117)],
}


def expression(curves: dict[str, Array], frame: int) -> npt.NDArray[np.float32]:
    """Shifts (1, 21, 3) of the keypoints that the weights of ``curves`` command."""
    shifts = np.zeros((1, NUM_KEYPOINTS, 3), np.float32)
    for name, parts in EXPRESSIONS.items():
        for keypoint, axis, shift in parts:
            shifts[0, keypoint, axis] += shift * curves[name][frame]
    return shifts


def load(settings: dict[str, Any]) -> Handle:
    """``settings``: ``folder`` of the checkout with its weights, ``device`` (cuda or cpu), ``half``."""
    sys.path.insert(0, settings["folder"])
    cv2, torch = import_module("cv2"), import_module("torch")
    config = import_module("src.config.inference_config").InferenceConfig(
        flag_force_cpu=settings["device"] == "cpu", flag_use_half_precision=settings["half"]
    )
    model = import_module("src.live_portrait_wrapper").LivePortraitWrapper(inference_cfg=config)
    pasting = import_module("src.utils.crop")
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True

    def handle(header: dict[str, Any], arrays: list[Array]) -> tuple[dict[str, Any], list[Array]]:
        """``photo`` (H, W, 3), ``to_photo`` (3, 3) from pixels of the crop, ``values`` (T, channels)."""
        photo, to_photo, values = arrays
        curves = dict(zip(header["channels"], values.T))  # noqa: B905 - older Pythons, too
        crop = cv2.warpAffine(photo, np.linalg.inv(to_photo)[:2], (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR)
        source = model.prepare_source(cv2.resize(crop, (256, 256), interpolation=cv2.INTER_AREA))
        features, rest = model.extract_feature_3d(source), model.get_kp_info(source)
        still = model.transform_keypoint(rest)
        mask = pasting.prepare_paste_back(config.mask_crop, to_photo, dsize=(photo.shape[1], photo.shape[0]))
        frames = np.empty((len(values), *photo.shape), np.uint8)
        for t, frame in enumerate(frames):
            moved = {**rest, "exp": rest["exp"] + torch.from_numpy(expression(curves, t)).to(rest["exp"])}
            for angle in ("pitch", "yaw", "roll"):
                moved[angle] = rest[angle] + float(curves[angle][t])
            keypoints = model.stitching(still, model.transform_keypoint(moved))
            made = model.parse_output(model.warp_decode(features, still, keypoints)["out"])[0]
            frame[:] = pasting.paste_back(made, to_photo, photo, mask)
        return {}, [frames]

    return handle
