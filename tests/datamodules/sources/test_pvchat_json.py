"""The released JSON in all its variants, through the datamodule."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pvchat.datamodules.manifest import Record
from pvchat.datamodules.sources import PVChatJSON
from pvchat.datamodules.sources.pvchat_json import _said
from pvchat.errors import UserError

AUTHORS = "/root/autodl-tmp/yufei"  # how paths begin in the released files
REAL, ANIMATED, MADE = (
    "datasets/cekebv-hq/35666",
    "DeepFaceLab/output/x/5_movie_video",
    "x/consisid_generation",
)
WriteVideo = Callable[..., Path]


def pair(question: str, answer: str, special: bool = True) -> dict[str, Any]:
    return {"question": question, "answer": answer, "is_special": special}


def clip(path: str, positive: bool, name: str = "<sks>", **more: Any) -> dict[str, Any]:
    yes, no = f"Yes, {name} is in this video.", f"I cannot find {name}."
    qa = [pair(f"Is {name} here?", yes if positive else no)]
    return {
        "video_name": Path(path).name,
        "video_path": f"{AUTHORS}/{path}",
        "sks_present": "",
        "gender": "male",
        "age": "",
        "is_positive": positive,
        "qa_pairs": qa,
        **more,
    }


def write(path: Path, clips: list[dict[str, Any]], key: str = "data") -> Path:
    path.write_text(json.dumps({key: clips}))
    return path


def load(tmp_path: Path, clips: list[dict[str, Any]], subjects: Any = "tom", **more: Any) -> list[Record]:
    file = write(tmp_path / "<Sh>test.json", clips, more.pop("key", "data"))
    return PVChatJSON(subjects=subjects, test=file, root=tmp_path, **more).records()


@pytest.mark.parametrize("key", ["data", "videos"])
@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("<sks>", {"sks_present": ""}),
        ("<Sh>", {"sks_present": "<Sh>"}),
        ("<Sh>", {"sks_present": "Sh"}),
        ("<<Sh>>", {"sks_present": "<<Sh>>"}),
        ("<sks1>", {}),
        ("<Sh>", {"sks_present1": "<Sh>"}),
        ("<tom>", {}),
    ],
)
def test_names(tmp_path: Path, key: str, name: str, field: dict[str, str]) -> None:
    """The subject's name is the one given, however the file spells it and whatever the file is called."""
    clips = [clip(f"{REAL}/a.mp4", True, name, **field), clip(f"{REAL}/b.mp4", False, name, **field)]
    records = load(tmp_path, clips, key=key)
    assert [r.presence for r in records] == [{"tom": True}, {"tom": False}]
    assert [r.qa[0].question for r in records] == ["Is <tom> here?"] * 2
    assert [r.qa[0].answer for r in records] == ["Yes, <tom> is in this video.", "I cannot find <tom>."]
    assert [r.qa[0].polarity for r in records] == ["yes", "no"]
    assert records[0].qa[0].subjects == ("tom",)


def test_unknown_names(tmp_path: Path) -> None:
    clips = [clip(f"{REAL}/a.mp4", True, "<Ro>")]
    message = "clip 1: <Ro> is none of the subjects ['tom']. Say who it is with aliases: {Ro: tom}."
    with pytest.raises(UserError, match=re.escape(message)):
        load(tmp_path, clips)
    assert load(tmp_path, clips, aliases={"Ro": "tom"})[0].qa[0].question == "Is <tom> here?"
    with pytest.raises(UserError, match="a subject name is 1-40 letters"):
        load(tmp_path, clips, subjects="<tom>")


def test_question_types(tmp_path: Path, reference: Path) -> None:
    bank = json.loads((reference / "pvchat-released" / "negative_sample_3question.json").read_text())
    kinds = {
        "action_questions": "action",
        "clothing_questions": "appearance",
        "location_questions": "location",
    }
    for group, kind in kinds.items():
        pairs = [pair(q, "<sks> is.", special=False) for q in bank["questions"][group]]
        [record] = load(tmp_path, [clip(f"{REAL}/a.mp4", True, qa_pairs=pairs)])
        assert {(qa.type, qa.polarity) for qa in record.qa} == {(kind, None)}


def test_other_questions_are_general(tmp_path: Path) -> None:
    pairs = [pair("Describe the video.", "A man.", special=False), {"question": "Who?", "answer": "<sks>."}]
    [record] = load(tmp_path, [clip(f"{REAL}/a.mp4", True, qa_pairs=pairs)])
    assert [qa.type for qa in record.qa] == ["general", "general"]
    assert [qa.subjects for qa in record.qa] == [("tom",), ("tom",)]


def test_origin_and_source(tmp_path: Path) -> None:
    clips = [
        clip(f"{REAL}/a.mp4", True),
        clip(f"{ANIMATED}/b.mp4", True, ori_video_name="a.mp4"),
        clip(f"{MADE}/b.mp4", True),
        clip(f"{ANIMATED}/c.mp4", False),
    ]
    records = load(tmp_path, clips)
    assert [r.origin for r in records] == ["real", "generated", "generated", "negative"]
    assert [r.source_id for r in records] == ["a.mp4", "a.mp4", "b.mp4", "c.mp4"]
    assert len({r.id for r in records}) == 4  # file names repeat, clips do not


def two(
    kind: str | None, answer: str, positive: bool = True, names: Any = ("<Sh>", "<Ho>")
) -> dict[str, Any]:
    one, other = names
    qa = [pair(f"Is there any trace of {one} or {other}?", answer.replace("A", one).replace("B", other))]
    more = {} if kind is None else {"sample_type": kind}
    return clip(
        f"{REAL}/{kind}{hash((answer, positive))}.mp4",
        positive,
        qa_pairs=qa,
        sks_present1=one,
        sks_present2=other,
        **more,
    )


@pytest.mark.parametrize("names", [("<Sh>", "<Ho>"), ("<sks1>", "<sks2>"), ("<<Sh>>", "<<Ho>>")])
@pytest.mark.parametrize(
    ("kind", "answer", "positive", "presence", "polarity"),
    [
        ("person1", "Only A is here.", True, (True, False), "yes"),
        ("person2", "B is here, A is not.", True, (False, True), "yes"),
        ("both", "Both A and B are here.", True, (True, True), "yes"),
        ("random", "Neither A nor B is here.", False, (False, False), "no"),
        (None, "I can see A, but there's no trace of B.", True, (True, False), "yes"),
        (None, "B is visible, while A isn't.", True, (False, True), "yes"),
        (None, "I can see both A and B in frame.", True, (True, True), "yes"),
        (None, "Neither A nor B appear.", False, (False, False), "no"),
    ],
)
def test_two_persons(
    tmp_path: Path,
    names: tuple[str, str],
    kind: str | None,
    answer: str,
    positive: bool,
    presence: tuple[bool, bool],
    polarity: str,
) -> None:
    item = two(kind, answer, positive, names)
    [record] = load(tmp_path, [item], subjects=["tom", "ann"])
    assert tuple(record.presence.values()) == presence
    assert record.qa[0].question == "Is there any trace of <tom> or <ann>?"
    assert record.qa[0].polarity == polarity
    assert record.qa[0].subjects == ("tom", "ann")


def test_presence_nobody_tells(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="clip 1: neither sample_type nor existence answers tell whether 'tom'"
    ):
        load(tmp_path, [two(None, "Who knows?")], subjects=["tom", "ann"])
    with pytest.raises(UserError, match=r"clip 1: <sks2> is none of the subjects \['tom'\]"):
        load(tmp_path, [two("both", "A and B.", names=("<sks1>", "<sks2>"))], subjects="tom")


@pytest.mark.parametrize(
    ("positive", "answer", "said"),
    [
        (True, "No, <sks> is not here.", "<tom> is there, .* must not open with 'No': got 'No, <tom> is not"),
        (True, " no.", "<tom> is there, .* must not open with 'no'"),
        (False, "Yes, <sks> is here.", "<tom> is not there, .* must not open with 'Yes'"),
    ],
)
def test_an_answer_that_opposes_the_clip(tmp_path: Path, positive: bool, answer: str, said: str) -> None:
    item = clip(f"{REAL}/a.mp4", positive, qa_pairs=[pair("Is <sks> here?", answer)])
    with pytest.raises(UserError, match=f"^<Sh>test.json clip 2: {said}"):
        load(tmp_path, [clip(f"{REAL}/b.mp4", True), item])


@pytest.mark.parametrize("answer", ["No doubt, <sks> is here.", "No one but <sks> is here.", "Nobody else."])
def test_not_every_no_denies(tmp_path: Path, answer: str) -> None:
    [record] = load(tmp_path, [clip(f"{REAL}/a.mp4", True, qa_pairs=[pair("Is <sks> here?", answer)])])
    assert record.qa[0].polarity == "yes"


def test_a_no_about_one_of_two(tmp_path: Path) -> None:
    item = two("person1", "Only A is here.")
    item["qa_pairs"] += [pair("Is <Ho> here?", "No."), pair("Is <Sh> here?", "Yes.")]
    [record] = load(tmp_path, [item], subjects=["tom", "ann"])
    assert [qa.polarity for qa in record.qa] == ["yes", "no", "yes"]


@pytest.mark.parametrize("value", ["false", 0, None])
def test_is_special_is_no_string(tmp_path: Path, value: Any) -> None:
    item = clip(f"{REAL}/a.mp4", True, qa_pairs=[pair("What?", "<sks> sits.", special=value)])
    with pytest.raises(UserError, match=rf"clip 1: is_special must be true or false: got {value!r}\."):
        load(tmp_path, [item])


def test_answers_of_the_released_banks(reference: Path) -> None:
    """Who is there, read from every existence answer of the released banks for two and three persons."""
    for people in (2, 3):
        path = reference / "pvchat-released" / f"famaliar_question_{people}people.json"
        names = [f"sks{n + 1}" for n in range(people)]
        for key, answers in json.loads(path.read_text()).items():
            if key != "questions":
                everybody = "yes" in key if "all" in key or "both" in key else None
                truth = {n: everybody if everybody is not None else f"{n}_yes" in key for n in names}
                assert [a for a in answers if _said(a) != truth] == [], key


@pytest.mark.parametrize("layout", ["authors", "below datasets", "flat"])
def test_root(tmp_path: Path, write_video: WriteVideo, layout: str) -> None:
    """As many leading folders are dropped as make the clips found."""
    paths = ["datasets/one/a.mp4", "datasets/two/b.mp4", "datasets/two/c.mp4"]
    for path in paths[:2]:
        inside = {"authors": f"{AUTHORS}/{path}", "below datasets": path[9:], "flat": Path(path).name}[layout]
        write_video(tmp_path / "clips" / inside.lstrip("/"), [0, 0])
    file = write(tmp_path / "train.json", [clip(path, True) for path in paths])
    records = PVChatJSON(subjects="tom", train=file, root=tmp_path / "clips").records()
    assert [r.path.is_file() for r in records] == [True, True, False]
    assert [r.id for r in records] == ["train/one/a.mp4", "train/two/b.mp4", "train/two/c.mp4"]


def test_root_never_merges_clips(tmp_path: Path, write_video: WriteVideo) -> None:
    """Two clips of one name are not both found in the one file of that name."""
    write_video(tmp_path / "42_0000.mp4", [0, 0])
    file = write(tmp_path / "train.json", [clip(f"{d}/42_0000.mp4", True) for d in "ab"])
    records = PVChatJSON(subjects="tom", train=file, root=tmp_path).records()
    assert [r.path.is_file() for r in records] == [False, False]


def test_paths_without_a_root(tmp_path: Path) -> None:
    items = [clip("", True, video_path=str(tmp_path / "a.mp4")), clip("", True, video_path="clips/b.mp4")]
    source = PVChatJSON(subjects="tom", test=write(tmp_path / "x.json", items))
    assert [r.path for r in source.records()] == [tmp_path / "a.mp4", tmp_path / "clips" / "b.mp4"]


def test_missing_clips_are_named_and_counted(
    tmp_path: Path, write_video: WriteVideo, make_data: Any, extractor: Any, capsys: Any
) -> None:
    clips = [clip(f"{REAL}/{n}.mp4", n % 2 == 0) for n in range(8)]
    for n in range(2, 8):
        write_video(tmp_path / REAL / f"{n}.mp4", [n, n])
    file = write(tmp_path / "train.json", clips)
    source = PVChatJSON(subjects="tom", train=file, root=tmp_path)
    with pytest.raises(
        UserError, match=r"2 of 8 reference and train clips do not exist: .*0.mp4, .*1.mp4. Corr"
    ):
        make_data(source, extractor).setup("fit")
    data = make_data(source, extractor, on_bad_clip="skip")
    data.setup("fit")
    assert set(data.bad_clips) == {"train/0.mp4", "train/1.mp4"}
    said = capsys.readouterr().err
    assert "2 of 8 reference and train clips are left out:\n  train/0.mp4: clip '" in said
    assert "train/1.mp4: clip '" in said
    batches = list(data.epoch_loader(0))
    assert {e.clip_id for b in batches for e in b.examples} == {f"train/{n}.mp4" for n in range(2, 8)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "x.json is not valid JSON"),
        ('{"data": ' + "[" * 100_000, "x.json is not valid JSON"),
        ('{"videos": 3}', 'x.json must hold a list of clips under "data" or "videos"'),
        ("[]", "must hold a list of clips"),
        ('{"data": [{"video_path": 3}]}', "x.json clip 1: video_path must be a non-empty string: got 3"),
        ('{"data": [{"video_path": "a.mp4", "qa_pairs": 3}]}', "clip 1: qa_pairs must be a list of objects"),
        ('{"data": [{"video_path": "a.mp4"}]}', "clip 1: is_positive must be true or false: got None"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=message):
        PVChatJSON(subjects="tom", test=tmp_path / "x.json", root=tmp_path).records()


def test_nothing_given(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs subjects and at least one of train, validation and test"):
        PVChatJSON(subjects="tom")
    with pytest.raises(UserError, match=r"x.json cannot be read: No such file"):
        PVChatJSON(subjects="tom", test=tmp_path / "x.json").records()


def test_fingerprint(tmp_path: Path) -> None:
    def fingerprint(subject: str, clips: list[dict[str, Any]]) -> str:
        return PVChatJSON(subjects=subject, test=write(tmp_path / "x.json", clips)).fingerprint

    one = [clip("a.mp4", True)]
    assert fingerprint("tom", one) == fingerprint("tom", one)
    assert len({fingerprint("tom", one), fingerprint("ann", one), fingerprint("tom", one * 2)}) == 3


def test_released_corpus(
    tmp_path: Path, reference: Path, write_video: WriteVideo, make_data: Any, extractor: Any
) -> None:
    """Both files as they are, all 1,013 clips through the datamodule; the clips are not public, so each
    stands for the same three frames of its split: decoded once, for the cache knows content, not names."""
    folder = reference / "pvchat-released"
    for name, levels in (("train_all_video.json", [0, 100, 200]), ("test_all_video.json", [0, 50, 100])):
        blank = write_video(tmp_path / f"{name}.mp4", levels)
        for item in json.loads((folder / name).read_text())["data"]:
            target = tmp_path / "root" / item["video_path"].removeprefix(f"{AUTHORS}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.hardlink_to(blank)
    source = PVChatJSON(
        subjects="tom",
        train=folder / "train_all_video.json",
        test=folder / "test_all_video.json",
        root=tmp_path / "root",
    )
    records = source.records()
    assert Counter(r.split for r in records) == {"train": 656, "test": 357}
    assert Counter((r.split, r.presence["tom"]) for r in records) == {
        ("train", True): 626,
        ("train", False): 30,
        ("test", True): 347,
        ("test", False): 10,
    }
    assert {len(r.qa) for r in records} == {15}
    assert {qa.subjects for r in records for qa in r.qa} == {("tom",)}
    data = make_data(source, extractor, test_variants=("main",), batch_size=32)
    data.setup("fit")
    data.setup("test")
    assert data.bad_clips == {}
    assert extractor.calls == 2
    assert len(data.test_dataloader("main").dataset) == 357 * 15
    loader = data.epoch_loader(0)
    assert len(next(iter(loader))) == 32
    counts = Counter(loader.questions.pairs[i][1].polarity for batch in loader.batches for i in batch)
    assert counts["yes"] == counts["no"] == 626 * 15
