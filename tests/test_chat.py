"""``pvchat chat``: history, another clip, slips of the pen, one question and out."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny import draw, save_clip

from pvchat import chat, cli
from pvchat.chat import HELP, Conversation
from pvchat.loading import PersonalModel, load_run
from pvchat.modules.video_chat import VideoChat
from pvchat.prompts import Turn


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> PersonalModel:
    return load_run(tiny_run)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("clips")
    one = save_clip(folder / "tom.png", [draw(("tom",), "red", "inside")])
    other = save_clip(folder / "two words.png", [draw(("stranger",), "blue", "outside")])
    return str(one), str(other)


@pytest.fixture
def talk(
    model: PersonalModel,
    clips: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, list[str], str]]:
    """``talk(*lines)`` types the lines: exit code, what was printed, what was complained about."""
    monkeypatch.setattr(chat, "load_run", lambda _: model)

    def say(*lines: str, ask: str | None = None) -> tuple[int, list[str], str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        one_shot = ["--ask", ask] if ask else []
        code = cli.main(["chat", "--run", "x", "--clip", clips[0], "--max-new-tokens", "6", *one_shot])
        shown = capsys.readouterr()
        return code, shown.out.splitlines(), shown.err

    return say


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[list[Turn]]:
    """The turns of every question as the model gets them; it answers with their number."""
    turns: list[list[Turn]] = []

    def scripted(self: VideoChat, batch: object, asked: list[Turn], **_: int) -> Iterator[str]:
        turns.append(list(asked))
        yield from ("I see ", "<tom>", f" {len(turns)}.")

    monkeypatch.setattr(VideoChat, "stream", scripted)
    return turns


Talk = Callable[..., tuple[int, list[str], str]]


def test_one_question_and_out(model: PersonalModel, clips: tuple[str, str], talk: Talk) -> None:
    """The streamed answer is the one that a batch gives; only the brackets are for us."""
    code, shown, complaints = talk(ask="Is tom here?")
    batch = model.batch(model.look(clips[0]), "Is <tom> here?")
    (answer,) = model.chat.answer(batch, max_new_tokens=6)
    assert (code, complaints) == (0, "")
    assert shown == f"{answer.replace('<', '').replace('>', '')}\n".splitlines()


def test_plain_names_are_understood(talk: Talk, seen: list[list[Turn]]) -> None:
    talk(ask="Is TOM here, or tomorrow?")
    assert seen == [[Turn("Is <tom> here, or tomorrow?")]]


def test_history_is_kept(talk: Talk, seen: list[list[Turn]]) -> None:
    code, shown, _ = talk("Is tom here?", "What is tom wearing?")
    assert code == 0
    assert shown[1:] == ["I see tom 1.", "I see tom 2."]
    answered = Turn("Is <tom> here?", "I see <tom> 1.")
    assert seen == [[Turn("Is <tom> here?")], [answered, Turn("What is <tom> wearing?")]]


def test_history_can_be_forgotten(talk: Talk, seen: list[list[Turn]]) -> None:
    _, shown, _ = talk("Is tom here?", "/reset", "Is tom here?")
    assert seen == [[Turn("Is <tom> here?")]] * 2
    assert shown[1:] == ["I see tom 1.", "History forgotten.", "I see tom 2."]


def test_another_clip_starts_anew(
    model: PersonalModel, clips: tuple[str, str], talk: Talk, seen: list[list[Turn]]
) -> None:
    _, shown, _ = talk("Is tom here?", f"/clip {clips[1]}", "Is tom here?")
    assert seen == [[Turn("Is <tom> here?")]] * 2
    assert shown[2] == f"Now watching {clips[1]}."
    conversation = Conversation(model, clips[0])
    first = conversation.features
    conversation.show(clips[1])
    assert not (conversation.features["global"] == first["global"]).all()


def test_a_wrong_file_or_name_ends_nothing(talk: Talk, seen: list[list[Turn]]) -> None:
    """One sentence each, on stderr; the clip and the history stay."""
    code, shown, complaints = talk(
        "Is tom here?", "/clip nowhere.mp4", "/clip", "Is <ann> here?", "What is tom wearing?"
    )
    assert code == 0
    assert shown[1:] == ["I see tom 1.", "I see tom 2."]
    nowhere, none, unknown = complaints.splitlines()
    assert nowhere.startswith("error: ")
    assert "nowhere.mp4" in nowhere
    assert none == "error: give a file: /clip FILE"
    assert unknown == "error: unknown subject 'ann'; registered: ['tom']."
    assert [turn.question for turn in seen[-1]] == ["Is <tom> here?", "What is <tom> wearing?"]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_names_of_clips_may_be_quoted(
    clips: tuple[str, str], talk: Talk, seen: list[list[Turn]], quote: str
) -> None:
    _, shown, complaints = talk(f"/clip {quote}{clips[1]}{quote}")
    assert (shown[1], complaints) == (f"Now watching {clips[1]}.", "")


def test_stray_bytes_end_nothing(
    talk: Talk, clips: tuple[str, str], seen: list[list[Turn]], monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(ask="Is tom \udcff here?")  # as Python hands over such an argument
    typed = io.TextIOWrapper(io.BytesIO(b"Is tom \xff here?\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", typed)
    assert cli.main(["chat", "--run", "x", "--clip", clips[0]]) == 0
    assert [turns[-1].question for turns in seen] == ["Is <tom> ? here?", "Is <tom> \ufffd here?"]


def test_help_blank_lines_and_the_end(talk: Talk, seen: list[list[Turn]]) -> None:
    _, shown, _ = talk("/help", "", "/quit", "Is tom here?")
    assert shown[1:] == [HELP]
    assert seen == []
    assert shown[0].endswith(f"(I know tom). {HELP}")


def test_an_interrupted_answer_is_not_remembered(model: PersonalModel, clips: tuple[str, str]) -> None:
    conversation = Conversation(model, clips[0])
    answer = conversation.ask("Is tom here?")
    next(answer)
    answer.close()
    assert conversation.turns == []
    list(conversation.ask("Is tom here?"))
    assert len(conversation.turns) == 1


@pytest.mark.parametrize(
    ("run", "clip", "message"),
    [("nowhere", "tom.png", "a run folder holds config.yaml"), (None, "nowhere.mp4", "nowhere.mp4")],
)
def test_a_start_that_fails_is_one_sentence(
    tiny_run: Path, capsys: pytest.CaptureFixture[str], run: str | None, clip: str, message: str
) -> None:
    assert cli.main(["chat", "--run", run or str(tiny_run), "--clip", clip]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pvchat: error: ")
    assert message in line
