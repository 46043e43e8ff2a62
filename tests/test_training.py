"""The LightningModule on a tiny real task: it learns, moves what it should, repeats itself, saves little."""

import math
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve
from tiny import changed, fit, make_batch, make_corpus, make_data, make_module, make_plan, make_trainer, state

from pvchat.callbacks import Checkpointing, HeadActivationMap
from pvchat.checkpoints import read_checkpoint
from pvchat.errors import UserError
from pvchat.losses import AnswerCrossEntropy, HeadActivation, Objective, PresenceLoss, RoutingSparsity
from pvchat.modules.base_views import ViewExtractor
from pvchat.modules.language_model import LoRA, RandomLanguageModel
from pvchat.stages import StagePlan
from pvchat.training import LearningRates, PersonalizedVideoChat


class Log(L.Callback):
    """What is logged at every step, the learning rates used, and the questions asked."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.rates: list[dict[str, float]] = []
        self.asked: list[list[str]] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.rates.append({g["name"]: g["lr"] for g in trainer.optimizers[0].param_groups})

    def on_train_batch_end(self, trainer: Any, pl_module: Any, out: Any, batch: Any, batch_idx: int) -> None:
        self.rows.append({k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("train/")})
        self.asked.append([e.id for e in batch.examples])

    def losses(self) -> list[float]:
        return [row["train/loss"] for row in self.rows]


@pytest.fixture(scope="module")
def learnable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More clips: the colour of a face tells who it is, and nothing else does."""
    folder = tmp_path_factory.mktemp("learnable")
    return make_corpus(folder, clips={"train": 12, "validation": 4, "test": 12})


@pytest.mark.parametrize("seed", [0, 1])
def test_it_learns_who_is_there(learnable: Path, seed: int) -> None:
    """From random parts to clips never seen, within 50 steps. The controls stay at chance: the questions
    alone tell nothing, the clips without faces tell nothing, and the untrained model knows nothing."""
    rate = 1e-2
    module = make_module(
        chat={"seed": seed},
        seed=seed,
        objective=Objective(
            language_modeling=AnswerCrossEntropy(first_token_weight=4.0),
            smooth_proximity=RoutingSparsity(initial=1e-4),
            head_activation=HeadActivation(),
        ),
        learning_rates=LearningRates(rate, rate, rate, rate, 1e-4),
    )
    data = make_data(learnable, module, stages=make_plan(2, 8), batch_size=8, seed=seed)
    log = Log()
    trainer = fit(module, data, log)
    losses = log.losses()
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    trainer.test(module, datamodule=data, verbose=False)

    def accuracy(control: str) -> float:
        return module.metrics[f"test/{control}/calibrated_balanced_accuracy"]

    assert accuracy("main") >= 0.9
    assert module.metrics["test/main/presence_auc"] >= 0.95
    assert module.metrics["test/main/presence_accuracy"] > 0.75  # of the written answers
    assert accuracy("text_only") == 0.5
    assert abs(module.metrics["test/text_only/presence_auc"] - 0.5) <= 0.1  # ties, up to rounding
    assert abs(accuracy("face_blanked") - 0.5) <= 0.15
    assert abs(accuracy("base_model") - 0.5) <= 0.25
    assert accuracy("base_model") < accuracy("main") - 0.2


def test_it_learns_who_of_two_is_there(tmp_path: Path) -> None:
    """Yes for the one on screen and no for the other, by scores: neither always no nor yes to any known face
    will do. Asked with each other's tokens and queries, the answers change sides."""
    names: tuple[str, ...] = ("tom", "ann")
    corpus = make_corpus(tmp_path, names, clips={"train": 8, "validation": 4, "test": 8})
    module = make_module(
        names,
        objective=Objective(
            language_modeling=AnswerCrossEntropy(first_token_weight=4.0), presence=PresenceLoss()
        ),
        learning_rates=LearningRates(5e-3, 5e-3, 5e-3, 5e-3, 1e-4),
        controls=("main", "other_subject"),
        generate=(),
    )
    plan = make_plan(2, 7)
    existence = {"question_types": ("existence",)}
    plan = StagePlan(replace(plan.image, **existence), replace(plan.video, **existence))
    data = make_data(corpus, module, stages=plan, batch_size=8, test_variants=("main",))
    trainer = fit(module, data, limit_val_batches=0)
    trainer.test(module, datamodule=data, verbose=False)

    def share_of_yes(control: str, person: bool, anybody: bool) -> float:
        found = [
            p.score > module.threshold
            for p in module.predictions
            if p.control == control
            and p.presence[p.subjects[0]] is person
            and any(p.presence.values()) is anybody
        ]
        assert len(found) >= 16
        return sum(found) / len(found)

    assert share_of_yes("main", True, True) >= 0.9
    assert share_of_yes("main", False, True) <= 0.1  # the other one is on screen
    assert share_of_yes("main", False, False) <= 0.1  # a stranger is
    assert share_of_yes("other_subject", True, True) <= 0.25
    assert share_of_yes("other_subject", False, True) >= 0.75


def test_rows_move_and_the_base_is_bit_identical(tiny_corpus: Path) -> None:
    """Released bug 4 (and 8): in a whole run the token rows and personal queries move; of the
    frozen base, the vocabulary table and both heads included, not one bit does."""
    module = make_module()
    before = state(module)
    fit(module, make_data(tiny_corpus, module))
    moved = changed(before, module)
    adapted = set(module.trainable_state())
    assert moved - adapted == {"objective.smooth_proximity.weight"}
    # without a presence loss its head has nothing to learn
    assert module.trainable - moved == {"chat.presence_head.weight", "chat.presence_head.bias"}
    rows = module.chat.language_model.token_rows
    start = before["chat.language_model.token_rows.input_rows"]
    assert (rows.input_rows != start).any(1).all()  # every row: the name and each soft token
    assert any("embed_tokens" in n for n in before)


def test_masters_are_float32_and_small_steps_count(tiny_corpus: Path) -> None:
    """Released bug 5: with the released learning rates of 1e-5 and 1e-6, the same step moves
    most float32 weights and next to no bf16 weight."""
    rates = LearningRates(1e-4, 1e-5, 1e-6, 1e-5, 1e-6)
    module = make_module(warmup_steps=0, learning_rates=rates, weight_decay=0.0)
    before = state(module)
    trainer = fit(module, make_data(tiny_corpus, module), limit_train_batches=1, max_epochs=1)
    optimizer = trainer.optimizers[0]
    values = [v for s in optimizer.state.values() for v in s.values()]
    assert values
    assert {v.dtype for v in values} == {torch.float32}
    named = {n: p for n, p in module.named_parameters() if n in module.trainable}
    assert {p.dtype for p in named.values()} == {torch.float32}

    def share(names: list[str], dtype: torch.dtype) -> float:
        """Share of the weights that have a gradient which the step moves when they are kept in ``dtype``."""
        moved = total = 0
        for name in names:
            start, end = before[name], named[name].detach()
            stepped = (start.to(dtype) + (end - start).to(dtype)) != start.to(dtype)
            counts = (start.abs() > 1e-2) & (end != start)
            moved, total = moved + int(stepped[counts].sum()), total + int(counts.sum())
        return moved / total

    qformer = [n for n in named if ".layers." in n and "qformer" in n and "router" not in n]
    assert share(qformer, torch.float32) == 1.0
    assert share(qformer, torch.bfloat16) < 0.1


@pytest.mark.parametrize("precision", ["bf16-true", "16-true", "64-true"])
def test_weights_of_another_precision_are_refused(tiny_corpus: Path, precision: Any) -> None:
    """Released bug 5."""
    module = make_module()
    data = make_data(tiny_corpus, module)
    with pytest.raises(UserError, match=rf"stays float32: .* got {precision}\. Use bf16-mixed\."):
        fit(module, data, precision=precision)


def test_the_same_seed_repeats_bit_for_bit(tiny_corpus: Path) -> None:
    """Released bug 6: nothing starts from memory, and dropout follows the seed."""

    def train(seed: int, disturbance: int) -> PersonalizedVideoChat:
        module = make_module(chat={"seed": seed, "dropout": 0.2}, seed=seed)
        torch.manual_seed(disturbance)  # whatever else drew random numbers before
        fit(module, make_data(tiny_corpus, module, seed=seed))
        return module

    first = state(train(0, 1))
    assert changed(first, train(0, 2)) == set()
    assert "chat.qformer.query_tokens" in changed(first, train(1, 1))


def test_each_batch_has_its_own_dropout(tiny_corpus: Path) -> None:
    """Also those that are accumulated into one step; and again the same in a second run."""

    def seeds() -> list[int]:
        module, found = make_module(), []

        class Seeds(L.Callback):
            def on_train_batch_end(self, *_: Any) -> None:
                found.append(torch.initial_seed())

        data = make_data(tiny_corpus, module, stages=make_plan(2, 0))
        fit(module, data, Seeds(), accumulate_grad_batches=3, limit_val_batches=0)
        return found

    first = seeds()
    assert len(set(first)) == len(first) == 8
    assert seeds() == first


def test_test_variants_may_come_in_any_order(tiny_corpus: Path, tmp_path: Path) -> None:
    numbers = []
    for variants in (("main", "face_blanked"), ("face_blanked", "main"), ("face_blanked",)):
        module = make_module(controls=("main", "face_blanked"), generate=())
        data = make_data(tiny_corpus, module, test_variants=variants)
        trainer = make_trainer(data, HeadActivationMap(), default_root_dir=tmp_path / variants[0])
        (tmp_path / variants[0]).mkdir(exist_ok=True)
        trainer.test(module, datamodule=data, verbose=False)
        numbers.append(module.metrics)
    assert numbers[0] == numbers[1]
    maps = [(tmp_path / name / "head_activation.json").read_bytes() for name in ("main", "face_blanked")]
    assert maps[0] == maps[1]
    assert numbers[2] == {k: v for k, v in numbers[0].items() if k.startswith("test/face_blanked/")}


def test_several_processes_cannot_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would answer its share, and one would write the file."""
    module = make_module()
    module.trainer = make_trainer(SimpleNamespace(stages=make_plan()))  # type: ignore[arg-type]
    monkeypatch.setattr(L.Trainer, "world_size", 2)
    for begin in (module.on_test_start, module.on_predict_start):
        with pytest.raises(
            UserError, match=r"in one process: got 2\. Test and predict with --trainer.devices 1"
        ):
            begin()


def test_every_step_is_logged(tiny_corpus: Path) -> None:
    """Loss and its parts, active rate in all and per module, lambda: one value a step, and they add up."""
    module, log = make_module(), Log()
    data = make_data(tiny_corpus, module)
    fit(module, data, log)
    assert len(log.rows) == data.total_steps()
    parts = ("language_modeling", "smooth_proximity", "head_activation")
    modules = ("layer0.self", "layer0.cross", "layer1.self")
    expected = {f"train/{n}" for n in ("loss", *parts, "active_rate", "lambda")}
    expected |= {f"train/active_rate/{n}" for n in modules}
    assert expected <= set(log.rows[0])
    stage = {"train/video_stage"}  # logged after the first look
    assert all(set(row) | stage == set(log.rows[0]) | stage for row in log.rows)
    for row in log.rows:
        assert row["train/loss"] == pytest.approx(sum(row[f"train/{p}"] for p in parts), rel=1e-5)
        rates = [row[f"train/active_rate/{n}"] for n in modules]
        assert row["train/active_rate"] == pytest.approx(sum(rates) / 3, abs=1e-6)
    assert log.rows[0]["train/lambda"] == pytest.approx(1e-4)
    stages = [row["train/video_stage"] for row in log.rows]
    assert stages == [0.0] * data.steps_per_epoch(0) + [1.0] * data.steps_per_epoch(1)


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_learning_rate_warms_up_and_ends_at_zero(tiny_corpus: Path, accumulate: int) -> None:
    """Along the optimizer steps of the whole plan, of which there are fewer with accumulation."""
    module, log = make_module(warmup_steps=2), Log()
    data = make_data(tiny_corpus, module, batch_size=2)
    trainer = fit(module, data, log, accumulate_grad_batches=accumulate)
    total = sum(math.ceil(data.steps_per_epoch(e) / accumulate) for e in range(data.stages.epochs))
    assert trainer.global_step == total
    used = list(dict.fromkeys(rates["qformer"] for rates in log.rates))
    assert len(used) == total  # a rate of its own for every step: none is wasted at zero
    peak = LearningRates().qformer
    assert used[:3] == pytest.approx([peak / 3, 2 * peak / 3, peak])
    assert used[2:] == sorted(used[2:], reverse=True)
    assert used[-1] > 0
    assert module.lr_factor(total, total) == pytest.approx(0)


def test_routers_and_rows_do_not_decay(tiny_corpus: Path) -> None:
    module = make_module()
    data = make_data(tiny_corpus, module)
    trainer = fit(module, data, limit_train_batches=1, max_epochs=1)
    decay = {g["name"]: g["weight_decay"] for g in trainer.optimizers[0].param_groups}
    assert decay == {"token_rows": 0, "qformer": 0.01, "router": 0, "lora": 0.01, "encoder_late": 0.01}


def test_each_group_has_its_own_learning_rate(tiny_corpus: Path) -> None:
    rates = LearningRates(1e-3, 2e-3, 3e-3, 4e-3, 5e-3)
    module, log = make_module(learning_rates=rates, warmup_steps=0), Log()
    fit(module, make_data(tiny_corpus, module), log, limit_train_batches=1, max_epochs=1)
    assert log.rates == [pytest.approx(asdict(rates))]
    optimizer = module.trainer.optimizers[0]
    groups = {g["name"]: {id(p) for p in g["params"]} for g in optimizer.param_groups}
    assert groups == {n: {id(p) for p in ps} for n, ps in module.chat.parameter_groups().items()}


def test_clips_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Released bug 13: the released code decodes the clip again for each of its questions."""
    from pvchat.datamodules import decoding

    decoded: list[str] = []
    decode = decoding.decode

    def counted(path: Path, **settings: Any) -> Any:
        decoded.append(path.name)
        return decode(path, **settings)

    monkeypatch.setattr(decoding, "decode", counted)
    corpus = make_corpus(tmp_path, clips={"train": 4, "test": 2})
    for n in range(2):
        module = make_module(controls=("main", "face_blanked"), generate=(), warmup_steps=n)
        data = make_data(corpus, module, stages=make_plan(1, 2))
        log = Log()
        trainer = fit(module, data, log)
        trainer.test(module, datamodule=data, verbose=False)
        assert sum(map(len, log.asked)) > 3 * 4
        assert sorted(decoded) == sorted({r.path.name for r in data.records})


def test_features_are_extracted_on_the_device_of_the_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lightning prepares the data before it moves the model: a GPU box would extract on its CPU."""
    done: list[object] = []
    to, extract = ViewExtractor.to, ViewExtractor.__call__

    def moved(self: ViewExtractor, device: torch.device) -> object:
        done.append(device)
        return to(self, torch.device("cpu"))

    def extracted(self: ViewExtractor, clip: Any, *, blank_faces: bool = False) -> Any:
        done.append("clip")
        return extract(self, clip, blank_faces=blank_faces)

    monkeypatch.setattr(ViewExtractor, "to", moved)
    monkeypatch.setattr(ViewExtractor, "__call__", extracted)
    module = make_module()
    data = make_data(make_corpus(tmp_path), module)
    trainer = make_trainer(data)
    monkeypatch.setattr(type(trainer.strategy), "root_device", torch.device("meta"))
    data.trainer = trainer
    data.setup("fit")
    assert done[0] == torch.device("meta")
    assert "clip" in done


def test_checkpoint_holds_the_trainable_parts_alone(tiny_corpus: Path, tmp_path: Path) -> None:
    """Released bug 12: the released checkpoints hold all 17 GB. Ours: what is trained, lambda,
    the fingerprint of the base, and the optimizer's two moments. It loads without running its code."""
    module = make_module()
    data = make_data(tiny_corpus, module)
    trainer = fit(module, data)
    path = tmp_path / "last.ckpt"
    trainer.save_checkpoint(path)
    checkpoint = read_checkpoint(path)
    saved = checkpoint["state_dict"]
    assert set(saved) == set(module.trainable_state()) | {"objective.smooth_proximity.weight"}
    assert checkpoint["pvchat"]["base_fingerprint"] == module.base_fingerprint
    assert module.chat.views.fingerprint in module.base_fingerprint
    trained = sum(v.nbytes for v in saved.values())
    assert path.stat().st_size < 3 * trained + 300_000  # weights, two moments; names and pickled structure


def test_a_frozen_stage_loses_nothing(tiny_corpus: Path, tmp_path: Path) -> None:
    """A checkpoint of the image stage holds the late blocks too, frozen as they are then."""
    module = make_module()
    data = make_data(tiny_corpus, module)
    trainer = fit(module, data, max_epochs=1)
    trainer.save_checkpoint(tmp_path / "image.ckpt")
    late = {n for n in module.trainable if ".encoder.late." in n}
    assert late <= set(read_checkpoint(tmp_path / "image.ckpt")["state_dict"])
    assert not any(p.requires_grad for n, p in module.named_parameters() if n in late)


def test_a_checkpoint_of_another_base_is_refused(tiny_corpus: Path, tmp_path: Path) -> None:
    module = make_module()
    fit(module, make_data(tiny_corpus, module), max_epochs=1).save_checkpoint(tmp_path / "last.ckpt")
    lora = LoRA(rank=8, alpha=16)
    other = make_module(
        chat={"language_model": RandomLanguageModel(seed=1, width=64, num_layers=2, lora=lora)}
    )
    data = make_data(tiny_corpus, other)
    before = state(other)
    with pytest.raises(UserError, match="the checkpoint was trained on another base model"):
        make_trainer(data).fit(other, datamodule=data, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert changed(before, other) == set()


class Killed(BaseException):
    pass


class Kill(L.Callback):
    """Ends the process, as it were, before batch number ``after``."""

    def __init__(self, after: int) -> None:
        self.left = after

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if not self.left:
            raise Killed
        self.left -= 1


@pytest.mark.parametrize(("after", "steps"), [(3, 2), (4, 4), (5, 4), (8, 8)])
def test_resume_inside_an_epoch_equals_an_undisturbed_run(
    tiny_corpus: Path, tmp_path: Path, after: int, steps: int
) -> None:
    """Weights, lambda, questions, rates and logged values, from the image stage, from its end and from the
    video stage; the slow tier does it with SIGKILL and files."""

    def module() -> PersonalizedVideoChat:
        return make_module(chat={"dropout": 0.1})

    whole, log = module(), Log()
    data = make_data(tiny_corpus, whole)
    fit(whole, data, log)
    assert data.steps_per_epoch(0) == 4
    assert len(log.rows) == 9

    first = module()
    data = make_data(tiny_corpus, first)
    keep = Checkpointing(every_n_steps=2)
    settings = {"default_root_dir": tmp_path, "enable_checkpointing": True}
    with pytest.raises(Killed):
        make_trainer(data, Kill(after), keep, **settings).fit(first, datamodule=data)
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert [p.name for p in last.parent.iterdir()] == ["last.ckpt"]
    assert read_checkpoint(last)["global_step"] == steps

    second, rest = make_module(chat={"dropout": 0.1, "seed": 9}), Log()
    data = make_data(tiny_corpus, second)
    make_trainer(data, keep, rest, **settings).fit(second, datamodule=data, ckpt_path=last, weights_only=True)
    assert rest.asked == log.asked[steps:]
    assert rest.rates == log.rates[steps:]
    assert rest.rows == log.rows[steps:]
    assert changed(state(whole), second) == set()


def test_untrained_is_the_start_and_is_undone(tiny_corpus: Path) -> None:
    module = make_module()
    start = {n: p.detach().clone() for n, p in module.named_parameters()}
    fit(module, make_data(tiny_corpus, module))
    trained = state(module)
    with module.untrained():
        assert all(torch.equal(p, start[n]) for n, p in module.named_parameters())
    assert changed(trained, module) == set()
    with pytest.raises(KeyboardInterrupt), module.untrained():
        raise KeyboardInterrupt
    assert changed(trained, module) == set()


def test_without_the_base_control_no_copy_is_kept() -> None:
    assert make_module(controls=("main",)).initial == {}


def test_several_persons_train_and_are_tested(tmp_path: Path) -> None:
    """Released bug 9: the same code, the controls that need several persons included."""
    names = ("tom", "ann")
    controls = ("main", "text_only", "base_model", "no_subject_tokens", "other_subject")
    module = make_module(names, controls=controls, generate=())
    data = make_data(make_corpus(tmp_path, names, clips={"train": 2, "test": 2}), module)
    before = state(module)
    trainer = fit(module, data)
    queries = "chat.qformer.personal_query_tokens"
    assert (module.state_dict()[queries] != before[queries]).flatten(1).any(1).all()
    trained = state(module)
    trainer.test(module, datamodule=data, verbose=False)
    assert {k.split("/")[1] for k in module.metrics} == set(controls)
    assert changed(trained, module) == set()


def test_in_a_mixed_batch_each_person_learns_from_their_own_clip() -> None:
    """Through the whole model and its loss on answers: another clip for ann changes nothing for tom."""
    module = make_module(("tom", "ann"), objective=Objective(language_modeling=AnswerCrossEntropy()))
    asked = (("Is <tom> here?", "Yes, <tom> is here."), ("Is <ann> here?", "No, <ann> is not here."))
    batch = make_batch(module.chat, *asked)
    other = make_batch(module.chat, *asked)
    views = {name: torch.stack([view[0], other.views[name][1]]) for name, view in batch.views.items()}
    found = []
    for shown in (batch, replace(batch, views=views)):
        module.zero_grad()
        module.loss(shown).backward()
        qformer = module.chat.qformer
        found.append((qformer.personal_query_tokens.grad.clone(), qformer.query_tokens.grad.clone()))
    (personal, shared), (personal_then, shared_then) = found
    assert personal[0].any()
    torch.testing.assert_close(personal[0], personal_then[0], rtol=0, atol=1e-6)
    assert (personal[1] - personal_then[1]).abs().max() > 1e-3  # an untrained Q-former reads clips faintly
    assert (shared - shared_then).abs().max() > 1e-3


def test_validation_logs_the_loss_of_answers_and_how_scores_order_clips(tiny_corpus: Path) -> None:
    """The scores are those that a test asks for, although no question is asked again."""
    module = make_module()
    data = make_data(tiny_corpus, module)
    trainer = make_trainer(data)
    (numbers,) = trainer.validate(module, datamodule=data, verbose=False)
    losses, count, scores, truth = 0.0, 0, [], []
    with torch.no_grad():
        for batch in data.val_dataloader():
            out = module.chat(batch)
            losses += len(batch) * float(
                module.objective.language_modeling(out.logits, out.labels, out.first)
            )
            count += len(batch)
            existence = batch.select([n for n, e in enumerate(batch.examples) if e.polarity])
            scores += module.chat.presence_scores(existence).tolist()
            truth += [e.polarity == "yes" for e in existence.examples]
    assert len(truth) == 8
    assert numbers == {
        "val/loss": pytest.approx(losses / count, rel=1e-5),
        "val/presence_auc": pytest.approx(roc_auc_score(truth, scores)),
        "val/presence_fpr95": pytest.approx(
            min(fpr for fpr, tpr in zip(*roc_curve(truth, scores)[:2], strict=True) if tpr >= 0.95)
        ),
        "val/score_balanced_accuracy": pytest.approx(balanced_accuracy_score(truth, [s > 0 for s in scores])),
    }


def test_validation_clips_of_one_kind_have_no_order(tmp_path: Path) -> None:
    module = make_module()
    data = make_data(make_corpus(tmp_path, clips={"train": 2, "validation": 1}), module)
    (numbers,) = make_trainer(data).validate(module, datamodule=data, verbose=False)
    assert set(numbers) == {"val/loss"}


def test_a_loss_of_nothing_is_no_crash() -> None:
    """A batch of unanswered questions costs nothing and has a gradient."""
    module = make_module()
    batch = make_batch(module.chat, ("Is <tom> here?", "No."))
    out = module.chat(replace(batch, examples=[replace(batch.examples[0], answer="")]))
    total = module.objective(out.logits, out.labels, out.first, out.routings).total
    total.backward()
    assert total.isfinite()
