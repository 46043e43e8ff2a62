"""Workers that decode ahead change how long it takes and nothing else."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pvchat.batch import Clip, Features
from pvchat.datamodules import decoding
from pvchat.datamodules.decoding import AHEAD, Decoder, DecodeSettings, decode_ahead
from pvchat.datamodules.manifest import read_manifest
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.errors import UserError

MakeData = Callable[..., PersonalizedDataModule]
SETTINGS = DecodeSettings(num_frames=2, max_px=None, frame_policy="first")


def files(folder: Path) -> dict[str, dict[str, bytes]]:
    """The bytes of every tensor; safetensors writes what is about them in any order."""
    return {
        path.relative_to(folder).as_posix(): {n: t.numpy().tobytes() for n, t in load_file(path).items()}
        for path in folder.rglob("*.safetensors")
    }


@pytest.mark.parametrize("keep", [True, False])
def test_the_cache_is_byte_equal(
    corpus: Path, make_data: MakeData, make_extractor: Any, tmp_path: Path, keep: bool
) -> None:
    """Features and frames, in the order of the corpus, and not one random number drawn."""
    caches, orders = [], []
    for workers in (0, 2):
        extractor, order = make_extractor(), []

        class Ordered:
            fingerprint, show = extractor.fingerprint, extractor.show

            def __call__(self, clip: Clip, *, blank_faces: bool = False, of: Any = extractor) -> Features:
                order.append(float(clip.frames.mean()))  # noqa: B023
                return of(clip, blank_faces=blank_faces)  # type: ignore[no-any-return]

        folder = tmp_path / f"cache{workers}"
        more = {"cache_dir": str(folder), "cache_frames": keep, "num_decode_workers": workers}
        torch.manual_seed(3)
        make_data(corpus, Ordered(), **more).setup("fit")
        assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(3))
        caches.append(files(folder))
        orders.append(order)
    assert caches[0] == caches[1]
    assert {name.split("/")[0] for name in caches[0]} == ({"frames", "features"} if keep else {"features"})
    assert orders[0] == orders[1]
    assert len(orders[0]) == 12


@pytest.mark.parametrize("policy", ["skip", "error"])
def test_a_broken_clip_is_named_as_ever(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str], policy: str
) -> None:
    clip = corpus.parent / "clips" / "other3.mp4"
    clip.write_bytes(clip.read_bytes()[:700])
    said = []
    for workers in (0, 2):
        folder = str(corpus.parent / f"cache{workers}")
        data = make_data(corpus, extractor, on_bad_clip=policy, num_decode_workers=workers, cache_dir=folder)
        if policy == "error":
            with pytest.raises(UserError, match="other3") as refused:
                data.setup("fit")
            said.append(str(refused.value))
        else:
            data.setup("fit")
            assert set(data.bad_clips) == {"other3"}
            said.append(capsys.readouterr().err.split("left out:")[1].splitlines()[1])
    assert said[0] == said[1]


class Slow(Decoder):
    def __call__(self, record: Any) -> Clip:
        (Path(os.environ["SEEN"]) / record.id).touch()
        return super().__call__(record)


class Dies(Decoder):
    def __call__(self, record: Any) -> Clip:
        if record.id == "other2":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(record)


def test_workers_are_a_few_clips_ahead_and_no_more(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first clip is taken: as many may be decoded as there is room for, not the whole corpus."""
    (tmp_path / "seen").mkdir()
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    records = read_manifest(corpus)
    clips = decode_ahead(Slow(SETTINGS, None), records, 2)
    next(clips)
    time.sleep(1)
    assert 1 < len(list((tmp_path / "seen").iterdir())) <= 2 * AHEAD + 1 < len(records)
    assert [record.id for record, _ in clips] == [r.id for r in records[1:]]


def test_a_worker_that_dies_is_one_clear_error(corpus: Path) -> None:
    with pytest.raises(UserError, match=r"a worker ended while it decoded clip '\w+' or one soon after it"):
        list(decode_ahead(Dies(SETTINGS, None), read_manifest(corpus), 1))


def test_ctrl_c_ends_the_workers(corpus: Path, make_data: MakeData, make_extractor: Any) -> None:
    """What interrupts the extractor comes through, and leaves no process behind."""
    import multiprocessing

    class Interrupted:
        fingerprint, show = "interrupted", make_extractor.show

        def __call__(self, clip: Clip, *, blank_faces: bool = False) -> Features:
            assert multiprocessing.active_children()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:  # and with it all that is on the stack
        make_data(corpus, Interrupted(), num_decode_workers=2).setup("fit")
    assert not multiprocessing.active_children()
    assert held.traceback


def test_a_worker_gets_no_model(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    import pickle

    data = make_data(corpus, extractor)
    assert len(pickle.dumps(data.store.decoder)) < 2000


def test_less_than_none_is_refused(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    with pytest.raises(UserError, match="num_decode_workers must be >= 0: got -1"):
        make_data(corpus, extractor, num_decode_workers=-1)
    assert decoding.AHEAD >= 1
