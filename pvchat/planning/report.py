"""A plan as a page of text."""

from pvchat.planning.devices import RESERVED, Device
from pvchat.planning.plan import WORDS, Plan
from pvchat.reporting.table import Cell, render_table
from pvchat.stages import StageName

STAGES: tuple[StageName, ...] = ("image", "video")
SIZES = (24, 48, 80)
GB = 1e9


def report(
    plan: Plan,
    device: Device | None,
    *,
    batch_size: int,
    steps: dict[StageName, int],
    basis: str,
    share: float,
) -> str:
    """``steps`` of each stage and what their number rests on; ``share`` of the device's speed is reached."""
    parts = [_parameters(plan), _memory(plan, batch_size), _fits(plan)]
    if device is not None:
        parts.append(_device(plan, device))
        parts.append(_hours(plan, device, steps, basis, share))
    parts.append(
        f"Checkpoints: adapter {plan.adapter / 1e6:.0f} MB when exported in bf16, "
        f"{2 * plan.adapter / 1e6:.0f} MB as saved (float32); to resume {plan.resume / GB:.2f} GB."
    )
    return "\n\n".join(parts)


def _parameters(plan: Plan) -> str:
    rows: list[list[Cell]] = [[name, f"{count:,}"] for name, count in plan.parameters.items()]
    table = render_table(["part", "parameters"], rows)
    trained = [
        f"Trained in the {stage} stage: {sum(groups.values()):,} ({', '.join(groups)})."
        for stage, groups in plan.trained.items()
    ]
    return "\n\n".join([table, "\n".join(trained)])


def _memory(plan: Plan, batch_size: int) -> str:
    rows: list[list[Cell]] = [
        [
            f"{stage}, {name}{' (as configured)' if name == plan.configured else ''}",
            *(f"{n / GB:.2f}" for n in (c.weights, c.gradients, c.optimizer, c.activations, c.memory)),
            f"{c.flops / 1e12:.1f}",
        ]
        for (stage, name), c in plan.steps.items()
    ]
    head = ["a step", "weights", "gradients", "optimizer", "activations", "GB in all", "TFLOP"]
    return (
        f"Memory of one process in GB (1e9), {batch_size} questions of {WORDS[0]} + {WORDS[1]} words a step:"
        f"\n\n{render_table(head, rows)}"
    )


def _fits(plan: Plan) -> str:
    lines, settings = [], dict.fromkeys(name for _, name in plan.steps)
    for size in SIZES:
        names = [name for name in settings if needed_gigabytes(plan, name) <= size]
        lines.append(f"{size} GB: {'; '.join(names) or 'none of these'}")
    return f"Fits ({RESERVED} GB kept for CUDA):\n" + "\n".join(lines)


def _device(plan: Plan, device: Device) -> str:
    needed = needed_gigabytes(plan, plan.configured)
    verdict = "fits" if needed <= device.gigabytes else "does not fit"
    return (
        f"{device.label}: {device.gigabytes:g} GB, {needed:.1f} GB needed as configured: {verdict}. "
        "Several processes (DDP) keep gradients twice, which is not counted."
    )


def _hours(plan: Plan, device: Device, steps: dict[StageName, int], basis: str, share: float) -> str:
    speed = device.teraflops * 1e12 * share
    per_step = {stage: plan.steps[stage, plan.configured].flops / speed for stage in STAGES}
    hours = training_hours(plan, device, steps, share)
    lines = [
        f"Time at {share:.0%} of {device.teraflops:g} TFLOP/s (assumed, not measured): "
        + ", ".join(f"{seconds:.2f} s a step of the {stage} stage" for stage, seconds in per_step.items())
        + f"; {plan.clip_flops / speed:.2f} s to make the features of a clip, once."
    ]
    counts = " + ".join(f"{steps[stage]:,}" for stage in STAGES)
    lines.append(f"{counts} steps, by {basis}: {hours:.2f} hours on one device.")
    return "\n".join(lines)


def training_hours(plan: Plan, device: Device, steps: dict[StageName, int], share: float) -> float:
    """Of all ``steps``, on one device of which ``share`` of the speed is reached."""
    flops = sum(steps[stage] * plan.steps[stage, plan.configured].flops for stage in STAGES)
    return flops / (device.teraflops * 1e12 * share) / 3600


def needed_gigabytes(plan: Plan, setting: str) -> float:
    """Memory of a device that a setting fits into."""
    return max(plan.steps[stage, setting].memory for stage in STAGES) / GB + RESERVED
