"""BERTScore: the package's own numbers, also on mixed lengths, over batches, under the encoder's name."""

import sys
from itertools import pairwise
from pathlib import Path

import bert_score as package
import pytest
import torch
from tiny_text_encoder import make_roberta
from torch import Tensor

from pvchat.errors import UserError
from pvchat.metrics.bert_score import BERTScore
from pvchat.metrics.functional import bert_score as functional
from pvchat.metrics.functional.bert_score import LAYERS, TextEncoder, bert_scores, find_text_encoder

PREDS = [
    "Yes, <tom> is here.",
    "<tom> sits at a table with <ann> and drinks a cup of coffee while it is raining outside the house.",
    "No.",
    "<ann> wears a red coat.",
    "Yes, <tom> is here.",
]
TARGET = [
    "Yes.",
    "<tom> sits at the table.",
    "No, <tom> is not in this video, so I cannot say what <tom> is wearing or where it may be seen.",
    "<ann> wears a blue coat.",
    "Yes.",
]


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    return TextEncoder("roberta-tiny", make_roberta(tmp_path_factory.mktemp("roberta")), 2)


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    return TextEncoder("minilm", functional.asset("minilm"), LAYERS["minilm"])


def _reference(encoder: TextEncoder, preds: list[str], target: list[str]) -> Tensor:
    """The package called as its readme says; (N, 3)."""
    parts = package.score(
        preds, target, model_type=str(encoder.folder), num_layers=encoder.num_layers, device="cpu"
    )
    return torch.stack(parts, dim=-1).double()


@pytest.mark.parametrize("name", ["roberta", "minilm"])
@pytest.mark.parametrize("batch_size", [2, 64])
def test_equals_the_package_on_mixed_lengths(
    name: str, batch_size: int, request: pytest.FixtureRequest
) -> None:
    encoder: TextEncoder = request.getfixturevalue(name)
    ours = bert_scores(PREDS, TARGET, encoder, batch_size=batch_size)
    torch.testing.assert_close(ours, _reference(encoder, PREDS, TARGET), atol=2e-5, rtol=0)
    assert len(set(ours[:, 2].tolist())) == 4  # the answers differ, but for the first and the last


def test_an_answer_scores_the_same_alone_and_beside_long_ones(minilm: TextEncoder) -> None:
    alone = torch.cat([bert_scores([p], [t], minilm) for p, t in zip(PREDS, TARGET, strict=True)])
    torch.testing.assert_close(bert_scores(PREDS, TARGET, minilm), alone, atol=2e-5, rtol=0)
    same = bert_scores(PREDS, PREDS, minilm)
    torch.testing.assert_close(same, torch.ones_like(same), atol=2e-5, rtol=0)


def test_who_says_nothing_scores_nothing(minilm: TextEncoder) -> None:
    """An empty text crashes the package; beside others it changes nothing."""
    scores = bert_scores(["", " \n", PREDS[0], "Yes."], ["No.", "", TARGET[0], " "], minilm)
    assert scores[[0, 1, 3]].abs().sum() == 0
    torch.testing.assert_close(scores[2:3], _reference(minilm, PREDS[:1], TARGET[:1]), atol=2e-5, rtol=0)
    assert bert_scores([], [], minilm).shape == (0, 3)


@pytest.mark.parametrize("max_length", [30, None])
def test_what_is_too_long_is_cut(max_length: int | None, tmp_path: Path) -> None:
    """10,000 characters, also where the tokenizer was saved without a length. 30 tokens are read."""
    roberta = TextEncoder("roberta-tiny", make_roberta(tmp_path, max_length=max_length), 2)
    scores = bert_scores(["coat " * 2000], ["coat"], roberta)
    torch.testing.assert_close(scores, bert_scores(["coat " * 28], ["coat"], roberta), atol=2e-5, rtol=0)


def test_equal_pairs_are_scored_once(minilm: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    original = package.utils.bert_cos_score_idf

    def counting(model: object, refs: list[str], *rest: object, **more: object) -> Tensor:
        counted.append(len(refs))
        scores: Tensor = original(model, refs, *rest, **more)
        return scores

    monkeypatch.setattr(package.utils, "bert_cos_score_idf", counting)
    scores = bert_scores(PREDS * 3, TARGET * 3, minilm)
    assert counted == [4]
    assert torch.equal(scores[:5], scores[5:10])


@pytest.mark.parametrize("cuts", [(), (1,), (2, 3)])
def test_batches_make_one_mean(minilm: TextEncoder, cuts: tuple[int, ...]) -> None:
    metric = BERTScore(encoder=minilm)
    edges = [0, *cuts, len(PREDS)]
    for start, end in pairwise(edges):
        metric.update(PREDS[start:end], TARGET[start:end])
    numbers = metric.compute()
    assert list(numbers) == [f"bertscore_minilm_{part}" for part in ("precision", "recall", "f1")]
    means = _reference(minilm, PREDS, TARGET).mean(0)
    torch.testing.assert_close(torch.stack(list(numbers.values())), means, atol=2e-5, rtol=0)


def test_nothing_seen_is_nan_and_reset_forgets(minilm: TextEncoder) -> None:
    metric = BERTScore(encoder=minilm)
    metric.update(PREDS[:1], TARGET[:1])
    metric.reset()
    assert all(number.isnan() for number in metric.compute().values())


def test_the_signature_says_how(roberta: TextEncoder) -> None:
    assert BERTScore(encoder=roberta).signature.startswith(
        "model:roberta-tiny|layer:2|idf:no|rescaled:no|bert_score:"
    )


def test_layers_are_the_packages(minilm: TextEncoder) -> None:
    assert LAYERS["roberta-large"] == package.utils.model2layers["roberta-large"]
    assert LAYERS["minilm"] == package.utils.model2layers["distilbert-base-uncased"]


def test_roberta_large_is_taken_from_a_folder_or_the_cache_of_the_hub(
    roberta: TextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The layout of the hub's cache, with both of its names; without it MiniLM under its own name."""
    from huggingface_hub import constants

    assert find_text_encoder(roberta.folder) == TextEncoder("roberta-large", roberta.folder, 17)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(sys.modules["transformers.utils.hub"].constants, "HF_HUB_CACHE", str(tmp_path))
    assert find_text_encoder().name == "minilm"
    for repository in ("models--roberta-large", "models--FacebookAI--roberta-large"):
        cache = tmp_path / repository
        snapshot = cache / "snapshots" / "c0ffee"
        snapshot.parent.mkdir(parents=True)
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text("c0ffee")
        snapshot.symlink_to(roberta.folder, target_is_directory=True)
        assert find_text_encoder() == TextEncoder("roberta-large", snapshot, 17)
        cache.rename(tmp_path / f"gone-{repository}")


def test_errors(roberta: TextEncoder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no config\.json and no model"):
        find_text_encoder(tmp_path)
    with pytest.raises(UserError, match="got 1 preds and 2 target"):
        bert_scores(["a"], ["a", "b"], roberta)
    with pytest.raises(UserError, match="as lists"):
        bert_scores("a", "b", roberta)
    with pytest.raises(UserError, match="num_layers must be 1 to 3, which x has: got 17"):
        bert_scores(["a"], ["b"], TextEncoder("x", roberta.folder, 17))
