"""What a training costs, from simulated steps: parameters, memory in several settings, operations."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pvchat.modules.language_model import checkpoint_blocks
from pvchat.modules.video_encoder import VideoEncoder
from pvchat.planning.meter import Meter
from pvchat.planning.simulation import StepCost, example_batch, simulate_step, without_data
from pvchat.stages import Stage, StageName, StagePlan
from pvchat.training import PersonalizedVideoChat

WORDS = (20, 30)  # of a question and of its answer
NF4_BITS = 4.127  # a weight in bitsandbytes' NF4: 4 bits, and scales quantised twice (Dettmers et al. 2023)
WITH, WITHOUT = "checkpointing", "no checkpointing"
FOUR_BIT = ", 4-bit language model"


@dataclass(frozen=True)
class Plan:
    """``parameters`` of each part; ``trained`` ones per stage and group; cost of a step of one process by
    (stage, setting), of which ``configured`` is to be run; ``clip_flops`` to make the features of a clip,
    once; bytes of the ``adapter`` in bf16 and of the ``resume`` checkpoint (float32, with both moments)."""

    parameters: dict[str, int]
    trained: dict[StageName, dict[str, int]]
    steps: dict[tuple[StageName, str], StepCost]
    configured: str
    clip_flops: int
    adapter: int
    resume: int


def make_plan(
    model: PersonalizedVideoChat,
    stages: StagePlan,
    *,
    batch_size: int,
    num_frames: int,
    autocast: torch.dtype | None,
) -> Plan:
    """``model`` was built on the meta device; it is of no use afterwards."""
    groups = model.chat.parameter_groups()
    both: dict[StageName, Stage] = {"image": stages.image, "video": stages.video}
    trained: dict[StageName, dict[str, int]] = {
        name: {g: _count(groups[g]) for g in stage.trainable if groups.get(g)} for name, stage in both.items()
    }
    steps: dict[tuple[StageName, str], StepCost] = {}
    configured = _configured(model)
    quantised = [configured] if model.chat.language_model.quantization else []
    with without_data(model):
        for name, stage in both.items():
            batch = example_batch(model, stage, size=batch_size, num_frames=num_frames, words=WORDS)
            for setting in dict.fromkeys((configured, WITH, WITHOUT)):
                with _checkpointing(model, setting):
                    steps[name, setting] = simulate_step(model, stage, batch, autocast=autocast)
            for setting in dict.fromkeys((*quantised, WITH)):
                steps[name, setting + FOUR_BIT] = in_four_bits(model, steps[name, setting])
        reading = clip_flops(model, num_frames)
    moving = sum(_count(p) for p in groups.values())
    adapted = sum(v.numel() for v in model.trainable_state().values())
    return Plan(
        _parts(model, groups),
        trained,
        steps,
        configured + FOUR_BIT * len(quantised),
        reading,
        2 * adapted,
        4 * adapted + 8 * moving,
    )


def _parts(model: PersonalizedVideoChat, groups: Mapping[str, list[nn.Parameter]]) -> dict[str, int]:
    encoder = model.chat.views.encoder
    lora = _count(groups["lora"])
    return {
        "vision encoder": _count(encoder.parameters()),
        "  of it late blocks": _count(groups["encoder_late"]),
        "bridge (Q-former, projection)": _count(groups["qformer"]),
        "routers": _count(groups["router"]),
        "token rows, personal queries": _count(groups["token_rows"]),
        "language model": _count(model.chat.language_model.base.parameters()) - lora,
        "LoRA": lora,
    }


def _count(parameters: Iterable[Tensor]) -> int:
    return sum({id(p): p.numel() for p in parameters}.values())


def _switches(model: PersonalizedVideoChat) -> list[nn.Module]:
    """Modules that can recompute instead of keeping activations."""
    candidates = [model.chat.views.encoder, *model.chat.language_model.base.modules()]
    return [m for m in candidates if isinstance(getattr(m, "gradient_checkpointing", None), bool)]


def _configured(model: PersonalizedVideoChat) -> str:
    states = {bool(m.gradient_checkpointing) for m in _switches(model)}
    return "as configured" if len(states) == 2 else WITH if True in states else WITHOUT


@contextmanager
def _checkpointing(model: PersonalizedVideoChat, setting: str) -> Iterator[None]:
    """Gradient checkpointing of encoder and language model on or off, where they know it."""
    before = {module: module.gradient_checkpointing for module in _switches(model)}
    if setting == WITH:
        checkpoint_blocks(model.chat.language_model.base)
    for module in before if setting in (WITH, WITHOUT) else ():
        module.gradient_checkpointing = setting == WITH  # type: ignore[assignment]
    yield
    for module, value in before.items():
        module.gradient_checkpointing = value


def in_four_bits(model: PersonalizedVideoChat, cost: StepCost) -> StepCost:
    """Frozen linear layers but the head in NF4; the largest is unpacked while it is used."""
    trained = {id(p) for group in model.chat.parameter_groups().values() for p in group}
    head = {id(p) for p in model.chat.language_model.base.get_output_embeddings().parameters()}
    packed: list[Tensor] = [
        module.weight
        for module in model.chat.language_model.base.modules()
        if isinstance(module, nn.Linear) and id(module.weight) not in head | trained
    ]
    saved = sum(w.nbytes - w.numel() * NF4_BITS / 8 for w in packed)
    unpacked = max((2 * w.numel() for w in packed), default=0)
    return replace(cost, weights=round(cost.weights - saved), activations=cost.activations + unpacked)


@torch.no_grad()
def clip_flops(model: PersonalizedVideoChat, num_frames: int) -> int:
    """Of the frozen encoder blocks for one clip: the frames jointly and one alone, or image by image."""
    views = model.chat.views
    encoder, pixels = views.encoder, views.encoder.image_px
    with Meter() as meter:
        if isinstance(encoder, VideoEncoder):
            for count in {1, num_frames}:
                encoder.embed(torch.zeros(views.num_passes, count, 3, pixels, pixels))
        else:
            images = sum(s[1] // encoder.boundary_tokens for s in views.shapes(num_frames).values())
            encoder.embed(torch.zeros(images * num_frames, 3, pixels, pixels))
    return int(meter.flops)
