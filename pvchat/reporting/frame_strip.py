"""Frames of a clip side by side."""

import numpy as np
from PIL import Image, ImageOps

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.video import decode
from pvchat.errors import UserError

FRAMES, FRAME_PX = 4, 160


def frame_strip(record: Record | None) -> Image.Image | None:
    """Of the clip of ``record``; a still picture once. None where it cannot be read."""
    if record is None:
        return None
    try:
        frames = decode(record.path, num_frames=FRAMES, start_s=record.start_s, end_s=record.end_s).frames
    except UserError:
        return None
    count = 1 if (frames == frames[0]).all() else min(FRAMES, len(frames))
    chosen = frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]
    small = [ImageOps.contain(Image.fromarray(f), (FRAME_PX, FRAME_PX)) for f in chosen]
    strip = Image.new("RGB", (sum(s.width for s in small), max(s.height for s in small)), "#888")
    left = 0
    for picture in small:
        strip.paste(picture, (left, 0))
        left += picture.width
    return strip
