"""A clip read in several passes of the Q-former: each view its own tokens, its own segment of the prompt."""

from dataclasses import replace

import pytest
import torch
from tiny import DrawnFaces, make_batch, make_chat

from pvchat.batch import Batch
from pvchat.modules.hd_views import HDViews
from pvchat.modules.internvideo2 import InternVideo2
from pvchat.modules.video_chat import VideoChat
from pvchat.prompts import Turn

PASSES = 3


def hd_chat(*subjects: str) -> VideoChat:
    torch.manual_seed(0)
    encoder = InternVideo2(
        width=16,
        num_blocks=2,
        num_heads=2,
        mlp_width=24,
        image_px=28,
        num_frames=4,
        num_late_blocks=1,
        drop_path=0.0,
    )
    return make_chat(subjects or ("tom",), views=HDViews(encoder=encoder, faces=DrawnFaces())).eval()


def hd_batch(*asked: tuple[str, str], subjects: tuple[str, ...] = ("tom",), frames: int = 4) -> Batch:
    batch = make_batch(make_chat(subjects), *asked)
    name = "image" if frames == 1 else "video"
    tokens = torch.randn(len(asked), PASSES, 1 + 4 * frames, 16)
    masks = torch.ones(len(asked), PASSES, dtype=torch.bool)
    return replace(batch, views={name: tokens}, view_masks={name: masks})


def loss_of(chat: VideoChat, batch: Batch) -> torch.Tensor:
    out = chat(batch)
    return torch.nn.functional.cross_entropy(out.logits, out.labels)


@pytest.mark.parametrize("frames", [1, 4])
def test_tokens_are_those_of_each_pass_in_turn(frames: int) -> None:
    """Nothing of one pass, clip or question reaches another."""
    chat = hd_chat("tom", "ann")
    questions = (("Is <tom> here?", "Yes."), ("Is <ann> here?", "No."))
    batch = hd_batch(*questions, subjects=("tom", "ann"), frames=frames)
    visual = chat.encode(batch)
    count = chat.qformer.num_queries
    assert visual.tokens.shape == (2, PASSES * count, 64)
    presence = torch.zeros(2, 2)
    for row in range(2):
        for number in range(PASSES):
            (tokens,) = batch.views.values()
            context = chat.views.encoder.finish(tokens[row, number : number + 1])
            out = chat.qformer(context, person_mask=batch.person_mask[row : row + 1])
            place = slice(number * count, (number + 1) * count)
            torch.testing.assert_close(visual.tokens[row, place], chat.project_up(out.hidden)[0])
            assert torch.equal(visual.mask[row, place], out.mask[0])
            personal = out.hidden[0, 4:].unflatten(0, (2, 4)).mean(1)
            presence[row] += chat.presence_head(personal).squeeze(-1) / PASSES
            for name, routing in out.routings.items():
                torch.testing.assert_close(visual.routings[name].scores[row, place], routing.scores[0])
    torch.testing.assert_close(visual.presence, presence)
    assert {r.mask.shape for r in visual.routings.values()} == {(2, PASSES * count)}


def test_the_prompt_has_a_segment_for_each_pass() -> None:
    chat = hd_chat()
    ids, slots = (lambda e: (e.input_ids, e.visual))(chat.prompts.encode([Turn("Is <tom> here?")]))
    text = chat.language_model.tokenizer.decode(
        [i for i, slot in zip(ids, slots, strict=True) if not slot and i < chat.language_model.vocab_size]
    )
    assert text.count("<Video></Video>") == PASSES
    assert sum(slots) == PASSES * chat.qformer.num_queries
    batch = hd_batch(("Is <tom> here?", ""))
    embeds, attention, _ = chat._questions(batch, "main")
    assert attention.all()
    visual = torch.tensor([slots])
    torch.testing.assert_close(embeds[visual], chat.encode(batch).tokens[0])
    assert chat.answer(batch, max_new_tokens=3) == chat.answer(batch, max_new_tokens=3)


@pytest.mark.parametrize("persons", [2, 3])
def test_personal_queries_learn_from_the_clips_of_their_person_alone(persons: int) -> None:
    """Released bug 9: the query mask of the paper's figure S4 is not released."""
    names = ("tom", "ann", "bob")[:persons]
    chat = hd_chat(*names)
    batch = hd_batch(("Is <ann> here?", "Yes."), ("What is <ann> wearing?", "Red."), subjects=names)
    (loss_of(chat, batch) + chat.encode(batch).presence[:, 1].sum()).backward()
    touched = [bool(rows.any()) for rows in chat.qformer.personal_query_tokens.grad]
    assert touched == [name == "ann" for name in names]

    chat.zero_grad()
    loss_of(chat, replace(batch, person_mask=torch.ones_like(batch.person_mask))).backward()
    assert all(rows.any() for rows in chat.qformer.personal_query_tokens.grad)  # without the mask


def test_every_pass_teaches_the_late_blocks() -> None:
    chat = hd_chat()
    batch = hd_batch(("Is <tom> here?", "Yes."))
    grads = []
    for number in range(PASSES):
        tokens = torch.zeros_like(batch.views["video"])
        tokens[:, number] = batch.views["video"][:, number]
        chat.zero_grad()
        loss_of(chat, replace(batch, views={"video": tokens})).backward()
        late = chat.parameter_groups()["encoder_late"]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in late)
        grads.append(late[-1].grad.clone())
    assert all(g.any() for g in grads)
