"""Before anything long: does what will be trained fit into the memory of this machine?"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace

from pvchat.errors import UserError
from pvchat.planning.devices import RESERVED
from pvchat.planning.plan import WORDS, in_four_bits
from pvchat.planning.simulation import AUTOCAST, StepCost, example_batch, simulate_step, without_data
from pvchat.stages import StagePlan
from pvchat.training import PersonalizedVideoChat

SMALL = 1e9  # bytes of weight files below which nothing is looked at
WEIGHTS = {".bin", ".pt", ".pth", ".safetensors"}
_REMEDY = "Take a smaller model or a larger machine, or pass --check_memory false."
GB = 1e9


def check_memory(config: Namespace) -> None:
    """Raise UserError when the model of a ``fit`` configuration cannot fit: weights, gradients and optimizer
    into the free memory of a machine without GPU; a step by the plan, activations included, into the GPU.
    What loads less than 1 GB from folders passes at once; a larger model is built without weights, which
    takes seconds, and simulated for a GPU: minutes."""
    if weights_on_disk(config.model) < SMALL or config.trainer.strategy == "fsdp":
        return  # the plan does not know of parts
    model = weightless_model(config.model)
    if not _on_gpu(config.trainer):
        held, free = _held(model, config), free_memory()
        if free is not None and held > free:
            raise UserError(
                f"weights, gradients and optimizer must fit into memory: they take {held / GB:.1f} GB, "
                f"{free / GB:.1f} GB are free. {_REMEDY}"
            )
        return
    stages = StagePlan(**{n: config.stages[n] for n in ("image", "video")})
    costs = [c.memory for c in _simulated(model, stages, config)]
    if not costs:
        return  # nothing trains
    needed = max(costs) + RESERVED * GB
    if needed > (size := gpu_memory()):
        raise UserError(
            f"a step must fit into the GPU: by the plan it takes {needed / GB:.1f} GB, the GPU has "
            f"{size / GB:.1f} GB. Lower data.batch_size, turn gradient checkpointing on, take a smaller "
            "model or a larger machine, or pass --check_memory false."
        )


def _held(model: PersonalizedVideoChat, config: Namespace) -> int:
    """Bytes of weights, and of gradients and two moments of what the stage that trains most trains."""
    weights = sum(t.nbytes for t in {id(t): t for t in (*model.parameters(), *model.buffers())}.values())
    cost = StepCost(0, weights, 0, 0, 0)
    if model.chat.language_model.quantization:
        cost = in_four_bits(model, cost)
    groups = model.chat.parameter_groups()
    trained = [
        sum(p.nbytes for name in stage.trainable for p in groups.get(name, ()))
        for stage in (config.stages.image, config.stages.video)
        if stage.epochs
    ]
    return cost.weights + 3 * max(trained, default=0)


def weightless_model(config: Namespace) -> PersonalizedVideoChat:
    """The model of ``config`` on the meta device, with one subject where they are not known yet."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PersonalizedVideoChat, "model")
    values = {**config.as_dict(), "subjects": ["subject"]}
    with torch.device("meta"):
        model: PersonalizedVideoChat = parser.instantiate_classes(
            parser.parse_object({"model": values})
        ).model
    return model


def weights_on_disk(config: Any) -> int:
    """Bytes of weight files in the folders that a configuration names."""
    return sum({str(file): file.stat().st_size for file in _weight_files(config)}.values())


def _weight_files(config: Any) -> Iterator[Path]:
    for name, value in vars(config).items():
        if isinstance(value, Namespace):
            yield from _weight_files(value)
        elif name in ("source", "pretrained") and isinstance(value, str | Path) and Path(value).is_dir():
            yield from (file.resolve() for file in Path(value).rglob("*") if file.suffix in WEIGHTS)


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in names:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def gpu_memory() -> int:
    """Bytes of the smallest GPU."""
    return min(torch.cuda.get_device_properties(i).total_memory for i in range(torch.cuda.device_count()))


def _on_gpu(trainer: Namespace) -> bool:
    if trainer.accelerator in ("gpu", "cuda"):
        return torch.cuda.is_available()  # else Lightning says so
    return trainer.accelerator == "auto" and torch.cuda.is_available()


def _simulated(model: PersonalizedVideoChat, stages: StagePlan, config: Namespace) -> list[StepCost]:
    with without_data(model):
        costs = [
            simulate_step(
                model,
                stage,
                example_batch(
                    model, stage, size=config.data.batch_size, num_frames=config.data.num_frames, words=WORDS
                ),
                autocast=AUTOCAST.get(str(config.trainer.precision or "32-true")),
            )
            for stage in (stages.image, stages.video)
            if stage.epochs
        ]
        quantised = model.chat.language_model.quantization
        return [in_four_bits(model, cost) for cost in costs] if quantised else costs
