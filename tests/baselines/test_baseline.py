"""What baselines have in common: only what the config names trains, answers follow the threshold, no talk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import CONFIG, ROOT, make_data, make_module, make_trainer

from pvchat import cli
from pvchat.baselines import FaceRetrieval, InPrompt
from pvchat.errors import UserError
from pvchat.loading import load_run
from pvchat.runs import ANSWERS, find_run

BASELINES = ROOT / "experiments" / "baselines"


@pytest.mark.parametrize("stage", ["image", "video"])
def test_soft_tokens_train_their_rows_alone(stage: str, tested: Callable[..., Any]) -> None:
    other = "video" if stage == "image" else "image"
    found = tested("soft_tokens", f"--stages.{other}.epochs=0")
    rows = "chat.language_model.token_rows"
    assert found.moved == {f"{rows}.input_rows", f"{rows}.output_rows"}
    assert found.model.chat.registry.num_soft_tokens == 16
    assert found.model.chat.qformer.personal_query_tokens.numel() == 0


def test_a_baseline_answers_by_the_threshold_of_the_test(tiny_corpus: Path) -> None:
    retrieval = FaceRetrieval()
    module = make_module(controls=("main",), baseline=retrieval)
    data = make_data(tiny_corpus, module, test_variants=("main",))
    trainer = make_trainer(data)
    trainer.test(module, datamodule=data, verbose=False)
    assert retrieval.threshold == module.threshold != 0
    batch = next(iter(data.test_dataloader()[0]))
    scores = retrieval.presence_scores(batch).tolist()
    asked = [i for i, e in enumerate(batch.examples) if e.type == "existence"]
    for retrieval.threshold in (min(scores) - 1, sum(scores) / len(scores), max(scores) + 1):
        answers = retrieval.answer(batch)
        assert all(answers[i].startswith("Yes") == (scores[i] > retrieval.threshold) for i in asked)


def test_a_validation_alone_shows_the_reference(tiny_corpus: Path) -> None:
    introduction = InPrompt(reference="clip")
    module = make_module(chat={"introduction": introduction, "num_soft_tokens": 0})
    data = make_data(tiny_corpus, module)
    make_trainer(data).validate(module, datamodule=data, verbose=False)
    assert [f["identity"].shape for f in introduction.shown] == [(2, 1, 128)]


def test_a_baseline_answers_predict_too_and_is_not_talked_to(tiny_corpus: Path, tmp_path: Path) -> None:
    data = (f"--data.source.path={tiny_corpus}", f"--data.cache_dir={tiny_corpus.parent / 'cache'}")
    overlay = ("-c", str(BASELINES / "face_retrieval.yaml"))
    assert cli.main(["fit", *CONFIG, *overlay, *data, f"--runs={tmp_path}"]) == 0
    run = find_run(tmp_path / "face-retrieval")
    assert cli.main(["predict", "--run", str(run)]) == 0
    answers = (run / ANSWERS).read_text()
    assert "Yes, <tom> is here." in answers
    assert "No, <tom> is not here." in answers
    with pytest.raises(UserError, match="a baseline is tested, not talked to"):
        load_run(run)
