"""To be run first on a rented box: is the GPU what was paid for, does a step fit and stay finite?"""

import time
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

import torch

from pvchat.doctor.stored_logits import checkpoint_report
from pvchat.errors import UserError
from pvchat.lightning_cli import PVChatCLI, run
from pvchat.planning.devices import DEVICES
from pvchat.planning.plan import WORDS, in_four_bits
from pvchat.planning.plan_command import PlanningCLI
from pvchat.planning.simulation import AUTOCAST, StepCost, example_batch, simulate_step, without_data
from pvchat.stages import Stage, StageName
from pvchat.training import PersonalizedVideoChat

SLACK = 0.1  # measured memory may differ from the plan by this share


class BuildingCLI(PlanningCLI):
    """Parses as ``fit`` does and builds the model with its weights; no run folder, no trainer."""

    def instantiate_classes(self) -> None:
        self.config_init = self.parser.instantiate_classes(self.config)
        self.model = self.config_init.fit.model
        self.datamodule = self.config_init.fit.data


def device_report(device: torch.device) -> str:
    """Name, memory, precision, and the speed of a large matrix product. Raises UserError without a GPU."""
    if device.type != "cuda":
        return f"{device}: {_speed(device, side=1024):.2f} TFLOP/s in bf16"
    if not torch.cuda.is_available():
        raise UserError(
            f"a GPU is needed: torch {torch.__version__} sees none (built for CUDA {torch.version.cuda}). "
            "Check nvidia-smi, the driver, and that torch is not the CPU build."
        )
    about = torch.cuda.get_device_properties(device)
    speed = _speed(device, side=8192)
    sheet = next((d.teraflops for d in DEVICES.values() if d.label in about.name), None)
    share = "" if sheet is None else f", {speed / sheet:.0%} of the data sheet"
    bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16: use --trainer.precision 16-mixed"
    return f"{about.name}, {about.total_memory / 1e9:.0f} GB, {bf16}, {speed:.0f} TFLOP/s{share}"


def first_steps(
    args: Sequence[str], device: torch.device, *, steps: int = 3, store: bool = False
) -> Iterator[str]:
    """The checkpoint that the experiment in ``args`` starts from, then a few steps of each of its stages:
    finite losses and gradients, seconds, memory against the plan. Raises UserError when something is not
    finite, needs more memory than planned, or the checkpoint is not what was imported and stored."""
    planned = _cli(args, PlanningCLI)
    data, precision = planned.datamodule, AUTOCAST[str(planned.config.fit.trainer.precision or "32-true")]
    stages: dict[StageName, Stage] = {"image": data.stages.image, "video": data.stages.video}
    sizes: dict[str, Any] = {"size": data.batch_size, "num_frames": data.settings.num_frames, "words": WORDS}
    costs: dict[StageName, StepCost] = {}
    with without_data(planned.model):
        for name, stage in stages.items():
            batch = example_batch(planned.model, stage, **sizes)
            costs[name] = simulate_step(planned.model, stage, batch, autocast=precision)
            if planned.model.chat.language_model.quantization:
                costs[name] = in_four_bits(planned.model, costs[name])
    model = _cli(args, BuildingCLI).model.to(device)
    if found := checkpoint_report(model.chat, data.settings.num_frames, store=store):
        yield found
    for name, stage in stages.items():
        yield _measure(model, name, stage, costs[name], sizes, device, precision, steps)


def _measure(
    model: PersonalizedVideoChat,
    name: StageName,
    stage: Stage,
    cost: StepCost,
    sizes: dict[str, Any],
    device: torch.device,
    precision: torch.dtype | None,
    steps: int,
) -> str:
    batch = example_batch(model, stage, **sizes).to(device)
    trained = model.train_only(stage.trainable)
    optimizer = torch.optim.AdamW(trained, lr=1e-6)
    model.train()
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = []
    for _ in range(steps):
        begun = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device.type, precision, enabled=precision is not None):
            loss = model.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        value = loss.item()  # waits for the device
        seconds.append(time.perf_counter() - begun)
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        broken = [name for name, gradient in gradients.items() if not gradient.isfinite().all()]
        if broken or not isfinite(value):
            raise UserError(
                f"the {name} stage must stay finite: loss {value}, {len(broken)} gradients are not, such as "
                f"{broken[:3]}. Try --trainer.precision 32-true; if that is finite, report it."
            )
    text = f"{name} stage: loss {value:.3f}, {min(seconds):.2f} s a step"
    if not on_gpu:
        return f"{text}, {cost.memory / 1e9:.2f} GB planned"
    used = torch.cuda.max_memory_allocated(device)
    text += f", {used / 1e9:.2f} GB at the peak, {cost.memory / 1e9:.2f} GB planned"
    if used > (1 + SLACK) * cost.memory:
        raise UserError(f"{text}: over {SLACK:.0%} more than planned. Use a smaller batch, and report it.")
    return text


def _cli(args: Sequence[str], kind: type[PVChatCLI]) -> Any:
    return run(["fit", *args, "--model.subjects=[subject]"], kind)


def _speed(device: torch.device, *, side: int, repeats: int = 10) -> float:
    """TFLOP/s of bf16 products of ``side`` x ``side`` matrices."""
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    (a @ a).sum().item()
    begun = time.perf_counter()
    for _ in range(repeats):
        b = a @ a
    b.sum().item()  # waits for the device
    return 2 * side**3 * repeats / (time.perf_counter() - begun) / 1e12
