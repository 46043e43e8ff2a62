"""Maps of head activation: means over clips with and without the person, nothing for dense models."""

import json
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score
from tiny import fit, make_corpus, make_data, make_module, make_plan, make_trainer

from pvchat.callbacks import HeadActivationMap
from pvchat.losses import AnswerCrossEntropy, Objective
from pvchat.metrics.functional.reaction import held_out_auc
from pvchat.training import PersonalizedVideoChat


def after_test(corpus: Path, folder: Path, module: PersonalizedVideoChat) -> Path:
    """Where the map of a test would be."""
    data = make_data(corpus, module, stages=make_plan(1, 0))
    fit(module, data)
    trainer = make_trainer(data, HeadActivationMap(), default_root_dir=folder)
    trainer.test(module, datamodule=data, verbose=False)
    return folder / "head_activation.json"


def reference(module: PersonalizedVideoChat, polarity: str) -> dict[str, torch.Tensor]:
    """Mean weight of each head, question by question and token by token."""
    sums: dict[str, list[torch.Tensor]] = {}
    for batch in module.data.test_dataloader("main"):
        for name, routing in module.chat.encode(batch).routings.items():
            assert routing.mask is not None
            for n, example in enumerate(batch.examples):
                if example.polarity == polarity:
                    sums.setdefault(name, []).append(routing.head_weights[n][routing.mask[n]].mean(0))
    return {name: torch.stack(values).mean(0) for name, values in sums.items()}


def test_means_with_and_without_the_person(tiny_corpus: Path, tmp_path: Path) -> None:
    module = make_module(controls=("main",), generate=())
    path = after_test(tiny_corpus, tmp_path, module)
    maps = json.loads(path.read_text())
    for key, polarity in (("present", "yes"), ("absent", "no")):
        with torch.no_grad():
            expected = reference(module, polarity)
        assert list(maps[key]) == list(expected) == ["layer0.self", "layer0.cross", "layer1.self"]
        for name, values in maps[key].items():
            torch.testing.assert_close(torch.tensor(values), expected[name], atol=1e-5, rtol=1e-5)
    assert maps["present"] != maps["absent"]
    assert (tmp_path / "head_activation.png").read_bytes().startswith(b"\x89PNG")


def test_clips_are_counted_once_however_often_they_are_asked_about(tiny_corpus: Path, tmp_path: Path) -> None:
    module = make_module(controls=("main",), generate=())
    numbers = json.loads(after_test(tiny_corpus, tmp_path, module).read_text())
    clips: dict[tuple[str, str], list[dict[str, torch.Tensor]]] = {}
    with torch.no_grad():
        for batch in module.data.test_dataloader("main"):
            routings = module.chat.encode(batch).routings
            for n, example in enumerate(batch.examples):
                if example.polarity is not None:
                    rows = {name: r.head_weights[n][r.mask[n]].mean(0) for name, r in routings.items()}
                    clips.setdefault((example.clip_id, example.polarity), []).append(rows)
    truth = [polarity == "yes" for _, polarity in clips]
    together = []
    for name, auc in numbers["auc"].items():
        means = torch.stack([torch.stack([row[name] for row in rows]).mean(0) for rows in clips.values()])
        together.append(means[:, 2:])  # two shared heads: tiny.REMOH
        expected = [roc_auc_score(truth, together[-1][:, h]) for h in range(together[-1].shape[1])]
        assert auc == pytest.approx(expected)
    joined = torch.cat(together, dim=1)
    assert numbers["held_out_auc"] == pytest.approx(held_out_auc(joined, torch.tensor(truth)))


def test_the_picture_parts_shared_from_routed_heads(
    tiny_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int | None, str]] = []
    monkeypatch.setattr(
        "pvchat.callbacks.head_activation.plot_head_activation",
        lambda *_, num_shared_heads, title: drawn.append((num_shared_heads, title)),
    )
    after_test(tiny_corpus, tmp_path, make_module(controls=("main",), generate=()))
    assert drawn == [(2, "Head activation: tom")]  # tiny.REMOH


def test_it_does_not_disturb_the_test(tiny_corpus: Path, tmp_path: Path) -> None:
    """With and without the callback the numbers are the same."""
    module = make_module(controls=("main",), generate=())
    after_test(tiny_corpus, tmp_path, module)
    with_map = dict(module.metrics)
    make_trainer(module.data).test(module, datamodule=module.data, verbose=False)
    assert module.metrics == with_map


def test_dense_models_leave_no_map(tiny_corpus: Path, tmp_path: Path) -> None:
    objective = Objective(language_modeling=AnswerCrossEntropy())
    module = make_module(chat={"routed": None}, objective=objective, controls=("main",), generate=())
    assert not after_test(tiny_corpus, tmp_path, module).exists()


def test_a_test_without_both_sides_leaves_no_map(tmp_path: Path) -> None:
    """The only test clip shows the person."""
    module = make_module(controls=("main",), generate=())
    corpus = make_corpus(tmp_path, clips={"train": 4, "test": 1})
    assert not after_test(corpus, tmp_path, module).exists()
