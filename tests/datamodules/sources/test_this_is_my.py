import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvchat.datamodules.manifest import QA
from pvchat.datamodules.sources import ThisIsMy
from pvchat.errors import UserError

WriteVideo = Callable[..., Path]
SON, DOG, JEEP = "Casey's son", "Zak's dog kona", "Casey's jeep"
HEADER = "segment_id,is_anchor,instance_name,video_id,channel_id,start_time,end_time,query"
# (segment, whom it introduces, video, start)
ROWS = [
    ("a0", SON, "11_letters1", 10.5),
    ("a1", DOG, "11_letters2", 4.5),
    ("a2", JEEP, "11_letters2", 8.5),  # an anchor that nobody annotated
    ("s1", "", "11_letters1", 0.0),
    ("s2", "", "11_letters1", 3.0),  # a distractor of a video that is trained on
    ("s3", "", "11_letters3", 0.0),
    ("s4", "", "11_letters3", 3.0),
    ("s5", "", "11_letters3", 6.0),  # a distractor of a test video
    ("s6", "", "11_letters4", 6.0),  # a video of nobody
]
SHOWN = {"a0": ["s1", "s3"], "a1": ["s3", "s4"]}
CAPTIONS = [f"s3,0,{SON},man,* is wearing a red cap", f"s4,1,{DOG},dog,"]


def write(root: Path, rows: Any = ROWS, shown: Any = SHOWN, captions: Any = CAPTIONS) -> Path:
    folder = root / "this-is-my-dataset"
    folder.mkdir(exist_ok=True)
    lines = [f"{s},{bool(name)},{name},{video},UC,{t},{t + 3},man" for s, name, video, t in rows]
    (folder / "segments.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    (folder / "this-is-my_test-set.json").write_text(json.dumps(shown))
    text = "\n".join(["segs,ids,item,class,caption", *captions]) + "\n"
    (folder / "this-is-my_eval-captions.csv").write_text(text)
    return root


def test_records(tmp_path: Path) -> None:
    source = ThisIsMy(root=write(tmp_path))
    records = {r.id: r for r in source.records()}
    assert source.subjects == (SON, DOG)
    assert {r.id: r.split for r in records.values()} == {
        "a0": "reference",
        "a1": "reference",
        "s1": "train",
        "s3": "test",
        "s4": "test",
    }
    assert records["s3"].presence == {SON: True, DOG: True}
    assert records["s4"].presence == {SON: False, DOG: True}
    assert records["s3"].source_id == "11_letters3"
    assert records["s3"].qa[-1] == QA(
        f"Please caption this video of <{SON}>.", f"<{SON}> is wearing a red cap", "general", None, (SON,)
    )
    assert [q.type for q in records["s4"].qa] == ["existence"] * 2  # its caption is empty
    assert source.left_out == {
        "named anchors without segments": [JEEP],
        "distractors (distractors: true adds them)": ["a2", "s2", "s5"],
    }


def test_distractors_show_nobody(tmp_path: Path) -> None:
    records = {r.id: r for r in ThisIsMy(root=write(tmp_path), distractors=True).records()}
    assert {i: records[i].split for i in ("a2", "s2", "s5")} == {"a2": "train", "s2": "train", "s5": "test"}
    assert not any(any(records[i].presence.values()) for i in ("a2", "s2", "s5"))
    assert "s6" not in records


def test_others_are_the_negatives(tmp_path: Path) -> None:
    source = ThisIsMy(root=write(tmp_path), subjects=[DOG])
    records = source.records()
    assert Counter((r.split, r.presence[DOG]) for r in records) == {
        ("reference", True): 1,
        ("reference", False): 1,
        ("train", False): 1,
        ("test", True): 2,
    }
    why = "questions about concepts that are no subjects"
    assert source.left_out[why] == [f"s3: Please caption this video of <{SON}>."]


def test_segments_or_whole_videos(
    tmp_path: Path, write_video: WriteVideo, make_data: Any, extractor: Any
) -> None:
    """A clip that was cut is taken as it is; else its seconds of the whole video."""
    write(tmp_path)
    write_video(tmp_path / "eval_segment" / "s3.mp4", [0, 50])
    write_video(tmp_path / "eval_video" / "11_letters3_A_title.mp4", [0, 90, 180], times_ms=[0, 3500, 5000])
    source = ThisIsMy(root=tmp_path)
    records = {r.id: r for r in source.records()}
    assert (records["s3"].path.name, records["s3"].start_s) == ("s3.mp4", None)
    assert records["s4"].path.name == "11_letters3_A_title.mp4"
    assert (records["s4"].start_s, records["s4"].end_s) == (3.0, 6.0)
    assert records["a0"].path == tmp_path / "train_segment" / "a0.mp4"  # not downloaded
    data = make_data(source, extractor, on_bad_clip="skip")
    with pytest.raises(UserError, match=r"clip with questions is needed: got 0, 3 that cannot be read"):
        data.setup("fit")
    assert set(data.bad_clips) == {"a0", "a1", "s1"}
    assert len(data.store.features(records["s4"])["global"]) == 2


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"shown": {"s1": ["s3"]}}, "test-set.json, 's1': an anchor of segments.csv must hold a list"),
        ({"shown": {"a0": ["s9"]}}, "test-set.json, 'a0': segments.csv lacks the segment 's9'"),
        ({"shown": []}, "this-is-my_test-set.json must hold a JSON object: got '[]'"),
        (
            {"captions": [f"s4,0,{SON},man,* sits"]},
            "captions.csv line 2: this-is-my_test-set.json does not say",
        ),
        ({"rows": [("a0", SON, "v", "x")]}, "segments.csv line 2: start_time must be seconds: got 'x'"),
        ({"shown": {"a0": [["s3"]]}}, "test-set.json, 'a0': an anchor of segments.csv must hold a list"),
    ],
)
def test_broken_files(tmp_path: Path, broken: Any, message: str) -> None:
    if "rows" in broken:
        write(tmp_path)
        lines = [HEADER, f"a0,True,{SON},v,UC,x,3,man"]
        (tmp_path / "this-is-my-dataset" / "segments.csv").write_text("\n".join(lines))
    else:
        write(tmp_path, **broken)
    with pytest.raises(UserError, match=re.escape(message)):
        ThisIsMy(root=tmp_path).records()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER.replace("video_id", "video"), "segments.csv must have a column 'video_id': got"),
        (
            f"{HEADER}\na0,yes,{SON},v,UC,1,3,man",
            "segments.csv line 2: is_anchor must be True or False: got 'yes'",
        ),
        (f"{HEADER}\na0,True,{SON},v,UC,nan,3,man", "line 2: start_time must be seconds: got 'nan'"),
        (
            f"{HEADER}\na0,True,{SON},v,UC,0,3,man\na0,False,,w,UC,0,3,man",
            "segments.csv line 3: segment_id 'a0' is used before, in segments.csv line 2",
        ),
        (
            f"{HEADER}\na0,True,{SON * 20_000},v,UC,0,3,man",
            "cannot be read: it is malformed (field larger",
        ),
    ],
)
def test_broken_segments(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path)
    (tmp_path / "this-is-my-dataset" / "segments.csv").write_text(text)
    with pytest.raises(UserError, match=re.escape(message)):
        ThisIsMy(root=tmp_path).records()


def test_missing_files(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "this-is-my-dataset" / "this-is-my_eval-captions.csv").unlink()
    source = ThisIsMy(root=tmp_path)
    assert len(source.records()) == 5
    assert "files of captions that are missing" in source.left_out
    (tmp_path / "this-is-my-dataset" / "segments.csv").unlink()
    with pytest.raises(UserError, match=r"segments\.csv cannot be read: No such file"):
        ThisIsMy(root=tmp_path).records()
