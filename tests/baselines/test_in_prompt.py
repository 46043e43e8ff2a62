"""What stands in the prompt of a model that keeps nothing of a person, and that it is shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import make_batch, make_chat, make_corpus

from pvchat.baselines import InPrompt
from pvchat.batch import Example, TrainingClip
from pvchat.datamodules.manifest import read_manifest
from pvchat.errors import UserError
from pvchat.modules.video_chat import VideoChat
from pvchat.prompts import Turn

WEARS = ("<tom> wears red.", "<tom> wears red.", "<tom> has a hat on.")


def clip(chat: VideoChat, name: str, *answers: str) -> TrainingClip:
    batch = make_batch(chat, "?")
    features = {n: v[0] for n, v in batch.views.items()}
    features |= {f"{n}.mask": m[0] for n, m in batch.view_masks.items()}
    examples = [Example("", "", "?", a, "appearance", None, (name,), {}, "real") for a in answers]
    return TrainingClip(name, features, examples, {"tom": name == "tom", "ann": name == "ann"}, False)


def make(reference: Any, **more: Any) -> VideoChat:
    introduction = InPrompt(reference=reference, **more)
    subjects = ("tom", "ann")
    return make_chat(
        subjects, introduction=introduction, num_soft_tokens=0, num_personal_query_tokens=0
    ).eval()


def prompt(chat: VideoChat, *, with_video: bool = True, with_subjects: bool = True) -> str:
    """The prompt as text, visual slots as ``_``."""
    turns = [Turn("Is <tom> here?")]
    found = chat.prompts.encode(turns, with_video=with_video, with_subjects=with_subjects)
    assert max(found.input_ids) < chat.language_model.vocab_size  # no token of a person's own
    ids = chat.language_model.tokenizer.encode("_", add_special_tokens=False)
    shown = [ids[0] if slot else token for token, slot in zip(found.input_ids, found.visual, strict=True)]
    text = chat.language_model.tokenizer.decode(shown)
    return text.partition("user\n")[2].partition("\nassistant\n")[0]


CLIP = "<Video>____</Video>"


def test_the_base_model_is_asked_by_name() -> None:
    assert prompt(make("none")) == f"{CLIP}\nIs tom here?"
    assert prompt(make("none"), with_subjects=False) == f"{CLIP}\nIs the person here?"


def test_a_description_is_made_of_the_reference_or_given() -> None:
    chat = make("description", descriptions={"ann": "a woman in black."})
    chat.study([clip(chat, "tom", *WEARS)])
    told = "tom: tom wears red. tom has a hat on. ann: a woman in black. "
    assert prompt(chat) == f"{CLIP}\n{told}Is tom here?"
    assert prompt(chat, with_video=False) == f"{told}Is tom here?"
    with pytest.raises(UserError, match="a description of 'tom' is made of answers on appearance"):
        chat.study([clip(chat, "tom")])


def test_the_reference_comes_first_in_the_prompt() -> None:
    chat = make("clip")
    introduced = f"This is tom: {CLIP}\nThis is ann: {CLIP}\nThis is another video: "
    assert prompt(chat) == f"{introduced}{CLIP}\nIs tom here?"
    assert prompt(chat, with_video=False) == "Is tom here?"


def test_the_references_tokens_fill_the_first_slots() -> None:
    """In the order of the persons, the same before every clip, and as the clip alone would be read."""
    chat = make("clip")
    planned = chat.encode(make_batch(chat, "Is <tom> here?")).tokens  # before anything is known
    clips = [clip(chat, "ann"), clip(chat, "tom")]
    chat.study(clips)
    batch = make_batch(chat, "Is <tom> here?", "Is <ann> here?")
    shown = chat.encode(batch).tokens
    alone = chat.encode(batch, control="no_subject_tokens").tokens
    assert shown.shape[1] == planned.shape[1] == 3 * alone.shape[1]
    torch.testing.assert_close(shown[:, 8:], alone)
    for place, known in enumerate((clips[1], clips[0])):
        for name in batch.views:
            batch.views[name][:] = known.features[name]
        seen = chat.encode(batch, control="no_subject_tokens").tokens
        torch.testing.assert_close(shown[:, 4 * place : 4 * place + 4], seen)
    batch = make_batch(chat, "Is <tom> here?")
    before = chat.presence_scores(batch).item()
    chat.study([clip(chat, "ann"), clip(chat, "tom")])  # others
    assert chat.presence_scores(batch).item() != before


@pytest.mark.parametrize("name", ["base_model", "described", "reference_in_context"])
def test_nothing_trains_and_everything_is_asked(
    name: str, tested: Callable[..., Any], tiny_corpus: Path
) -> None:
    found = tested(name, "--model.controls=[main,text_only,face_blanked,base_model]")
    assert found.moved == set()
    asked = sum(len(r.qa) for r in read_manifest(tiny_corpus) if r.split == "test")
    assert sum(p["control"] == "main" for p in found.predictions) == asked
    assert found.metrics["test/main/presence_auc"] == found.metrics["test/base_model/presence_auc"]
    assert found.metrics["test/text_only/presence_auc"] == 0.5


@pytest.mark.slow
def test_with_training_the_reference_is_learned_from(tested: Callable[..., Any], tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "more", clips={"train": 16, "validation": 4, "test": 12})
    stages = ("--stages.image.epochs=1", "--stages.video.epochs=6")
    found = tested("reference_in_context", *stages, corpus=corpus)
    assert found.metrics["test/main/presence_auc"] > 0.9
    assert found.metrics["test/text_only/presence_auc"] == 0.5
