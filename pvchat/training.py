"""The LightningModule: one step, its parameter groups, what is logged and what is saved."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil, cos, pi
from typing import Any, Literal

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from pvchat.baselines import Baseline
from pvchat.batch import Batch
from pvchat.checkpoints import fill_checkpoint, trim_checkpoint
from pvchat.datamodules.personalized import PersonalizedDataModule
from pvchat.datamodules.vocabulary import vocabulary
from pvchat.errors import UserError
from pvchat.evaluation import (
    CONTROLS,
    RANKING,
    ControlName,
    Prediction,
    Respondent,
    calibrate,
    predict,
    run_controls,
    summarise,
)
from pvchat.losses import Objective
from pvchat.metrics.ranking import PresenceRanking
from pvchat.modules.video_chat import VideoChat

MetricName = Literal["val/loss", "val/presence_auc", "val/score_balanced_accuracy"]
"""What validation logs, and a training can be judged by."""


@dataclass(frozen=True)
class LearningRates:
    """Peak learning rate of each parameter group."""

    token_rows: float = 1e-3
    qformer: float = 1e-3
    router: float = 1e-2
    lora: float = 1e-3
    encoder_late: float = 1e-4


class PersonalizedVideoChat(L.LightningModule):
    """Trains ``chat(subjects)`` on ``objective``.

    Every group is known to the optimizer from the start; which of them move is the StageSchedule
    callback's choice. The learning rate warms up linearly, then follows a cosine to zero. Dropout is a
    pure function of (``seed``, step), so a resumed run repeats what an undisturbed one does. A test asks
    every question under each of ``controls`` and writes answers out for those in ``generate``. With a
    ``baseline`` it is that which is asked; the chat gives it the features of clips.
    """

    def __init__(
        self,
        *,
        subjects: Sequence[str],
        chat: Callable[[Sequence[str]], VideoChat],
        objective: Objective,
        learning_rates: LearningRates | None = None,
        weight_decay: float = 0.01,
        warmup_steps: int = 10,
        seed: int = 0,
        controls: Sequence[ControlName] = CONTROLS,
        generate: Sequence[ControlName] = ("main",),
        max_new_tokens: int = 24,
        baseline: Baseline | None = None,
    ) -> None:
        super().__init__()
        if warmup_steps < 0:
            raise UserError(f"warmup_steps must be >= 0: got {warmup_steps}.")
        self.strict_loading = False  # the frozen base is not in the checkpoint
        self.chat = chat(subjects)
        self.baseline = baseline
        self.objective = objective
        self.learning_rates = learning_rates or LearningRates()
        self.weight_decay, self.warmup_steps, self.seed = weight_decay, warmup_steps, seed
        self.controls, self.generate, self.max_new_tokens = tuple(controls), tuple(generate), max_new_tokens
        self.predictions: list[Prediction] = []
        self.metrics: dict[str, float] = {}
        self.threshold = 0.0
        self.ranking = PresenceRanking()  # of validation
        groups = self.chat.parameter_groups()
        self.chat.requires_grad_(False)
        for parameter in (p for group in groups.values() for p in group):
            parameter.requires_grad_(True)
        self.trainable = frozenset(n for n, p in self.named_parameters() if p.requires_grad)
        kept = self.trainable if "base_model" in self.controls else frozenset()
        self.initial = {n: p.detach().clone() for n, p in self.named_parameters() if n in kept}

    def setup(self, stage: str) -> None:
        precision = str(self.trainer.precision)
        if precision not in ("32-true", "bf16-mixed", "16-mixed"):
            raise UserError(
                "what is trained stays float32: trainer.precision must be 32-true or a mixed one, got "
                f"{precision}. Use bf16-mixed."
            )

    def on_fit_start(self) -> None:
        """Face embeddings are centred on the training clips; a checkpoint loaded later brings its own."""
        self.chat.views.standardise(self.data.training_features())
        self.respondent.study(self.data.training_clips())

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        part = batch_idx % self.trainer.accumulate_grad_batches  # of the batches that make one step
        step = (self.seed * 1_000_003 + self.global_step) * 1_009 + self.global_rank
        torch.manual_seed(step + part * 1_000_000_007)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        out = self.chat(batch)
        objective = self.objective(out.logits, out.labels, out.first, out.routings, out.presence)
        values = {"loss": objective.total, **objective.parts}
        logged = {f"train/{name}": value.detach() for name, value in values.items()}
        # yes or no is the first word; it is learned late and suddenly, unseen in the mean over all words
        words = F.cross_entropy(out.logits.detach(), out.labels, reduction="none")
        logged["train/first_word"] = (words * out.first).sum() / out.first.sum()
        sparsities = torch.zeros(1, device=self.device)
        if out.routings:
            rates = {name: routing.active_rate for name, routing in out.routings.items()}
            sparsities = 1 - torch.stack(list(rates.values())).detach()
            logged |= {f"train/active_rate/{name}": rate for name, rate in rates.items()}
            logged["train/active_rate"] = 1 - sparsities.mean()
            shares = [routing.routed_share.detach() for routing in out.routings.values()]
            logged["train/routed_share"] = torch.stack(shares).mean()
        if self.objective.smooth_proximity is not None:
            logged["train/lambda"] = self.objective.smooth_proximity.weight.mean()
        self.log_dict(logged, batch_size=len(batch))
        loss = objective.total * self._weight(batch_idx)
        return {"loss": loss, "sparsity": sparsities.mean(), "sparsities": sparsities}

    def _weight(self, batch_idx: int) -> float:
        """Of a batch among those accumulated into its step, so that every question counts the same. Lightning
        divides by ``accumulate_grad_batches``, also where an epoch ends before as many are there."""
        many = self.trainer.accumulate_grad_batches
        if many == 1:
            return 1.0
        sizes = self.data.batch_sizes(self.current_epoch)[: int(self.trainer.num_training_batches)]
        first = batch_idx - batch_idx % many
        return many * sizes[batch_idx] / sum(sizes[first : first + many])

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        out = self.chat(batch)
        loss = self.objective.language_modeling(out.logits, out.labels, out.first)
        self.log("val/loss", loss, batch_size=len(batch), prog_bar=True, sync_dist=True)
        words = out.logits[out.first]  # (B, V), before the first word of each answer
        scores = words[:, self.chat.yes_id] - words[:, self.chat.no_id]
        asked = [i for i, e in enumerate(batch.examples) if e.polarity is not None]
        self.ranking.update(scores[asked], [batch.examples[i].polarity == "yes" for i in asked])

    def on_validation_epoch_end(self) -> None:
        """How well the scores of all existence questions order them; nothing where all have one answer."""
        for name, value in self.ranking.compute().items():
            if not value.isnan():
                self.log(f"val/{RANKING[name]}", value.float(), sync_dist=True)
        self.ranking.reset()

    @property
    def data(self) -> PersonalizedDataModule:
        """The datamodule of the trainer, which knows its length and what to calibrate on."""
        datamodule: PersonalizedDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        return datamodule

    @property
    def respondent(self) -> Respondent:
        """Who is asked."""
        return self.chat if self.baseline is None else self.baseline

    def on_validation_start(self) -> None:
        if self.trainer.state.fn == "validate":  # a fit has begun with it
            self.respondent.study(self.data.training_clips())

    def on_test_start(self) -> None:
        self._begin_answers()
        self.threshold = self._calibrate()

    def test_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        """There is a loader for the clips as they are and one for them with faces blanked."""
        variant = self.data.test_variants[dataloader_idx]
        controls = [c for c in self.controls if (c == "face_blanked") == (variant == "face_blanked")]
        self.predictions += run_controls(
            self.respondent,
            batch,
            controls,
            base_model=self.untrained(),
            generate=self.generate,
            max_new_tokens=self.max_new_tokens,
        )

    def on_test_epoch_end(self) -> None:
        words = vocabulary(self.data.records)
        numbers = summarise(self.predictions, threshold=self.threshold, vocabulary=words)
        self.metrics = {f"test/{name}": value for name, value in numbers.items()}
        for logger in self.loggers:
            logger.log_metrics(self.metrics, step=self.global_step)

    def on_predict_start(self) -> None:
        self._begin_answers()
        if self.baseline is not None:
            self._calibrate()

    def predict_step(self, batch: Batch, batch_idx: int) -> None:
        """Answers and scores, no controls."""
        self.predictions += predict(self.respondent, batch, "main", max_new_tokens=self.max_new_tokens)

    def _begin_answers(self) -> None:
        if self.trainer.world_size > 1:
            raise UserError(
                "answers are collected in one process: got "
                f"{self.trainer.world_size}. Test and predict with --trainer.devices 1."
            )
        self.predictions = []
        self.respondent.study(self.data.training_clips())

    def _calibrate(self) -> float:
        """The threshold; a baseline that compares something with it also answers by it."""
        batches = self.data.calibration_dataloader()
        threshold = calibrate(self.respondent, (b.to(self.device) for b in batches))
        if self.baseline is not None:
            self.baseline.threshold = threshold
        return threshold

    @contextmanager
    def untrained(self) -> Iterator[None]:
        """The model as it was before any training; undone on exit."""
        trained = {n: p.detach().clone() for n, p in self.named_parameters() if n in self.initial}
        self.load_state_dict(self.initial, strict=False)
        try:
            yield
        finally:
            self.load_state_dict(trained, strict=False)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        rates = asdict(self.learning_rates)
        groups = [
            {
                "name": name,
                "params": parameters,
                "lr": rates[name],
                # decay would pull routers towards "off" and rows towards the origin
                "weight_decay": 0.0 if name in ("router", "token_rows") else self.weight_decay,
            }
            for name, parameters in self.chat.parameter_groups().items()
            if parameters
        ]
        optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
        accumulated = self.trainer.accumulate_grad_batches  # the last batch of an epoch steps in any case
        epochs = range(self.data.stages.epochs)
        total = sum(ceil(self.data.steps_per_epoch(epoch) / accumulated) for epoch in epochs)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: self.lr_factor(step, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def lr_factor(self, step: int, total: int) -> float:
        """Share of the peak rate at ``step`` of ``total``."""
        if step < self.warmup_steps:
            return (step + 1) / (self.warmup_steps + 1)
        progress = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
        return 0.5 * (1 + cos(pi * min(1.0, progress)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        trim_checkpoint(checkpoint, keep=self._kept(), base_fingerprint=self.base_fingerprint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        fill_checkpoint(checkpoint, module=self, keep=self._kept(), base_fingerprint=self.base_fingerprint)

    def train_only(self, groups: Collection[str]) -> list[nn.Parameter]:
        """Let the parameters of ``groups`` move, and no others; returns them."""
        moving = []
        for name, parameters in self.chat.parameter_groups().items():
            for parameter in parameters:
                parameter.requires_grad_(name in groups)
                if name in groups:
                    moving.append(parameter)
                else:
                    parameter.grad = None
        return moving

    def loss(self, batch: Batch) -> Tensor:
        """What is minimised on ``batch``, nothing logged."""
        out = self.chat(batch)
        total: Tensor = self.objective(out.logits, out.labels, out.first, out.routings, out.presence).total
        return total

    def trainable_state(self) -> dict[str, Tensor]:
        """What training may change or set, by name; the rest is the frozen base."""
        state = self.state_dict()
        return {name: state[name] for name in self._adapted()}

    def kept_state(self) -> dict[str, Tensor]:
        """What a checkpoint to resume holds of ``state_dict``."""
        state = self.state_dict()
        return {name: state[name] for name in self._kept()}

    @property
    def base_fingerprint(self) -> str:
        """Names the frozen parts a checkpoint belongs to."""
        return f"{self.chat.views.fingerprint}+{self.chat.language_model.fingerprint}"

    def _kept(self) -> frozenset[str]:
        return self._adapted() | {f"objective.{name}" for name, _ in self.objective.named_buffers()}

    def _adapted(self) -> frozenset[str]:
        return self.trainable | {n for n, _ in self.named_buffers() if n.startswith("chat.views.identity.")}
