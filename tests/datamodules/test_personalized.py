"""The datamodule: what each loader shows, what is prepared, what is left out and said."""

import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from pvchat.batch import Batch, Example
from pvchat.datamodules.manifest import read_manifest
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.sources import ManifestSource
from pvchat.errors import UserError
from pvchat.stages import Stage, StagePlan
from pvchat.subjects import SubjectRegistry

MakeData = Callable[..., PersonalizedDataModule]
Write = Callable[[Path, Sequence[Any]], Path]


def asked(loader: Any) -> list[Example]:
    return [example for batch in loader for example in batch.examples]


def test_stages_decide_questions_and_frames(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    data = make_data(corpus, extractor, num_frames=3)
    image, video = data.epoch_loader(0), data.epoch_loader(1)
    assert {e.type for e in asked(image)} == {"existence", "appearance"}
    assert {e.type for e in asked(video)} == {"existence", "appearance", "action"}
    one, three = next(iter(image)), next(iter(video))
    assert one.views["global"].shape == (4, 1, 1, 3)
    assert one.view_masks["face"].shape == (4, 1)
    assert three.views["global"].shape == (4, 3, 1, 3)
    assert three.view_masks["face"].tolist() == [[True, False, True]] * 4


def test_the_image_stage_shows_the_first_frame(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    """Clip n of the corpus starts with grey level 10 n."""
    data = make_data(corpus, extractor)
    names = [r.id for r in data.records]
    for batch in data.epoch_loader(0):
        levels = batch.views["global"][:, 0].mean((1, 2))
        expected = [10 * names.index(e.clip_id) for e in batch.examples]
        assert levels.tolist() == pytest.approx(expected, abs=3)
    middle = next(iter(make_data(corpus, extractor, frame_policy="middle").epoch_loader(0)))
    first = [10 * names.index(e.clip_id) for e in middle.examples]
    assert (middle.views["global"][:, 0].mean((1, 2)) - torch.tensor(first)).min() > 2


def test_training_is_balanced_and_complete(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    examples = asked(make_data(corpus, extractor).epoch_loader(1))
    counts = Counter(e.polarity for e in examples if e.type == "existence")
    assert counts["yes"] == counts["no"] == 21
    assert {e.clip_id for e in examples} == {f"tom{n}" for n in range(3)} | {f"other{n}" for n in range(7)}


def test_training_features_are_those_of_the_training_clips(
    corpus: Path, make_data: MakeData, extractor: Any
) -> None:
    """Once each, and no other: clip n starts with grey level 10 n, and those for training come first."""
    levels = [float(f["global"][0].mean()) for f in make_data(corpus, extractor).training_features()]
    assert levels == pytest.approx([10 * n for n in range(10)], abs=3)


def test_the_reference_is_shown_though_nothing_is_asked_about_it(
    corpus: Path, make_data: MakeData, extractor: Any
) -> None:
    data = make_data(corpus, extractor)
    trained = [r.id for r in data.records if r.split == "train"]
    silent = {trained[0]: "reference", trained[1]: "train"}
    data.records = [replace(r, split=silent[r.id], qa=()) if r.id in silent else r for r in data.records]
    clips = list(data.training_clips())
    assert [c.id for c in clips] == [trained[0], *trained[2:]]
    assert [c.is_reference for c in clips] == [True] + [False] * (len(trained) - 2)
    assert not clips[0].examples
    assert all(c.examples and c.presence == c.examples[0].presence for c in clips[1:])
    assert len(list(data.training_features())) == len(trained) - 2


def test_order_is_a_function_of_seed_and_epoch(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    def order(seed: int, epoch: int, noise: int) -> list[str]:
        torch.manual_seed(noise)
        np.random.seed(noise)
        return [e.id for e in asked(make_data(corpus, extractor, seed=seed).epoch_loader(epoch))]

    assert order(0, 1, 1) == order(0, 1, 2)
    assert order(0, 1, 1) != order(0, 2, 1)
    assert order(0, 1, 1) != order(1, 1, 1)


def test_steps(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    data = make_data(corpus, extractor, batch_size=4)
    assert [data.steps_per_epoch(e) for e in range(3)] == [12, 12, 12]  # 45 and 48 questions
    assert data.total_steps() == sum(len(list(data.epoch_loader(e))) for e in range(3))
    assert make_data(corpus, extractor, batch_size=48).total_steps() == 3


def test_processes_share_an_epoch(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    whole = [e.id for e in asked(make_data(corpus, extractor, batch_size=2).epoch_loader(0))]
    shares = []
    for rank in (0, 1):
        data = make_data(corpus, extractor, batch_size=2)
        data.trainer = SimpleNamespace(world_size=2, global_rank=rank)  # type: ignore[assignment]
        shares.append([e.id for e in asked(data.epoch_loader(0))])
    assert len(shares[0]) == len(shares[1]) == 23  # of 45: the first fills the last turn
    assert [i for turn in zip(*shares, strict=True) for i in turn] == [*whole, whole[0]]


def test_person_mask_is_who_is_asked_about(
    tmp_path: Path,
    line: Any,
    write_manifest_lines: Write,
    write_video: Any,
    make_data: MakeData,
    extractor: Any,
) -> None:
    def existence(question: str, polarity: str) -> dict[str, Any]:
        return {"question": question, "answer": "-", "type": "existence", "polarity": polarity}

    presence = {"tom": True, "ann": False}
    qa = [existence("<ann>?", "no"), existence("<tom>?", "yes"), existence("<tom> or <ann>?", "yes")]
    qa.append({"question": "What is seen?", "answer": "-", "type": "general"})
    write_video(tmp_path / "clips/a.mp4", [0, 0])
    path = write_manifest_lines(
        tmp_path / "m.jsonl", [line("a", present=True, presence=presence, qa=qa, split="test")]
    )
    [batch] = make_data(path, extractor).test_dataloader("main")
    assert batch.person_mask.tolist() == [[False, True], [True, False], [True, True], [True, True]]
    assert batch.person_mask.dtype == torch.bool
    assert [e.presence for e in batch.examples] == [presence] * 4
    assert [e.id for e in batch.examples] == ["a#0", "a#1", "a#2", "a#3"]
    assert [e.origin for e in batch.examples] == ["real"] * 4


def test_test_loaders(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    data = make_data(corpus, extractor)
    main, blanked = data.test_dataloader()
    assert [e.id for e in asked(main)] == [f"testTrue#{n}" for n in range(5)] + [
        f"testFalse#{n}" for n in range(3)
    ]
    assert [e.id for e in asked(blanked)] == [e.id for e in asked(main)]
    assert all(batch.view_masks["face"].any() for batch in main)
    assert not any(batch.view_masks["face"].any() for batch in data.test_dataloader(variant="face_blanked"))
    assert [e.id for e in asked(data.predict_dataloader())] == [e.id for e in asked(main)]
    only = make_data(corpus, extractor, test_variants=("main",)).test_dataloader()
    assert len(only) == 1


def test_calibration_on_validation_clips(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    data = make_data(corpus, extractor)
    examples = asked(data.calibration_dataloader())
    assert Counter((e.clip_id, e.type) for e in examples) == {
        ("validationTrue", "existence"): 3,
        ("validationFalse", "existence"): 3,
    }
    assert Counter(e.clip_id for e in asked(data.val_dataloader())) == {
        "validationTrue": 5,
        "validationFalse": 3,
    }


def test_calibration_without_validation_clips(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [text for text in corpus.read_text().splitlines() if '"validation"' not in text]
    corpus.write_text("\n".join(lines))
    data = make_data(corpus, extractor)
    data.setup("test")
    examples = asked(data.calibration_dataloader())
    assert sorted(e.clip_id for e in examples) == sorted(r.id for r in data.records if r.split == "train")
    assert {e.type for e in examples} == {"existence"}
    assert len({e.question for e in examples}) > 1
    assert data.val_dataloader() == []
    assert capsys.readouterr().err.count("thresholds are calibrated on the training clips") == 1


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_test_clip_may_not_be_a_copy(corpus: Path, make_data: MakeData, extractor: Any, split: str) -> None:
    """Under another name, so that the manifest alone cannot tell."""
    records = read_manifest(corpus)
    original = next(r for r in records if r.split == split)
    copied = next(r for r in records if r.split == "test")
    copied.path.unlink()
    copied.path.write_bytes(original.path.read_bytes())
    data = make_data(corpus, extractor)
    with pytest.raises(UserError, match=f"{copied.id!r} is a copy of {split} clip {original.id!r}. Remove"):
        data.setup("test")


def test_one_kind_of_validation_clip_cannot_set_a_threshold(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = corpus.read_text().splitlines()
    kept = [t for t in lines if '"validation"' not in t or '"polarity": "no"' not in t]
    assert 0 < len(kept) < len(lines)
    corpus.write_text("\n".join(kept))
    data = make_data(corpus, extractor)
    data.setup("test")
    assert {e.clip_id for e in asked(data.calibration_dataloader())} <= {
        r.id for r in data.records if r.split == "train"
    }
    assert "calibrated on the training clips" in capsys.readouterr().err


def test_second_preparation_is_all_cache(
    corpus: Path, make_data: MakeData, make_extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_extractor(), make_extractor()
    for extractor in (first, second):
        data = make_data(corpus, extractor)
        data.setup("fit")
        data.setup("test")
        said = capsys.readouterr().err
        assert ("10/10" in said and "clip/s" in said) == (extractor is first)  # count, speed, time left
    assert first.calls == 10 + 2 + 2 * 2  # the two test clips also with faces blanked
    assert second.calls == 0


def spoil(corpus: Path) -> None:
    clips = corpus.parent / "clips"
    (clips / "tom0.mp4").unlink()
    (clips / "other0.mp4").write_bytes(b"")
    (clips / "other1.mp4").write_text("no video")
    (clips / "testTrue.mp4").write_text("no video")


def test_bad_clips_are_refused(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    spoil(corpus)
    with pytest.raises(
        UserError, match=r"1 of 10 reference and train clips do not exist: \S*tom0.mp4\. Correct"
    ):
        make_data(corpus, extractor).setup("fit")
    (corpus.parent / "clips" / "tom1.mp4").rename(corpus.parent / "clips" / "tom0.mp4")
    (corpus.parent / "clips" / "tom1.mp4").write_bytes(b"")
    message = r"^manifest.jsonl line 2: clip '\S*tom1.mp4' is empty \(0 bytes\)\. Copy it again\. Or leave"
    with pytest.raises(UserError, match=message) as caught:
        make_data(corpus, extractor).setup("fit")
    assert "\n" not in str(caught.value)


def test_bad_clips_are_left_out_named_and_counted(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(corpus)
    data = make_data(corpus, extractor, on_bad_clip="skip")
    data.setup("fit")
    assert set(data.bad_clips) == {"tom0", "other0", "other1"}
    said = capsys.readouterr().err
    assert "3 of 10 reference and train clips are left out:" in said
    for name, why in [("tom0", "does not exist"), ("other0", "is empty"), ("other1", "is not a video that")]:
        assert re.search(rf"\n  {name}: clip '\S*{name}.mp4' {why}", said)
        assert why in data.bad_clips[name]
    left = {e.clip_id for e in asked(data.epoch_loader(0))}
    assert left == {"tom1", "tom2"} | {f"other{n}" for n in range(2, 7)}
    assert set(data.left_out()) == {"train"}
    data.setup("test")
    assert set(data.left_out()["test"]) == {"testTrue"}
    assert "1 of 2 test clips are left out:\n  testTrue: " in capsys.readouterr().err
    assert {e.clip_id for e in asked(data.test_dataloader("main"))} == {"testFalse"}
    again = make_data(corpus, extractor, on_bad_clip="skip")
    again.setup("fit")
    assert set(again.bad_clips) == {"tom0", "other0", "other1"}  # a second run says so too


def test_no_clip_left(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    for path in (corpus.parent / "clips").glob("test*"):
        path.write_text("no video")
    with pytest.raises(UserError, match="test clip with questions is needed: got 0, 2 that cannot"):
        make_data(corpus, extractor, on_bad_clip="skip").setup("test")
    corpus.write_text("\n".join(t for t in corpus.read_text().splitlines() if '"test"' not in t))
    with pytest.raises(UserError, match="a test clip with questions is needed: got 0"):
        make_data(corpus, extractor).setup("test")


def test_a_stage_without_questions(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    plan = StagePlan(image=Stage(1, 1, ("location",), ()), video=Stage(1, None, ("existence",), ()))
    with pytest.raises(UserError, match=r"no training question is of type \['location'\]"):
        make_data(corpus, extractor, stages=plan).setup("fit")


def test_one_sided_training_is_said(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus.write_text("\n".join(t for t in corpus.read_text().splitlines() if '"other' not in t))
    make_data(corpus, extractor).setup("fit")
    assert "every existence question of the training clips is answered yes" in capsys.readouterr().err


def test_shared_recordings_are_said(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_data(corpus, extractor).setup("test")
    assert "come from sources" not in capsys.readouterr().err
    corpus.write_text(corpus.read_text().replace("recording of testTrue", "recording of tom1"))
    make_data(corpus, extractor).setup("test")
    assert (
        "test clips come from sources that other splits use too: recording of tom1."
        in capsys.readouterr().err
    )


def test_attach(corpus: Path, make_data: MakeData, extractor: Any) -> None:
    data = PersonalizedDataModule(source=ManifestSource(corpus))
    assert data.subjects == ("tom",)
    with pytest.raises(RuntimeError, match="attach"):
        data.setup("fit")
    with pytest.raises(UserError, match=r"unknown subject 'tom'; registered: \['ann'\]"):
        data.attach(extractor, SubjectRegistry(["ann"]))


def test_cache_dir(
    corpus: Path, make_data: MakeData, extractor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PVCHAT_CACHE", str(tmp_path / "user"))
    make_data(corpus, extractor, cache_dir=None).setup("fit")
    assert list((tmp_path / "user" / "clips" / "features").rglob("*.safetensors"))


@pytest.mark.parametrize("name", ["num_frames", "batch_size"])
def test_sizes(corpus: Path, make_data: MakeData, extractor: Any, name: str) -> None:
    with pytest.raises(UserError, match=f"{name} must be >= 1: got 0"):
        make_data(corpus, extractor, **{name: 0})


class Counting(LightningModule):
    """Counts what each Lightning loop shows."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: Counter[str] = Counter()

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.seen[f"train {self.current_epoch} {batch.views['global'].shape[1]}"] += len(batch)
        return self.weight * 1.0

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.seen["val"] += len(batch)

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.seen[f"test {dataloader_idx} {bool(batch.view_masks['face'].any())}"] += len(batch)

    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        self.seen["predict"] += len(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trainer(folder: Path, **more: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **quiet,
        **more,
    )


def test_every_lightning_loop(corpus: Path, make_data: MakeData, extractor: Any, tmp_path: Path) -> None:
    data, module = make_data(corpus, extractor), Counting()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner = trainer(tmp_path, max_epochs=3, reload_dataloaders_every_n_epochs=1)
        runner.fit(module, datamodule=data)
        runner.validate(module, datamodule=data, verbose=False)
        runner.test(module, datamodule=data, verbose=False)
        runner.predict(module, datamodule=data, return_predictions=False)
    assert module.seen == {
        "train 0 1": 45,
        "train 1 2": 48,
        "train 2 2": 48,
        "val": 4 * 8,
        "test 0 True": 8,
        "test 1 False": 8,
        "predict": 8,
    }


def test_loaders_must_be_reloaded(corpus: Path, make_data: MakeData, extractor: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reload_dataloaders_every_n_epochs must be 1, got 0"):
        trainer(tmp_path, max_epochs=3).fit(Counting(), datamodule=make_data(corpus, extractor))


def test_real_people(media: Path, make_data: MakeData, extractor: Any, tmp_path: Path, line: Any) -> None:
    """Real clips and photos, with time ranges, through one manifest."""
    from pvchat.datamodules.manifest import QA, Record, write_manifest

    def record(name: str, path: Path, **more: Any) -> Record:
        qa = (QA("Is <sam> here?", "Yes.", "existence", "yes" if "d12" in name else "no", ("sam",)),)
        given = {"licence": "not stated", "consent": "not stated", "source_id": path.name}
        origin = "real" if "d12" in name else "negative"
        return Record(
            id=name, path=path, presence={"sam": "d12" in name}, qa=qa, origin=origin, **given, **more
        )

    talking = media / "talking"
    records = [
        record("d12", talking / "d12.mp4", split="train", end_s=3.0),
        record("d18", talking / "d18.mp4", split="train"),
        record("photo", media / "photos" / "alex" / "2.jpg", split="train"),
        record("d12 later", talking / "d12.mp4", split="test", start_s=3.0),
    ]
    write_manifest(tmp_path / "manifest.jsonl", records)
    data = make_data(tmp_path / "manifest.jsonl", extractor, max_px=160)
    data.setup("fit")
    data.setup("test")
    assert extractor.calls == 5
    assert data.bad_clips == {}
    assert {e.clip_id for e in asked(data.epoch_loader(1))} == {"d12", "d18", "photo"}


def test_a_missing_test_clip_is_said_before_training(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = next(r for r in read_manifest(corpus) if r.split == "test").path
    gone.unlink()
    make_data(corpus, extractor).setup("fit")
    assert f"1 test clips do not exist, a test will refuse them: {gone}." in capsys.readouterr().err
    make_data(corpus, extractor, on_bad_clip="skip").setup("fit")
    assert f"a test will leave them out: {gone}." in capsys.readouterr().err


def test_subjects_without_a_face_are_named(
    corpus: Path, make_data: MakeData, extractor: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    class Faceless:
        fingerprint = "faceless"

        def __call__(self, clip: Any, *, blank_faces: bool = False) -> Any:
            shown = extractor(clip, blank_faces=blank_faces)
            return shown | {"face": torch.zeros(3, 1, 2), "face.mask": torch.zeros(3, dtype=torch.bool)}

    data = make_data(corpus, Faceless())
    data.setup("fit")
    count = sum(r.split == "train" and any(r.presence.values()) for r in data.records)
    assert f"{count} of {count} training clips with a subject show no face" in capsys.readouterr().err
    make_data(corpus, extractor).setup("fit")
    assert "show no face" not in capsys.readouterr().err
