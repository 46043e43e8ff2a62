import hashlib
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pasted_studio import Admirals, PastedStudio
from PIL import Image
from skimage.data import astronaut

from pvchat.datamodules.manifest import Origin, read_manifest
from pvchat.endpoint.replies import Replies
from pvchat.errors import UserError
from pvchat.synthesis.forgetting import forget
from pvchat.synthesis.pipeline.history import read_history
from pvchat.synthesis.pipeline.recipe import GateSettings, Part, Recipe, Scenes
from pvchat.synthesis.pipeline.subject_request import SubjectRequest
from pvchat.synthesis.pipeline.synthesize import synthesize
from pvchat.synthesis.questions import QuestionPlan
from pvchat.synthesis.roles import Frames
from pvchat.synthesis.splits import find_leaks
from pvchat.synthesis.traces import Caches
from pvchat.synthesis.writing import write_video


class Generated(PastedStudio):
    """Nobody commanded what its clips show."""

    origin: Origin = "generated"


def recipe(**changes: object) -> Recipe:
    part = Part(PastedStudio(), Scenes(train=2, validation=1, test=1))
    settings: dict[str, object] = {
        "parts": [part],
        "others": Admirals(),
        "faces": 4,
        "gate": GateSettings(num_frames=1),
        "questions": QuestionPlan(existence=2, about=1, refused=1, general=1),
    }
    return Recipe(**(settings | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos of Eileen Collins, and a recording of three seconds."""
    folder = tmp_path_factory.mktemp("photos")
    face = np.asarray(astronaut())[20:260, 100:340]
    Image.fromarray(face).save(folder / "first.png")
    Image.fromarray(np.ascontiguousarray(face[:, ::-1])).save(folder / "second.png")
    frames = [np.roll(face, shift, axis=1) for shift in (0, 2, 4, 6, 4, 2)]
    write_video(folder / "clip.mp4", np.stack(frames), fps=2)
    return folder


@pytest.fixture(scope="module")
def corpus(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "corpus"
    files = [str(photos / "first.png"), str(photos / "second.png")]
    synthesize([SubjectRequest("eileen", files, consent="public")], recipe(), out=out, config="pasted")
    return out


def test_a_corpus_has_everybody_in_every_scene_and_the_references(corpus: Path) -> None:
    records = read_manifest(corpus / "manifest.jsonl")
    assert Counter((r.split, r.origin) for r in records) == {
        ("train", "warp"): 2, ("train", "negative"): 2, ("validation", "warp"): 1,
        ("test", "warp"): 1, ("test", "negative"): 1, ("reference", "real"): 1, ("test", "real"): 1,
    }  # fmt: skip
    assert {r.source_id for r in records if r.origin == "warp" and r.split == "train"} == {"first.png"}
    assert {r.source_id for r in records if r.origin == "warp" and r.split == "test"} == {"second.png"}
    assert {r.consent for r in records if r.presence["eileen"]} == {"public"}
    assert find_leaks(records) == []


def test_questions_are_answered_from_what_was_commanded(corpus: Path) -> None:
    for record in read_manifest(corpus / "manifest.jsonl"):
        kinds = Counter(qa.type for qa in record.qa)
        assert kinds["existence"] == 2
        if record.origin == "real":
            assert kinds == {"existence": 2}
            continue
        (where,) = [qa for qa in record.qa if qa.type == "location"]
        assert (str(record.background).split()[0] in where.answer) is record.presence["eileen"]
        assert kinds["general"] == 1


def test_every_clip_has_a_history_and_the_sheet_and_statistics_are_there(corpus: Path) -> None:
    records = [r for r in read_manifest(corpus / "manifest.jsonl") if r.origin != "real"]
    for record in records:
        history = json.loads(record.path.with_suffix(".json").read_text())
        assert history["passed"]
        near = history["scores"]["eileen"]["distance"]
        assert (near < 0.4) is record.presence["eileen"]
    assert sorted(p.stem for p in (corpus / "clips").glob("*.mp4")) == sorted(r.id for r in records)
    page = (corpus / "contact_sheet.html").read_text()
    assert all(r.id in page for r in records)
    assert "Distance from eileen: own clips" in page
    numbers = json.loads((corpus / "statistics.json").read_text())
    assert (numbers["clips"], numbers["gate"]) == (9, {"pasted": {"made": 7, "rejected": 0}})
    assert numbers["identity"]["eileen"]["own_most"] < numbers["identity"]["eileen"]["nearest_other"]
    assert (corpus / "faces" / "eileen" / "00.png").is_file()
    left_out = json.loads((corpus / "faces" / "eileen" / "left_out.json").read_text())
    assert left_out == {}  # all photos are good, and few


def test_a_finished_corpus_is_left_alone(
    corpus: Path, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {p: p.stat().st_mtime_ns for p in corpus.rglob("*.mp4")}
    files = [str(photos / "first.png"), str(photos / "second.png")]
    request = SubjectRequest("eileen", files, consent="public")
    assert synthesize([request], recipe(), out=corpus, config="pasted") == corpus / "manifest.jsonl"
    assert "is complete: 9 clips" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in corpus.rglob("*.mp4")} == before
    with pytest.raises(UserError, match="other values of seed"):
        synthesize([request], recipe(), out=corpus, config="pasted", seed=1)


def test_a_recording_is_split_in_time(photos: Path, tmp_path: Path) -> None:
    request = SubjectRequest("eileen", [str(photos / "clip.mp4")])
    synthesize([request], recipe(), out=tmp_path / "corpus")
    records = read_manifest(tmp_path / "corpus" / "manifest.jsonl")
    real = [(r.split, r.start_s, r.end_s) for r in records if r.origin == "real"]
    assert real == [("reference", 0.0, 1.25), ("test", 1.625, None)]
    seconds = {r.split: float(r.source_id[len("clip.mp4@") : -1]) for r in records if r.origin == "warp"}
    assert seconds["train"] < 1.25
    assert seconds["test"] >= 1.625


def test_look_alikes_are_marked(photos: Path, tmp_path: Path, corpus: Path) -> None:
    assert {r.look_alike for r in read_manifest(corpus / "manifest.jsonl")} == {None}
    request = SubjectRequest("eileen", [str(photos / "first.png"), str(photos / "second.png")])
    part = Part(PastedStudio(), Scenes(train=1, validation=0, test=1), lookalikes=1)
    made = recipe(parts=[part], others=Admirals(alike=True))
    records = read_manifest(synthesize([request], made, out=tmp_path / "corpus"))
    marked = {(r.presence["eileen"], r.look_alike) for r in records}
    assert marked == {(True, None), (False, True)}


def test_real_footage_is_not_the_subjects_alone(photos: Path, tmp_path: Path) -> None:
    request = SubjectRequest("eileen", [str(photos / "first.png"), str(photos / "second.png")])
    beside = recipe(others=Admirals(originals=True))
    records = read_manifest(synthesize([request], beside, out=tmp_path / "corpus"))
    raw = {(r.id, r.split, r.presence["eileen"], r.origin) for r in records if r.path.parent.name == "raw"}
    assert raw == {
        ("reference-eileen-00", "reference", True, "real"),
        ("test-eileen-01", "test", True, "real"),
        ("test-other-00", "test", False, "negative"),
    }
    assert find_leaks(records) == []


def test_one_photo_makes_no_test_unless_allowed(photos: Path, tmp_path: Path) -> None:
    request = SubjectRequest("eileen", [str(photos / "first.png")])
    synthesize([request], recipe(), out=tmp_path / "strict")
    records = read_manifest(tmp_path / "strict" / "manifest.jsonl")
    assert Counter(r.split for r in records) == {"train": 4, "validation": 1, "reference": 1}
    assert "in one part of the reference only" in (tmp_path / "strict" / "contact_sheet.html").read_text()
    synthesize([request], recipe(), out=tmp_path / "lax", allow=["source"])
    assert Counter(r.split for r in read_manifest(tmp_path / "lax" / "manifest.jsonl"))["test"] == 2


def test_a_clip_of_one_frame_is_a_photo(photos: Path, tmp_path: Path) -> None:
    """Its only frame cannot be in the test, too; and it is known at the start, not when all is filmed."""
    write_video(tmp_path / "one.mp4", np.asarray(Image.open(photos / "first.png"))[None], fps=2)
    synthesize([SubjectRequest("eileen", [str(tmp_path / "one.mp4")])], recipe(), out=tmp_path / "corpus")
    records = read_manifest(tmp_path / "corpus" / "manifest.jsonl")
    assert Counter(r.split for r in records) == {"train": 4, "validation": 1, "reference": 1}


def test_two_subjects_of_one_photo_are_both_there(photos: Path, tmp_path: Path) -> None:
    (grace,), _ = Admirals().find([], [], seed=0).strangers
    pair = [Image.open(photos / "first.png"), Image.fromarray(grace.photo).resize((240, 240))]
    both = photos / "both.png"
    Image.fromarray(np.hstack([np.asarray(photo) for photo in pair])).save(both)
    requests = [SubjectRequest("eileen", [str(both)], face=1), SubjectRequest("grace", [str(both)], face=2)]
    plain = recipe(parts=[Part(PastedStudio(), Scenes(), strangers=0)])
    synthesize(requests, plain, out=tmp_path / "corpus")
    (record,) = read_manifest(tmp_path / "corpus" / "manifest.jsonl")
    assert record.presence == {"eileen": True, "grace": True}


def test_a_copy_of_a_photo_is_no_second_photo(photos: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes((photos / "first.png").read_bytes())
    request = SubjectRequest("eileen", [str(photos / "first.png"), str(copy)])
    records = read_manifest(synthesize([request], recipe(), out=tmp_path / "corpus"))
    assert {r.source_id for r in records if r.presence["eileen"] and r.origin == "warp"} == {"first.png"}
    assert {r.split for r in records} == {"reference", "train", "validation"}


def test_one_person_under_two_names_is_refused_before_filming(photos: Path, tmp_path: Path) -> None:
    requests = [SubjectRequest("ann", [str(photos / "first.png")])]
    requests += [SubjectRequest("bob", [str(photos / "second.png")])]
    with pytest.raises(UserError, match=r"'ann' and 'bob' look the same \(distance 0\.\d\d"):
        synthesize(requests, recipe(), out=tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_a_corpus_can_be_forgotten(corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    done = forget("eileen", tmp_path / "corpus", caches=Caches(tmp_path / "cache"), entire=True)
    assert done.left == []
    assert not (tmp_path / "corpus").exists()


class Cached:
    """A captioner whose replies are kept, as those of an endpoint are."""

    adapter = PastedStudio().adapter

    def __init__(self, root: Path) -> None:
        self.replies = Replies(root)

    def caption(self, frames: Frames, question: str) -> str:
        key = hashlib.sha256(frames.tobytes() + question.encode()).hexdigest()
        return self.replies.get_or_ask(key, str, lambda: "The person smiles.")


def test_what_endpoints_said_about_somebody_is_forgotten(photos: Path, tmp_path: Path) -> None:
    captioner = Cached(tmp_path / "cache" / "replies")
    captioner.replies.get_or_ask("f" * 64, str, lambda: "About something else.")
    out = tmp_path / "corpus"
    plain = recipe(captioner=captioner, parts=[Part(Generated(), Scenes(train=1, test=1), lookalikes=0)])
    files = [str(photos / "first.png"), str(photos / "second.png")]
    synthesize([SubjectRequest("eileen", files)], plain, out=out)
    kept = {path.stem for path, _ in captioner.replies.texts()} - {"f" * 64}
    records = read_manifest(out / "manifest.jsonl")
    told = {r.path: json.loads(r.path.with_suffix(".json").read_text())["replies"] for r in records}
    assert {path.parent.name for path in told} == {"clips", "raw"}
    assert all(told[r.path] for r in records if r.presence["eileen"])
    assert set().union(*told.values()) == kept
    history = read_history(next(p for p in told if p.parent.name == "clips").with_suffix(".json"))
    assert history is not None
    assert set(history.replies) < kept
    forget("eileen", out, caches=Caches(tmp_path / "cache"), entire=True)
    assert [path.stem for path, _ in captioner.replies.texts()] == ["f" * 64]


class Absent:
    """A captioner that cannot be reached."""

    adapter = PastedStudio().adapter

    def check(self) -> None:
        raise UserError("nobody answers")

    def caption(self, frames: Frames, question: str) -> str:
        raise AssertionError


def test_who_cannot_be_reached_is_said_first(
    photos: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = SubjectRequest("eileen", [str(photos / "first.png")])
    with pytest.raises(UserError, match="nobody answers"):
        synthesize([request], recipe(captioner=Absent()), out=tmp_path / "corpus")
    assert "[1/4]" not in capsys.readouterr().out
    request = SubjectRequest(
        "eileen", [str(photos / "first.png"), str(photos / "second.png")], consent="public"
    )
    synthesize([request], recipe(captioner=Absent()), out=corpus, config="pasted")  # nothing is left to ask
