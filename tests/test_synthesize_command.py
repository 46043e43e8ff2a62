import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pasted_studio import Admirals, pasted
from PIL import Image
from skimage.data import astronaut

from pvchat.cli import main
from pvchat.datamodules.manifest import read_manifest
from pvchat.errors import UserError
from pvchat.synthesis.likeness import Look
from pvchat.synthesis.pipeline.generator_studios import MovingPhotos, PromptedPortraits, PromptedVideos
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.pipeline.package_people import PackagePeople
from pvchat.synthesis.pipeline.recipe import GateSettings
from pvchat.synthesis.pipeline.subject_request import SubjectRequest
from pvchat.synthesis.pipeline.synthesize import synthesize
from pvchat.synthesis.roles import Adapter, Frames, Made
from pvchat.synthesis.studio.actors import Actor
from pvchat.synthesize_command import load_recipe

PASTED = """
parts:
  - studio: {class_path: pasted_studio.PastedStudio}
    scenes: {train: 2, test: 1}
others: {class_path: pasted_studio.Admirals}
gate: {num_frames: 1}
"""


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "eileen, né.png"
    Image.fromarray(np.asarray(astronaut())[20:260, 100:340]).save(path)
    return path


@pytest.fixture
def paper(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The paper's recipe, without any weights."""
    monkeypatch.setenv("PVCHAT_GENERATORS", str(tmp_path / "weights"))
    monkeypatch.setenv("PVCHAT_GALLERY", str(photo.parent))
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    return "synthesis/paper.yaml"


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "pasted.yaml"
    path.write_text(PASTED)
    return str(path)


def test_a_corpus_from_the_command_line(
    photo: Path, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "corpus"
    command = ["synthesize", "--subject", "eileen", "--reference", str(photo), "--consent", "public"]
    assert main([*command, "--out", str(out), "-c", config, "--questions.existence", "3"]) == 0
    records = read_manifest(out / "manifest.jsonl")
    assert Counter(qa.type for qa in records[0].qa)["existence"] == 3
    assert {r.consent for r in records if r.origin != "negative"} == {"public"}
    said = capsys.readouterr().out
    assert "[4/4]" in said
    assert "Distance from eileen: own clips" in said
    assert str(out / "contact_sheet.html") in said
    assert main([*command, "--out", str(out), "-c", config, "--questions.existence", "3"]) == 0
    assert "is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a corpus needs somebody: give --subject NAME --reference CLIP"),
        (["--subject", "tom"], "each --subject needs a --reference behind it: 'tom' has none"),
        (["--subject", "tom", "--reference", "none.mp4"], "none.mp4 does not exist"),
        (["--subject", "Tom!", "--reference", "PHOTO"], "'Tom!'"),
        (["--subject", "tom", "--reference", "PHOTO", "--face", "1", "--like", "PHOTO"], "Leave one out"),
        (
            ["--subject", "a", "--reference", "PHOTO", "--subject", "a", "--reference", "PHOTO"],
            "'a' is given 2 times",
        ),
        (
            ["--subject", "Ann", "--reference", "PHOTO", "--subject", "ann", "--reference", "PHOTO"],
            "'Ann' is given 2 times",
        ),
        (["--subject", "tom", "--reference", "PHOTO", "--gallery", "none"], "--gallery is a folder: none is"),
        (["--subject", "tom", "--reference", "PHOTO", "--places", "none"], "--places is a folder: none is"),
        (["--subject", "tom", "--reference", "PHOTO", "-c", "none.yaml"], "synthesis/laptop.yaml"),
        (["--subject", "tom", "--reference", "PHOTO", "--facse", "3"], "facse"),
        (["--subject", "tom", "--reference", "PHOTO", "--gallery", "EMPTY"], "has none"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(
    arguments: list[str], message: str, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    known = {"PHOTO": str(photo), "EMPTY": str(tmp_path / "empty")}
    arguments = [known.get(a, a) for a in arguments]
    assert main(["synthesize", "--out", str(tmp_path / "corpus"), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_references_are_opened_before_anything_is_made(
    photo: Path,
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = [tmp_path / "broken.mp4", tmp_path / "broken.jpg"]
    for file in broken:
        file.write_text("no picture")
    command = [
        "synthesize",
        "-c",
        config,
        "--out",
        str(tmp_path / "corpus"),
        "--subject",
        "tom",
        "--reference",
    ]
    assert main([*command, str(photo), str(broken[0]), "--like", str(broken[1])]) == 2
    said = capsys.readouterr()
    assert "2 references cannot be read" in said.err
    assert "[1/4]" not in said.out
    seen: list[list[Path]] = []
    monkeypatch.setattr(
        "pvchat.synthesis.pipeline.synthesize.known_subject",
        lambda subject, files, *_: seen.append(files) or signal.raise_signal(signal.SIGTERM),
    )
    assert main([*command, str(photo.parent)]) == 128 + signal.SIGTERM  # a folder
    assert seen == [[photo]]
    assert "broken.jpg' is not a photo" in capsys.readouterr().out


def test_options_of_a_subject_stand_behind_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["synthesize", "--reference", "a.mp4", "--subject", "tom", "--out", str(tmp_path)])
    assert "--reference is about the --subject before it" in capsys.readouterr().err


def test_commercial_refuses_what_forbids_it(
    photo: Path, paper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["--subject", "tom", "--reference", str(photo), "--out", str(tmp_path / "corpus")]
    assert main(["synthesize", *request, "-c", paper, "--commercial"]) == 2
    said = capsys.readouterr().err
    assert "insightface" in said
    assert "instead" in said
    assert "LivePortrait" not in said


def test_weights_that_are_not_there_are_missed_before_anything_is_made(
    photo: Path, paper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["--subject", "tom", "--reference", str(photo), "--out", str(tmp_path / "corpus")]
    assert main(["synthesize", *request, "-c", paper]) == 2
    said = capsys.readouterr()
    assert f"weights must be a folder: {tmp_path / 'weights' / 'consisid'} is not" in said.err
    assert "[1/4]" not in said.out
    assert not (tmp_path / "corpus").exists()


def test_a_recipe_is_shown_without_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "PVCHAT_GENERATORS", "PVCHAT_GALLERY"):
        monkeypatch.delenv(name, raising=False)
    assert main(["synthesize", "--print-config", "-c", "synthesis/paper.yaml", "--faces", "3"]) == 0
    shown = capsys.readouterr().out
    assert "faces: 3" in shown
    assert "folder: generators/consisid" in shown


def test_a_recipe_that_leaves_out_its_defaults_can_be_written_and_read(tmp_path: Path) -> None:
    """What a run goes on with is this text: an object in it would have another address each time."""
    recipe = tmp_path / "quick.yaml"
    recipe.write_text(
        "parts: [{studio: pvchat.synthesis.studio.photo_studio.PhotoStudio, scenes: {train: 1}}]"
    )
    found, text = load_recipe([str(recipe)], [])
    (tmp_path / "again.yaml").write_text(text)
    again, same = load_recipe([str(tmp_path / "again.yaml")], [])
    assert same == text
    assert "object at" not in text
    assert isinstance(again.others, PackagePeople)
    assert vars(again.others) == vars(found.others)


@pytest.mark.parametrize("name", ["synthesis/laptop.yaml", "synthesis/paper.yaml"])
def test_recipes_of_the_project(name: str, paper: str) -> None:
    recipe, text = load_recipe([name], ["--faces=3"])
    assert recipe.faces == 3
    assert load_recipe([name], ["--faces=3"])[1] == text  # it is compared when a run goes on


class Stub:
    """Every generator of the paper, and the captioner: pastes the photo, answers the same."""

    adapter = Adapter("stub", "1", "CC0-1.0", True, "stub")

    def film(self, photo: Frames, prompt: str, *, seed: int, num_frames: int) -> Made:
        return Made(pasted(photo, seed), 8, self.adapter, seed, prompt, ("photo",))

    def draw(self, photos: Sequence[Frames], prompt: str, *, seed: int) -> Made:
        return self.film(photos[0], prompt, seed=seed, num_frames=1)

    def animate(self, photo: Frames, motion: str, *, seed: int, num_frames: int, fps: float) -> Made:
        return self.film(photo, motion, seed=seed, num_frames=num_frames)

    def caption(self, frames: Frames, question: str) -> str:
        return "The person wears a blue coat."


class Crowd(Admirals):
    """``Admirals`` as 35 people."""

    def find(self, own: Sequence[Actor], looks: Look, *, seed: int) -> Others:
        ((grace,), _) = super().find(own, looks, seed=seed).strangers
        people = [[Actor(f"p{n}", f"p{n}", grace.photo)] for n in range(35)]
        return Others(people[:30], people[30:])


@pytest.mark.slow
def test_the_paper_recipe_makes_81_clips_and_1455_questions(photo: Path, paper: str, tmp_path: Path) -> None:
    recipe, _ = load_recipe([paper], [])
    videos, moving, portraits = (part.studio for part in recipe.parts)
    assert isinstance(videos, PromptedVideos)
    assert isinstance(moving, MovingPhotos)
    assert isinstance(portraits, PromptedPortraits)
    videos.video = moving.animator = portraits.animator = portraits.image = stub = Stub()
    videos.adapter = moving.adapter = portraits.adapter = stub.adapter
    recipe = replace(recipe, others=Crowd(), captioner=stub, gate=GateSettings(num_frames=1))
    request = SubjectRequest("eileen", [str(photo)], gender="female", age="young")
    records = read_manifest(synthesize([request], recipe, out=tmp_path / "corpus"))
    assert len(records) == 81
    assert sum(len(r.qa) for r in records) == 1455
    assert Counter((r.presence["eileen"], len(r.qa)) for r in records) == {
        (True, 30): 16, (True, 15): 15, (False, 15): 50,
    }  # fmt: skip
    assert Counter(r.origin for r in records) == {"real": 1, "generated": 25, "warp": 5, "negative": 50}
    prompted = {r.background for r in records if r.id.startswith("prompted")}
    of_others = {r.background for r in records if r.id.startswith("prompted") and not r.presence["eileen"]}
    assert len(prompted) == 10
    assert of_others == prompted


def test_a_studio_must_be_one(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(PASTED.replace("{class_path: pasted_studio.PastedStudio}", "nothing"))
    with pytest.raises(UserError, match=r"studio must be the path of a class.*got nothing"):
        load_recipe([str(path)], [])


RULES = "{class_path: pvchat.synthesis.rewriting.RuleRewriter, init_args: {gender: x}}"
CAPTIONER = "{class_path: pvchat.synthesis.captioning.EndpointCaptioner, init_args: {endpoint: 3}}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("train: 2, test: 1", "train: -2, test: 1", "train must be >= 0: got -2"),
        ("{train: 2, test: 1}", "{}\nreferences: none", "a corpus needs clips: no part has scenes"),
        ("train: 2, test: 1", "trian: 2", "scenes has no option 'trian': pvchat synthesize --print-config"),
        (
            "pasted_studio.PastedStudio",
            "pasted_studio.Nothing",
            "parts.studio must be a class that can be imp.*Nothing",
        ),
        ("PastedStudio}", "PastedStudio, init_args: {wait: 1}}", "parts.studio has no option 'wait'"),
        ("PastedStudio}", "PastedStudio, wait_s: 1}", "with class_path which Studio it is: got options"),
        ("    scenes", "    strangers: -1\n    scenes", "strangers must be >= 0: got -1"),
        ("    scenes", "    name: ../x\n    scenes", r"'\.\./x' holds more than letters"),
        ("num_frames: 1", "num_frames: 0", "num_frames must be >= 1: got 0"),
        ("num_frames: 1", "far: 7", r"gate\.far is a share between 0 and 1: got 7"),
        ("gate:", "faces: 0\ngate:", "faces must be >= 1: got 0"),
        ("gate:", "faces: many\ngate:", "^faces must be int: got many.$"),
        ("gate:", "fcaes: 1\ngate:", "^unknown option 'fcaes'"),
        ("gate: {num_frames: 1}", "gate: 1", "a group of options must name each of them: got an int"),
        ("Admirals", "Ground", "others must be .*Ground does not implement protocol OtherPeople"),
        (
            "gate:",
            f"rewriter: {RULES}\ngate:",
            "rewriter.gender must be one of 'male', 'female', null: got x",
        ),
        ("gate:", f"captioner: {CAPTIONER}\ngate:", "captioner.endpoint must be an Endpoint .*: got 3"),
        ("gate:", "faces: ${oc.env:NO_SUCH}\ngate:", "^faces must be filled in: .*'NO_SUCH' not found"),
        ("gate:", "questions: {existence: -1}\ngate:", "counts >= 0"),
        ("others:", "  - studio: {class_path: pasted_studio.PastedStudio}\n    scenes: {}\nothers:", "own"),
    ],
)
def test_what_is_wrong_in_a_recipe(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(PASTED.replace(old, new))
    with pytest.raises(UserError, match=message):
        load_recipe([str(path)], [])


@pytest.mark.parametrize(
    ("number", "place"),
    [
        (signal.SIGINT, "pvchat.synthesis.pipeline.known_subjects.find_faces"),
        (signal.SIGTERM, "pasted_studio.Others"),
        (signal.SIGINT, "pasted_studio.pasted"),
        (signal.SIGTERM, "pvchat.synthesis.pipeline.synthesize.finish"),
    ],
)
def test_who_ends_it_hears_how_it_goes_on(
    number: int,
    place: str,
    photo: Path,
    config: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["synthesize", "--subject", "eileen", "--reference", str(photo), "-c", config, "--out"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # jobs in the background ignore it
    try:
        with monkeypatch.context() as patch:
            patch.setattr(place, lambda *_, **__: signal.raise_signal(number))
            assert main([*command, str(tmp_path / "corpus")]) == 128 + number
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.endswith("interrupted. The same command goes on where it was.\n")


def test_more_can_be_said_about_a_gallery(
    photo: Path, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = ["--subject", "tom", "--reference", str(photo), "--out", str(tmp_path / "corpus"), "-c", config]
    own = ["--gallery", str(photo.parent), "--others.init_args.lookalikes", "3", "--print-config"]
    assert main(["synthesize", *request, *own]) == 0
    shown = capsys.readouterr().out
    assert "lookalikes: 3" in shown
    assert f"folder: {photo.parent}" in shown
