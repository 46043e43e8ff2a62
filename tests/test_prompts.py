"""The prompt of the paper, for any number of persons."""

import pytest

from pvchat.prompts import IGNORE, PromptBuilder, Turn
from pvchat.subjects import SubjectRegistry


class Letters:
    """One id a character, so that ids can be read back."""

    def encode(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        return [ord(c) for c in text]


VOCAB = 1000


def builder(names: list[str], *, soft: int = 2, template: str = "mistral", views: int = 1) -> PromptBuilder:
    registry = SubjectRegistry(names, num_soft_tokens=soft)
    return PromptBuilder(
        tokenizer=Letters(),
        registry=registry,
        vocab_size=VOCAB,
        template=template,  # type: ignore[arg-type]
        tokens_per_view=3,
        num_views=views,
    )


def read(prompts: PromptBuilder, turns: list[Turn], **controls: bool) -> str:
    """Ids as text: visual slots are ``~``, soft tokens ``*``."""
    out = prompts.encode(turns, **controls)
    shown = []
    for token, visual in zip(out.input_ids, out.visual, strict=True):
        if visual:
            shown.append("~")
        elif token >= VOCAB:
            shown.append(prompts.registry.row_text(token - VOCAB) or "*")
        else:
            shown.append(chr(token))
    return "".join(shown)


def test_the_prompt_of_the_paper() -> None:
    got = read(builder(["sks"], views=3), [Turn("Is <sks> here?", "Yes, <sks> is here.")])
    video = "<Video>~~~</Video>" * 3
    assert (
        got == f"<s>[INST] {video} [/INST] [INST][<sks> is **] Is <sks> here?[/INST]Yes, <sks> is here.</s>"
    )


@pytest.mark.parametrize("num_persons", [2, 3, 5])
def test_all_registered_persons_are_listed(num_persons: int) -> None:
    names = [f"p{i}" for i in range(num_persons)]
    got = read(builder(names), [Turn("Is <p1> here?")])
    blocks = "".join(f"[PERSON]<{n}> is **[/PERSON]" for n in names)
    assert f"[INST]{blocks} Is <p1> here?[/INST]" in got


@pytest.mark.parametrize("num_persons", [1, 2, 3, 5])
def test_the_prompt_does_not_tell_who_is_present(num_persons: int) -> None:
    prompts = builder([f"p{i}" for i in range(num_persons)])
    yes = prompts.encode([Turn("Is <p0> here?", "Yes.")])
    no = prompts.encode([Turn("Is <p0> here?", "No.")])
    cut = next(i for i, label in enumerate(yes.labels) if label != IGNORE)
    assert yes.input_ids[:cut] == no.input_ids[:cut]


def test_only_answers_are_supervised() -> None:
    turns = [Turn("Is <sks> here?", "Yes."), Turn("Where?", "On a beach.")]
    for template, eos in (("mistral", "</s>"), ("chatml", "<|im_end|>")):
        out = builder(["sks"], template=template).encode(turns)
        supervised = [label for label in out.labels if label != IGNORE]
        assert "".join(map(chr, supervised)) == f"Yes.{eos}On a beach.{eos}"
        assert all(label in (IGNORE, token) for label, token in zip(out.labels, out.input_ids, strict=True))


def test_controls_take_away_the_video_or_the_subject() -> None:
    prompts = builder(["sks"])
    assert "~" not in read(prompts, [Turn("Is <sks> here?")], with_video=False)
    without = read(prompts, [Turn("Is <sks> here?")], with_subjects=False)
    assert "<sks>" not in without
    assert "*" not in without
    assert "Is the person here?" in without


def test_padding_sides() -> None:
    prompts = builder(["sks"])
    encoded = [prompts.encode([Turn("a")]), prompts.encode([Turn("bcd")])]
    left = prompts.collate(encoded, pad_id=7, side="left")
    right = prompts.collate(encoded, pad_id=7)
    assert left.attention_mask[0].tolist() == [False, False] + [True] * (left.input_ids.shape[1] - 2)
    assert right.input_ids[0, -2:].tolist() == [7, 7]
    assert left.visual_mask.sum(1).tolist() == right.visual_mask.sum(1).tolist() == [3, 3]
    common = prompts.collate(encoded, pad_id=7, side="left", start=2)
    assert common.input_ids[0].tolist() == [*encoded[0].input_ids[:2], 7, 7, *encoded[0].input_ids[2:]]
    assert common.input_ids[1].tolist() == encoded[1].input_ids
    assert common.attention_mask[0, :5].tolist() == [True, True, False, False, True]


def test_unanswered_turns_come_last() -> None:
    with pytest.raises(ValueError, match="only the last turn"):
        builder(["sks"]).encode([Turn("a"), Turn("b")])
