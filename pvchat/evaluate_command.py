"""``pvchat evaluate``: the answers of a run, or of any other system, with an interval on every number."""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.endpoint import Endpoint
from pvchat.errors import UserError
from pvchat.evaluation import Prediction
from pvchat.judging import RUBRICS, Judge
from pvchat.metrics.functional.bert_score import find_text_encoder
from pvchat.runs import (
    CONFIG,
    PREDICTIONS,
    find_run,
    open_run,
    read_config,
    read_record,
    write_json,
    write_text,
)
from pvchat.scoring.answers import questions, read_answers, read_predictions, to_answer
from pvchat.scoring.rating import Rated, rate
from pvchat.scoring.score_page import screen, written
from pvchat.scoring.scorecard import Scorecard, score
from pvchat.scoring.tested_clips import clips_of

Rater = Callable[[Sequence[Prediction]], Rated]


def main(options: argparse.Namespace) -> None:
    """Print the questions, or score answers and write evaluation.json, .md and .html. Raises UserError."""
    if options.forgetting:
        ask_before_and_after(options)
        return
    if options.print_questions:
        for line in to_answer(_manifest(options.data)):
            print(json.dumps(line, ensure_ascii=False))
        return
    rater = _rater(options)
    if options.run and options.answers:
        raise UserError("evaluate takes --run or --answers: got both. Evaluate them one after the other.")
    if options.run:
        run = find_run(options.run)
        out = Path(options.out) if options.out else _own_folder(run, options.data)
        card = score_run(ask(run, Path(options.data), out) if options.data else run, rater)
    elif options.answers:
        answers = Path(options.answers)
        out = Path(options.out) if options.out else answers.parent
        card = score_answers(answers, _manifest(options.data), rater, data=str(options.data))
    else:
        raise UserError("evaluate needs --run RUN, or --answers FILE with --data MANIFEST: got neither.")
    save(card, open_run(out))
    print(f"{screen(card)}\n\n{out / 'evaluation.html'} (.md, .json)")


def score_run(run: Path, rater: Rater = rate) -> Scorecard:
    """The scorecard of a tested run. Raises UserError."""
    if not (run / PREDICTIONS).is_file():
        raise UserError(
            f"a run must be tested first: {run} has no {PREDICTIONS}. Do pvchat test --run {run}."
        )
    record = read_record(run)
    predictions = read_predictions(run / PREDICTIONS)
    rated = rater(predictions)
    about = {"run": str(run), "seed": str(record.get("seed")), "data": str(record.get("data"))[:16]}
    return score(
        predictions,
        about=about | rated.told,
        threshold=record.get("threshold"),
        vocabulary=vocabulary(clips_of(run)),
        ratings=rated.ratings,
        signed=rated.signatures,
    )


def score_answers(path: Path, records: list[Record], rater: Rater = rate, *, data: str) -> Scorecard:
    """The scorecard of the answers at ``path`` to the questions about the test clips of ``records``."""
    answers = read_answers(path, questions(records))
    rated = rater(answers.predictions)
    return score(
        answers.predictions,
        about={"answers": str(path), "data": data} | rated.told,
        threshold=None,
        scored=answers.scored,
        vocabulary=vocabulary(records),
        ratings=rated.ratings,
        signed=rated.signatures,
        faults=answers.faults,
    )


def ask(run: Path, manifest: Path, out: Path) -> Path:
    """Ask ``run`` about the test clips of ``manifest``, as ``pvchat test`` does; returns the folder of that
    test, ``out``. The threshold stays that of the run: clips to calibrate on are its own."""
    from pvchat import lightning_cli  # torch and Lightning, for this alone

    _manifest(manifest)
    if out.resolve() == run.resolve():
        raise UserError(f"answers about other clips need a folder of their own: got --out {out}, the run.")
    config: dict[str, Any] = read_config(run / CONFIG)
    config["data"]["source"] = {
        "class_path": "pvchat.scoring.foreign_test.ForeignTest",
        "init_args": {"source": config["data"]["source"], "test": str(manifest.absolute())},
    }
    (out / CONFIG).unlink(missing_ok=True)  # of an earlier question; that of this test is written anew
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / CONFIG
        asked.write_text(yaml.safe_dump(config), encoding="utf-8")
        lightning_cli.run(["test", "-c", str(asked), "--init_from", str(run), "--run_dir", str(out)])
    return out


def ask_before_and_after(options: argparse.Namespace) -> None:
    """General questions to the model of a run as it is, and as it was before training. Raises UserError."""
    from pvchat import retention_command  # torch and Lightning, for this alone

    if not options.run or options.answers:
        raise UserError(
            "--forgetting asks a run before and after training: give --run RUN, and no --answers."
        )
    run = find_run(options.run)
    out = Path(options.out) if options.out else _own_folder(run, options.data)
    retention_command.main(run, options.data, out)


def save(card: Scorecard, out: Path) -> None:
    """Write evaluation.json, .md and .html into ``out``, each whole or not at all."""
    write_json(out / "evaluation.json", card.as_json())
    for name, text in written(card):
        write_text(out / name, text)


def _rater(options: argparse.Namespace) -> Rater:
    """Judges and the encoder of BERTScore, made before any answer is read. Raises UserError."""
    if twice := [model for model in options.judge if options.judge.count(model) > 1]:
        raise UserError(
            f"judges must differ, or they always agree: got {twice[0]!r} twice. Name another model, or one."
        )
    judges = [
        Judge(rubric=RUBRICS[f"{kind}_{options.judge_scale}"], endpoint=Endpoint(model=model))
        for kind in ("es", "dc")
        for model in options.judge
    ]
    encoder = find_text_encoder(options.bertscore or None) if options.bertscore is not None else None
    return partial(rate, judges=judges, encoder=encoder)


def _manifest(path: str | Path | None) -> list[Record]:
    if path is None:
        raise UserError("the questions are those of a manifest: got none. Give one with --data MANIFEST.")
    return read_manifest(path, check_files=False)


def _own_folder(run: Path, data: str | None) -> Path:
    if data is None:
        return run
    _manifest(data)
    return run / f"evaluation-{hashlib.sha256(Path(data).read_bytes()).hexdigest()[:8]}"
