"""Clips and photos on disk: same frames, same bytes; a file is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

FPS = 8
# without look-ahead: x264's macroblock tree reads stale memory, so that its bytes change from run to run
_X264 = {"crf": "16", "preset": "veryfast", "tune": "zerolatency"}


def write_video(path: str | Path, frames: npt.NDArray[np.uint8], *, fps: int = FPS) -> None:
    """Write ``frames`` (T, H, W, 3) uint8, H and W even, as mp4: H.264, or MPEG-4 where x264 is missing."""
    with whole(Path(path)) as temporary:
        options = {"fflags": "+bitexact", "movflags": "+faststart"}
        with av.open(str(temporary), "w", format="mp4", options=options) as container:
            if "libx264" in av.codecs_available:
                stream = container.add_stream("libx264", rate=fps, options=_X264)
            else:
                stream = container.add_stream("mpeg4", rate=fps, options={"qscale": "2"})
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            stream.codec_context.thread_count = 1  # slices depend on the number of threads
            stream.codec_context.flags |= av.codec.context.Flags.bitexact
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())


def write_photo(path: str | Path, frame: npt.NDArray[np.uint8]) -> None:
    """Write one frame (H, W, 3) uint8 as png."""
    with whole(Path(path)) as temporary:
        Image.fromarray(frame).save(temporary, format="png")


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A temporary file to write, which becomes ``path`` at the end or goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
