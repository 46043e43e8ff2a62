"""The authors' JSON with clips in their layouts."""

import json
from pathlib import Path

import av
import numpy as np
import pytest

from pvchat.errors import UserError
from pvchat.synthesis.gallery import CelebVHQGallery

CLIP = {
    "ytb_id": "M2Ohb0FAaJU",
    "duration": {"start_sec": 2.0, "end_sec": 3.0},
    "bbox": {"top": 0.0, "bottom": 0.48, "left": 0.52, "right": 0.98},
    "attributes": {"appearance": [0, 1], "action": [], "emotion": {"sep_flag": False, "labels": "neutral"}},
    "version": "v0.1",
}


def film(path: Path) -> Path:
    """6 s, 160 x 96; the right half turns red after two seconds, and blue after three."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for k in range(60):
            picture = np.full((96, 160, 3), 128, np.uint8)
            picture[:, 80:] = (255, 0, 0) if 20 <= k < 30 else (0, 0, 255)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    clips = {"M2Ohb0FAaJU_1": CLIP, "M2Ohb0FAaJU_2": CLIP, "_0tf2n3rlJU_0": {**CLIP, "ytb_id": "_0tf2n3rlJU"}}
    about = {"appearance_mapping": ["Blurry", "Male"], "action_mapping": []}
    (tmp_path / "celebvhq_info.json").write_text(json.dumps({"meta_info": about, "clips": clips}))
    return tmp_path


def test_whole_videos_are_cut_in_time_and_to_the_box(copy: Path) -> None:
    film(copy / "downloaded_celebvhq" / "raw" / "M2Ohb0FAaJU_1.mp4")
    frames = CelebVHQGallery(copy).read("M2Ohb0FAaJU_1")
    assert frames.shape == (4, 48, 48, 3)  # half of the height, and a square
    np.testing.assert_allclose(frames.reshape(-1, 3).mean(0), [254, 0, 0], atol=3)


def test_processed_clips_are_shown_whole(copy: Path) -> None:
    film(copy / "processed" / "M2Ohb0FAaJU_1.mp4")
    film(copy / "raw" / "M2Ohb0FAaJU_1.mp4")
    assert CelebVHQGallery(copy).read("M2Ohb0FAaJU_1").shape == (4, 96, 160, 3)


def test_clips_of_one_video_are_one_source(copy: Path, caplog: pytest.LogCaptureFixture) -> None:
    film(copy / "raw" / "M2Ohb0FAaJU.mp4")
    gallery = CelebVHQGallery(copy)
    pictures = list(gallery.pictures())
    assert [(p.key, p.source) for p in pictures] == [
        ("M2Ohb0FAaJU_1", "M2Ohb0FAaJU"),
        ("M2Ohb0FAaJU_2", "M2Ohb0FAaJU"),
    ]
    assert "1 of 3 clips" in caplog.text
    assert not gallery.commercial
    with pytest.raises(UserError, match="clip '_0tf2n3rlJU_0' is not in the copy"):
        gallery.read("_0tf2n3rlJU_0")


def test_what_is_shown_names_the_content(copy: Path) -> None:
    film(copy / "raw" / "M2Ohb0FAaJU.mp4")
    before = CelebVHQGallery(copy).content("M2Ohb0FAaJU_1")
    assert before == CelebVHQGallery(copy).content("M2Ohb0FAaJU_2")
    (copy / "celebvhq_info.json").write_text(
        json.dumps({"clips": {"M2Ohb0FAaJU_1": {**CLIP, "duration": {"start_sec": 0, "end_sec": 1}}}})
    )
    assert CelebVHQGallery(copy).content("M2Ohb0FAaJU_1") != before


@pytest.mark.parametrize("text", ["{", "[]", '{"clips": {"a": {"ytb_id": "b"}}}', None])
def test_no_json_of_the_authors(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "celebvhq_info.json").write_text(text)
    with pytest.raises(UserError, match=r"must hold the authors' celebvhq_info.json: .*Take it from"):
        list(CelebVHQGallery(tmp_path).pictures())
