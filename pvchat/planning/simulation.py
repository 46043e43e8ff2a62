"""One training step on tensors without data: the operators it runs and the memory it holds."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pvchat.batch import Batch, Example, QuestionType
from pvchat.modules.base_views import Views
from pvchat.planning.meter import Meter
from pvchat.stages import Stage
from pvchat.training import PersonalizedVideoChat

AUTOCAST = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16, "32-true": None}
"""What a precision of the trainer computes in."""


@dataclass(frozen=True)
class StepCost:
    """Of one step of one process. ``flops`` of forward and backward; bytes of ``weights`` (frozen and
    trained, buffers), ``gradients``, ``optimizer`` state, and of ``activations``: all else alive at the
    peak."""

    flops: int
    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def memory(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.activations


def without_data(model: nn.Module) -> FakeTensorMode:
    """Give ``model``, built on the meta device, tensors without data that pass for tensors of a CPU inside
    the mode that is returned."""
    mode = FakeTensorMode()
    made: dict[Tensor, Tensor] = {}  # shared weights stay shared

    def fake(tensor: Tensor) -> Tensor:
        if tensor not in made:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
            learned = isinstance(tensor, nn.Parameter)
            made[tensor] = nn.Parameter(empty, tensor.requires_grad) if learned else empty
        return made[tensor]

    with mode:
        for module in model.modules():
            for owned in (module._parameters, module._buffers):
                owned.update({name: fake(t) for name, t in owned.items() if t is not None})  # type: ignore[misc]
    return mode


def simulate_step(
    model: PersonalizedVideoChat, stage: Stage, batch: Batch, *, autocast: torch.dtype | None
) -> StepCost:
    """Forward, backward and AdamW of ``model`` on ``batch``, as in ``stage``. Optimizer state is there from
    the start: it is after the first step. Works the same on real tensors."""
    trained = model.train_only(stage.trainable)
    model.zero_grad()
    meter = Meter()
    precision = nullcontext() if autocast is None else torch.autocast(trained[0].device.type, autocast)
    with meter:
        for tensor in (*model.parameters(), *model.buffers()):
            meter.track(tensor)
        weights = meter.now
        moments = [torch.zeros_like(p) for p in trained for _ in range(2)]
        optimizer = meter.now - weights
        for tensor in _tensors(batch):
            meter.track(tensor)
        model.train()
        with precision:
            loss = model.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = sum(p.grad.nbytes for p in trained if p.grad is not None)
    del moments
    for parameter in trained:
        parameter.grad = None
    held = weights + optimizer + gradients
    return StepCost(meter.flops, weights, gradients, optimizer, max(0, meter.peak - held))


def example_batch(
    model: PersonalizedVideoChat, stage: Stage, *, size: int, num_frames: int, words: tuple[int, int]
) -> Batch:
    """``size`` questions as ``stage`` asks them about clips of ``num_frames`` frames, question and answer of
    as many ``words``."""
    views: Views = model.chat.views
    names = model.chat.registry.names
    features = {n: torch.zeros(s, dtype=_dtype(views)) for n, s in views.shapes(num_frames).items()}
    features |= {f"{n}.mask": torch.ones(f.shape[0], dtype=torch.bool) for n, f in features.items()}
    shown = views.show(features, stage.num_frames)
    kept = {n: f.expand(size, *f.shape).clone() for n, f in shown.items()}
    asked: QuestionType = "existence"
    example = Example(
        id="planned",
        clip_id="planned",
        question=f"<{names[0]}>" + " is" * (words[0] - 1),
        answer="is" + " is" * (words[1] - 1),
        type=asked,
        polarity="yes",
        subjects=tuple(names),
        presence=dict.fromkeys(names, True),
        origin="real",
    )
    return Batch(
        [example] * size,
        {n: f for n, f in kept.items() if not n.endswith(".mask")},
        {n.removesuffix(".mask"): f for n, f in kept.items() if n.endswith(".mask")},
        torch.ones(size, len(names), dtype=torch.bool),
    )


def _dtype(views: Views) -> torch.dtype:
    """Of cached features: that of the frozen weights, if they are small."""
    kept = {p.dtype for p in views.encoder.parameters() if not p.requires_grad}
    return torch.bfloat16 if torch.bfloat16 in kept else torch.float16


def _tensors(batch: Batch) -> Sequence[Tensor]:
    return [*batch.views.values(), *batch.view_masks.values(), batch.person_mask]
