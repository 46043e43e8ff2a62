"""The whole model without Lightning: any number of persons, no leak, deterministic answers, clean groups."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tiny import DrawnFaces, changed, draw, make_batch, make_chat, state

from pvchat.batch import Batch, Example
from pvchat.errors import UserError
from pvchat.modules.language_model import RandomLanguageModel
from pvchat.modules.video_chat import Control, VideoChat, Visual
from pvchat.prompts import IGNORE, PromptBuilder, Turn
from pvchat.subjects import SubjectRegistry

FIVE = ("tom", "ann", "bob", "eva", "max")
QUESTIONS = (
    ("Is <tom> here?", "Yes, <tom> is here."),
    ("What is <tom> wearing?", "<tom> is wearing red."),
    ("Do you see <tom> in this video?", "No."),
)


def loss_of(chat: VideoChat, batch: Batch) -> torch.Tensor:
    out = chat(batch)
    return torch.nn.functional.cross_entropy(out.logits, out.labels)


@pytest.mark.parametrize("persons", [1, 2, 3, 5])
def test_any_number_of_persons_is_one_code_path(persons: int) -> None:
    """Released bug 9: the released scripts exist once for each number of persons."""
    names = FIVE[:persons]
    chat = make_chat(names)
    batch = make_batch(chat, *((f"Is <{n}> here?", f"Yes, <{n}> is here.") for n in names), "Who is here?")
    assert batch.person_mask.tolist() == [
        *([n == m for m in range(persons)] for n in range(persons)),
        [True] * persons,
    ]
    loss_of(chat, make_batch(chat, *((f"Is <{n}> here?", "No.") for n in names))).backward()
    assert all(rows.any() for rows in chat.qformer.personal_query_tokens.grad)
    visual = chat.encode(batch)
    assert visual.tokens.shape == (persons + 1, 4 + 4 * persons, 64)
    assert visual.mask.sum(1).tolist() == [4 + 4] * persons + [4 + 4 * persons]
    assert len(chat.eval().answer(batch, max_new_tokens=3)) == persons + 1


def test_prompt_does_not_depend_on_who_is_there() -> None:
    """Released bug 9: the released two-person prompt lists only who is present, so the prompt
    tells the answer."""
    chat = make_chat(("tom", "ann"))

    def ours(example: Example) -> list[int]:
        return chat.prompts.encode([Turn(example.question)]).input_ids

    def released(example: Example) -> list[int]:
        listed = SubjectRegistry([n for n, there in example.presence.items() if there], num_soft_tokens=2)
        builder = PromptBuilder(
            tokenizer=chat.language_model.tokenizer,
            registry=listed,
            vocab_size=chat.language_model.vocab_size,
            template="chatml",
            tokens_per_view=chat.qformer.num_queries,
        )
        return builder.encode([Turn(example.question.replace("<tom>", "Tom"))]).input_ids

    def leaks(prompt: Callable[[Example], list[int]]) -> bool:
        example = make_batch(chat, "Is <tom> here?").examples[0]
        there = replace(example, presence={"tom": True, "ann": True}, answer="Yes.", polarity="yes")
        gone = replace(example, presence={"tom": False, "ann": True}, answer="No.", polarity="no")
        return prompt(there) != prompt(gone)

    assert leaks(released)
    assert not leaks(ours)


def test_answers_and_scores_do_not_see_the_labels() -> None:
    """Everything but the question and the clip may be wrong: nothing changes."""
    chat = make_chat(("tom", "ann")).eval()
    batch = make_batch(chat, ("Is <tom> here?", "Yes, <tom> is here."))
    lie = replace(batch.examples[0], answer="No.", polarity="no", presence={"tom": False, "ann": True})
    other = replace(batch, examples=[lie])
    assert torch.equal(chat.presence_scores(batch), chat.presence_scores(other))
    assert chat.answer(batch, max_new_tokens=5) == chat.answer(other, max_new_tokens=5)


@pytest.mark.parametrize("persons", [2, 3, 5])
def test_asking_for_one_person_does_not_touch_the_personal_queries_of_another(persons: int) -> None:
    """Released bug 9: the query mask of the paper's figure S4 is not released."""
    chat = make_chat(FIVE[:persons])
    loss_of(chat, make_batch(chat, ("Is <ann> here?", "Yes."), ("What is <ann> wearing?", "Red."))).backward()
    touched = [bool(rows.any()) for rows in chat.qformer.personal_query_tokens.grad]
    assert touched == [n == 1 for n in range(persons)]

    chat.zero_grad()
    everybody = replace(
        make_batch(chat, ("Is <ann> here?", "Yes.")), person_mask=torch.ones(1, persons).bool()
    )
    loss_of(chat, everybody).backward()  # as released: no mask
    assert all(rows.any() for rows in chat.qformer.personal_query_tokens.grad)


def test_presence_loss_sees_those_asked_about_of_whom_is_known() -> None:
    """The queries of others are masked: their hidden states are zeros."""
    chat = make_chat(("tom", "ann", "bob"))
    batch = make_batch(chat, ("Is <ann> here?", "Yes."), ("Is <tom> or <bob> here?", "No."))
    examples = [
        replace(batch.examples[0], presence={"tom": False, "ann": True, "bob": False}),
        replace(batch.examples[1], presence={"tom": False, "ann": True}),
    ]
    batch = replace(batch, examples=examples)
    visual, (logits, truth, counted) = chat.encode(batch), chat(batch).presence
    assert torch.equal(logits, visual.presence)
    assert counted.tolist() == [[False, True, False], [True, False, False]]
    assert truth[counted].tolist() == [True, False]


def test_answers_do_not_depend_on_the_rest_of_the_batch() -> None:
    """Released bug 11: answers are the same alone, in company, and behind longer prompts."""
    chat = make_chat(seed=3).eval()
    batch = make_batch(chat, *QUESTIONS)
    together = chat.answer(batch, max_new_tokens=12)
    assert len({len(chat.prompts.encode([Turn(q)]).input_ids) for q, _ in QUESTIONS}) == 3
    for n in range(len(batch)):
        one = Batch(
            [batch.examples[n]],
            {k: v[n : n + 1] for k, v in batch.views.items()},
            {k: v[n : n + 1] for k, v in batch.view_masks.items()},
            batch.person_mask[n : n + 1],
        )
        assert chat.answer(one, max_new_tokens=12) == [together[n]]
        assert "".join(chat.stream(one, [Turn(QUESTIONS[n][0])], max_new_tokens=12)) == together[n]
        torch.testing.assert_close(
            chat.presence_scores(one), chat.presence_scores(batch)[n : n + 1], atol=1e-5, rtol=0
        )


def test_a_clip_is_seen_once_for_all_questions_about_the_same_persons(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Answers and scores stay those of each question alone, also where another person is asked about."""
    chat = make_chat(("tom", "ann"), seed=3).eval()
    asked = ("Is <tom> here?", "Do you see <tom> in this video?", "Is <ann> here?", "Is <tom> in it?")
    batch = make_batch(chat, *asked)
    for views in (batch.views, batch.view_masks):
        for tensor in views.values():
            tensor[1:3] = tensor[0]  # three questions about one clip, the last about another
    clips = ("a", "a", "a", "b")
    batch = replace(
        batch, examples=[replace(e, clip_id=c) for e, c in zip(batch.examples, clips, strict=True)]
    )
    alone = [chat.answer(batch.select([n]), max_new_tokens=12)[0] for n in range(4)]
    scores = torch.cat([chat.presence_scores(batch.select([n])) for n in range(4)])
    seen: list[list[str]] = []
    encode = chat.encode

    def watched(part: Batch, *, control: Control) -> Visual:
        seen.append([e.question for e in part.examples])
        return encode(part, control=control)

    monkeypatch.setattr(chat, "encode", watched)
    assert chat.answer(batch, max_new_tokens=12) == alone
    torch.testing.assert_close(chat.presence_scores(batch), scores, atol=1e-5, rtol=0)
    assert seen == [[asked[0], asked[2], asked[3]]] * 2
    assert len(set(alone)) > 1


def test_answers_are_not_drawn() -> None:
    """Released bug 11: the released code samples its answers, without a seed."""
    chat = make_chat().eval()
    batch = make_batch(chat, *QUESTIONS)

    def released() -> list[int]:
        embeds, attention, _ = chat._questions(batch, "main")
        logits = chat.language_model.logits(chat.language_model.hidden(embeds, attention)[:, -1])
        return logits.softmax(-1).multinomial(1).flatten().tolist()

    def outcomes(answer: Callable[[], object]) -> int:
        seen = set()
        for seed in range(4):
            torch.manual_seed(seed)
            seen.add(repr(answer()))
        return len(seen)

    assert outcomes(released) > 1
    assert outcomes(lambda: chat.answer(batch, max_new_tokens=8)) == 1
    before = torch.get_rng_state()
    chat.answer(batch, max_new_tokens=4)
    assert torch.equal(torch.get_rng_state(), before)


def test_asking_changes_no_state() -> None:
    """Released bug 2 (model side): generate and eval leave the whole state bit-identical."""
    chat = make_chat(dropout=0.1).eval()
    batch = make_batch(chat, *QUESTIONS)
    before = state(chat)
    for _ in range(2):
        chat(batch)
        chat.presence_scores(batch)
        chat.answer(batch, max_new_tokens=4)
    assert changed(before, chat) == set()


def test_only_answers_are_scored_and_each_has_one_first_token() -> None:
    chat = make_chat().eval()
    out = chat(make_batch(chat, *QUESTIONS))
    texts = [chat.language_model.decode(labels, chat.registry) for labels in split(out.labels, out.first)]
    assert texts == [answer for _, answer in QUESTIONS]
    assert int(out.first.sum()) == len(QUESTIONS)
    assert out.logits.shape == (len(out.labels), chat.language_model.vocab_size + chat.registry.num_rows)
    assert out.logits.dtype == torch.float32


def test_presence_is_yes_minus_no_as_first_word() -> None:
    chat = make_chat().eval()
    batch = make_batch(chat, "Is <tom> here?", "Do you see <tom> in this video?")
    first = {"Yes": [], "No": []}
    for word, logits in first.items():
        answered = replace(batch, examples=[replace(e, answer=word) for e in batch.examples])
        out = chat(answered)
        assert len(set(out.labels[out.first].tolist())) == 1
        logits += out.logits[out.first, out.labels[out.first]].tolist()
    expected = [yes - no for yes, no in zip(*first.values(), strict=True)]
    assert all(first["No"])
    assert chat.presence_scores(batch).tolist() == pytest.approx(expected, abs=1e-4)


def split(labels: torch.Tensor, first: torch.Tensor) -> list[list[int]]:
    starts = [*first.nonzero().flatten().tolist(), len(labels)]
    return [labels[a:b].tolist() for a, b in pairwise(starts)]


def test_logits_at_supervised_positions_are_those_of_the_whole_sequence() -> None:
    """The shift by one and the selection, against the plain computation for a single row."""
    chat = make_chat().eval()
    batch = make_batch(chat, QUESTIONS[0])
    tokens = chat.prompts.collate([chat.prompts.encode([Turn(*QUESTIONS[0])])], pad_id=0)
    embeds, attention = chat.splice(tokens, chat.encode(batch))
    every = chat.language_model.logits(chat.language_model.hidden(embeds, attention))[0]
    places = [i - 1 for i, label in enumerate(tokens.labels[0].tolist()) if label != IGNORE]
    out = chat(batch)
    torch.testing.assert_close(out.logits, every[places])
    assert out.labels.tolist() == [x for x in tokens.labels[0].tolist() if x != IGNORE]


def test_parameter_groups_are_everything_that_learns_each_once() -> None:
    """Released bugs 3 and 8: no parameter is dropped silently or owned twice, and a loss on
    answers reaches every one of them."""
    chat = make_chat(("tom", "ann"))
    groups = chat.parameter_groups()
    assert set(groups) == {"token_rows", "qformer", "router", "lora", "encoder_late"}
    assert all(groups.values())
    every = [id(p) for group in groups.values() for p in group]
    assert len(every) == len(set(every))
    named = {n: p for n, p in chat.named_parameters() if id(p) in set(every)}
    frozen = {n for n, _ in chat.named_parameters()} - set(named)
    assert all(".base." in f".{n}" or ".encoder.trunk." in n for n in frozen)
    assert not any("lora_" in n for n in frozen)
    chat.requires_grad_(False)
    for parameter in named.values():
        parameter.requires_grad_(True)
    for module in chat.modules():  # adapters start with B = 0, which hides A
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and not parameter.any():
                torch.nn.init.normal_(getattr(module, name), std=0.02)
    loss_of(
        chat, make_batch(chat, ("Is <tom> here?", "Yes, <tom> is."), ("Is <ann> here?", "No."))
    ).backward()
    untouched = {n for n, p in named.items() if p.grad is None or not p.grad.any()}
    assert untouched == {"presence_head.weight", "presence_head.bias"}  # a loss of its own reaches them


def test_what_is_trained_is_float32() -> None:
    """Released bug 5: the released code trains bf16 weights with steps below half an ulp."""
    chat = make_chat()
    assert {p.dtype for group in chat.parameter_groups().values() for p in group} == {torch.float32}


def test_start_depends_on_the_seed_alone() -> None:
    """Released bug 6: the released routers start as whatever the memory held."""
    first, again, other = make_chat(seed=1), make_chat(seed=1), make_chat(seed=2)
    assert changed(state(first), again) == set()
    differ = changed(state(first), other)
    assert {n for n in differ if n.startswith("language_model.base.") and "lora_" not in n} == set()
    assert any("personal_query_tokens" in n for n in differ)
    assert any("lora_A" in n for n in differ)
    assert all(p.isfinite().all() for p in first.parameters())


def test_a_name_is_the_registered_one() -> None:
    """Released bug 7: trained as <Sh>, asked as <Sh>test, since names came from file stems."""
    chat = make_chat(("Sh",))
    with pytest.raises(UserError, match=r"unknown subject 'Shtest'; registered: \['Sh'\]"):
        make_batch(chat, "Is <Shtest> here?")
    batch = make_batch(chat, "Is <Sh> here?")
    assert chat.prompts.encode([Turn("Is <Sh> here?")]).input_ids.count(chat.language_model.vocab_size) == 2
    with pytest.raises(UserError, match="unknown subject 'Shtest'"):
        chat.eval().answer(
            replace(batch, examples=[replace(batch.examples[0], question="Is <Shtest> here?")])
        )


def test_text_only_sees_no_clip() -> None:
    chat = make_chat().eval()
    one, two = make_batch(chat, "Is <tom> here?"), make_batch(chat, "Is <tom> here?")
    scores = [chat.presence_scores(b, control="text_only") for b in (one, two)]
    assert torch.equal(*scores)
    assert not torch.equal(chat.presence_scores(one), chat.presence_scores(two))
    prompt = chat.prompts.encode([Turn("Is <tom> here?")], with_video=False)
    assert not any(prompt.visual)
    embeds, attention, _ = chat._questions(one, "text_only")  # nor an empty place for one
    assert attention.all()
    assert torch.equal(embeds, chat.language_model.embed(torch.tensor([prompt.input_ids])))


def test_without_subject_tokens_nothing_of_the_person_is_used() -> None:
    chat = make_chat(("tom", "ann")).eval()
    batch = make_batch(chat, "Is <tom> here?")
    before = chat.presence_scores(batch, control="no_subject_tokens")
    with torch.no_grad():
        for parameter in chat._owned_by_person()[::2]:  # input rows and personal queries
            parameter.normal_()
    assert torch.equal(chat.presence_scores(batch, control="no_subject_tokens"), before)
    assert chat.encode(batch, control="no_subject_tokens").mask.sum() == 4


def test_other_subject_is_another_subject_and_is_undone() -> None:
    chat = make_chat(("tom", "ann")).eval()
    batch = make_batch(chat, "Is <tom> here?")
    before, score = state(chat), chat.presence_scores(batch)
    names = ("language_model.token_rows.input_rows", "qformer.personal_query_tokens")
    with chat.other_subject():
        inside = chat.state_dict()
        assert torch.equal(inside[names[0]][:3], before[names[0]][3:])  # a name and two soft tokens each
        assert torch.equal(inside[names[1]][0], before[names[1]][1])
        assert not torch.equal(chat.presence_scores(batch), score)
    assert changed(before, chat) == set()
    with pytest.raises(KeyboardInterrupt), chat.other_subject():
        raise KeyboardInterrupt
    assert changed(before, chat) == set()


def test_a_single_subject_is_exchanged_for_an_untrained_one() -> None:
    chat = make_chat().eval()
    before = state(chat)
    with chat.other_subject():
        assert changed(before, chat) == {
            "language_model.token_rows.input_rows",
            "qformer.personal_query_tokens",
        }
        first = state(chat)
    with chat.other_subject():
        assert changed(first, chat) == set()
    assert changed(before, chat) == set()


def test_without_lora_and_soft_tokens() -> None:
    """The smallest choices are choices too."""
    model = RandomLanguageModel(width=64, num_layers=2, lora=None)
    chat = make_chat(language_model=model, num_soft_tokens=0, num_personal_query_tokens=0, routed=None)
    assert chat.parameter_groups()["lora"] == []
    assert chat.parameter_groups()["router"] == []
    loss_of(chat, make_batch(chat, *QUESTIONS)).backward()
    assert chat.encode(make_batch(chat, "Is <tom> here?")).routings == {}


def test_one_frame_and_missing_faces_are_valid() -> None:
    chat = make_chat().eval()
    batch = make_batch(chat, *QUESTIONS, frames=1)
    masks = batch.view_masks | {"face": torch.zeros(3, 1).bool(), "identity": torch.zeros(3, 1).bool()}
    assert chat.presence_scores(replace(batch, view_masks=masks)).isfinite().all()


def test_drawn_faces_are_found_in_order() -> None:
    """The world of these tests is what it claims to be."""
    frame = draw(("tom", "ann"), "red", "inside")
    faces = DrawnFaces().detect(frame[None])[0]
    assert [face.box.tolist() for face in faces] == [[4, 8, 28, 32], [36, 8, 60, 32]]
    first, second = (DrawnFaces().embed(frame, face) for face in faces)
    assert abs(first - second).sum() > 1
