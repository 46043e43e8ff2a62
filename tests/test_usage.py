"""Sentences for what the parser says; test_lightning_cli.py has those of whole commands."""

import pytest

from pvchat.usage import explain


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "Subcommand 'fit' does not accept option 'model.x'",
            "fit has no option 'model.x': pvchat fit --help",
        ),
        (
            "Parser key \"logger\": Expected a typing.Literal['csv', 'wandb']. Got value: ",
            "logger must be one of 'csv', 'wandb': got nothing.",
        ),
        ("Parser key \"a.b\": Expected a <class 'int'>. Got value: x", "a.b must be int: got x."),
    ],
)
def test_a_sentence(message: str, sentence: str) -> None:
    assert explain(message).startswith(sentence)
