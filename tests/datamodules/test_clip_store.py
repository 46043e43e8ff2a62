"""From a record to features: what is computed again, and what is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pvchat.datamodules import decoding
from pvchat.datamodules.clip_store import ClipStore
from pvchat.datamodules.decoding import DecodeSettings
from pvchat.datamodules.manifest import Record

SETTINGS = DecodeSettings(num_frames=2, max_px=None, frame_policy="first")


@pytest.fixture
def record(tmp_path: Path, write_video: Callable[..., Path]) -> Record:
    return record_of(write_video(tmp_path / "a.mp4", [0, 50, 100, 150, 200]))


def record_of(path: Path, **more: Any) -> Record:
    kept = {"source_id": "s", "origin": "real", "split": "train", "licence": "CC0", "consent": "none needed"}
    return Record(id="a", path=path, presence={"tom": True}, **{**kept, **more})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files that were decoded."""
    seen: list[Path] = []
    decode = decoding.decode

    def spy(path: Path, **arguments: Any) -> Any:
        seen.append(path)
        return decode(path, **arguments)

    monkeypatch.setattr(decoding, "decode", spy)
    return seen


def test_features_of_the_right_frames(tmp_path: Path, record: Record, extractor: Any) -> None:
    features = ClipStore(tmp_path / "c", extractor=extractor, settings=SETTINGS).features(record)
    assert features["global"].shape == (2, 1, 3)
    assert features["global"].mean((1, 2)).tolist() == pytest.approx([0, 150], abs=3)


def test_features_of_the_time_range(tmp_path: Path, record: Record, extractor: Any) -> None:
    """A frame every .04 s."""
    store = ClipStore(tmp_path / "c", extractor=extractor, settings=SETTINGS)
    later = store.features(record_of(record.path, start_s=0.12))["global"].mean((1, 2))
    middle = store.features(record_of(record.path, start_s=0.04, end_s=0.12))["global"].mean((1, 2))
    assert later.tolist() == pytest.approx([150, 150], abs=3)
    assert middle.tolist() == pytest.approx([50, 50], abs=3)


def test_second_run_decodes_and_computes_nothing(
    tmp_path: Path, record: Record, make_extractor: Any, decoded: list[Path]
) -> None:
    first, second = make_extractor(), make_extractor()
    store = ClipStore(tmp_path / "c", extractor=first, settings=SETTINGS)
    assert (record, "main") not in store
    before = store.features(record)
    assert (record, "main") in store
    again = ClipStore(tmp_path / "c", extractor=second, settings=SETTINGS).features(record)
    assert (first.calls, second.calls, len(decoded)) == (1, 0, 1)
    assert all(torch.equal(before[name], again[name]) for name in before)


def test_other_extractor_or_variant_decodes_nothing(
    tmp_path: Path, record: Record, make_extractor: Any, decoded: list[Path]
) -> None:
    for name in ("weights 1", "weights 2"):
        extractor = make_extractor(name)
        store = ClipStore(tmp_path / "c", extractor=extractor, settings=SETTINGS)
        assert store.features(record, "main")["face.mask"].tolist() == [True, False]
        assert store.features(record, "face_blanked")["face.mask"].tolist() == [False, False]
        assert extractor.calls == 2
    assert len(decoded) == 1


def test_frames_need_not_be_kept(tmp_path: Path, record: Record, extractor: Any, decoded: list[Path]) -> None:
    store = ClipStore(tmp_path / "c", extractor=extractor, settings=SETTINGS, keep_frames=False)
    store.features(record)
    store.features(record, "face_blanked")
    assert len(decoded) == 2
    assert not (tmp_path / "c" / "frames").exists()


def test_what_invalidates(
    tmp_path: Path, record: Record, extractor: Any, write_video: Callable[..., Path]
) -> None:
    def calls(record: Record, settings: DecodeSettings = SETTINGS) -> int:
        before = extractor.calls
        ClipStore(tmp_path / "c", extractor=extractor, settings=settings).features(record)
        return int(extractor.calls - before)

    assert calls(record) == 1
    assert calls(record_of(record.path, split="test")) == 0  # labels are no part of the features
    assert calls(record, DecodeSettings(3, None, "first")) == 1
    assert calls(record, DecodeSettings(2, 16, "first")) == 1
    assert calls(record, DecodeSettings(2, None, "middle")) == 1
    assert calls(record_of(record.path, end_s=0.1)) == 1
    copy = tmp_path / "renamed.mp4"
    copy.write_bytes(record.path.read_bytes())
    assert calls(record_of(copy)) == 0
    write_video(copy, [5, 5, 5])
    assert calls(record_of(copy)) == 1
