"""A chat without an introduction is what it was; with one, head rows of new tokens stay as they are."""

import torch
from tiny import make_batch, make_chat

from pvchat.baselines import InPrompt


def test_head_rows_train_only_for_tokens_that_are_written() -> None:
    plain, introduced = make_chat(), make_chat(introduction=InPrompt())
    rows = plain.language_model.token_rows
    assert any(p is rows.output_rows for p in plain.parameter_groups()["token_rows"])
    heads = introduced.language_model.token_rows.output_rows
    assert not any(p is heads for p in introduced.parameter_groups()["token_rows"])


def test_an_introduction_that_shows_nothing_changes_no_visual_token() -> None:
    plain, introduced = make_chat().eval(), make_chat(introduction=InPrompt()).eval()
    batch = make_batch(plain, "Is <tom> here?")
    assert torch.equal(plain.encode(batch).tokens, introduced.encode(batch).tokens)
