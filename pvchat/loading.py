"""A trained run, ready to answer: the model of its config with its adapter, and clips made into batches."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jsonargparse import ArgumentError, ArgumentParser
from transformers.utils.logging import disable_progress_bar

from pvchat.batch import Batch, Example, Features, stack_features
from pvchat.checkpoints import load_adapter, read_checkpoint
from pvchat.datamodules.decoding import DecodeSettings
from pvchat.datamodules.video import decode
from pvchat.errors import UserError
from pvchat.modules.video_chat import VideoChat
from pvchat.runs import ADAPTER, BEST, CHECKPOINTS, CONFIG, find_run, read_config, read_record
from pvchat.training import PersonalizedVideoChat
from pvchat.usage import explain

Weights = Literal["last", "best"]
"""Those at the end of a training, or those of its best validation."""


@dataclass(frozen=True)
class PersonalModel:
    """A ``chat`` that knows its subjects, and how it was shown clips in training."""

    chat: VideoChat
    settings: DecodeSettings

    def look(self, clip: str | Path) -> Features:
        """Decode a video or photo and extract what the model sees of it. Raises UserError."""
        views = self.chat.views
        return views.show(views.extract(decode(clip, **vars(self.settings))), None)

    def batch(self, features: Features, question: str) -> Batch:
        """One clip, one question, which spells subjects as ``<name>``."""
        views, masks = stack_features([features])
        example = Example("", "", question, "", "general", None, (), {}, "real")
        asked = torch.tensor([self.chat.registry.person_mask(question)])
        return Batch([example], views, masks, asked).to(self.chat.project_up.weight.device)


def load_weights(module: PersonalizedVideoChat, source: str | Path, weights: Weights = "last") -> Path:
    """Give ``module`` what was trained in the run ``source`` (or lies in an adapter folder); returns where
    that is. Raises UserError if there is none, or it belongs to another model or other subjects."""
    path = find_weights(source, weights)
    if weights == "best":
        run = path.parent.parent
        if (known := read_record(run).get("subjects")) != list(module.chat.registry.names):
            raise UserError(
                f"the run {run} knows the subjects {known}: got {list(module.chat.registry.names)}. Register "
                "the same subjects in the same order."
            )
        checkpoint = read_checkpoint(path)
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
        return path
    state = load_adapter(
        path,
        base_fingerprint=module.base_fingerprint,
        subjects=module.chat.registry.names,
        expected=module.trainable_state(),
    )
    module.load_state_dict(state, strict=False)
    return path


def find_weights(source: str | Path, weights: Weights = "last") -> Path:
    """The adapter folder, or the best checkpoint, of the run ``source``, which may also be an adapter folder.
    Raises UserError if there is none."""
    path = Path(source)
    if weights == "best":
        run = find_run(path, holding=f"{CHECKPOINTS}/{BEST}")
        best = run / CHECKPOINTS / BEST
        if not best.is_file():
            raise UserError(
                f"--weights best needs {best}, which does not exist: train with "
                "--checkpoint.monitor val/loss, or leave it out."
            )
        return best
    return path if (path / "adapter.json").is_file() else find_run(path) / ADAPTER


def load_run(path: str | Path) -> PersonalModel:
    """Build the model of a run folder from its config and load its adapter. Raises UserError."""
    disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = find_run(path)
    if not (folder / ADAPTER).is_dir():
        raise UserError(
            f"a run to chat with needs a trained {ADAPTER}/: {folder} has none (training unfinished?)."
        )
    config, record = read_config(folder / CONFIG), read_record(folder)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(PersonalizedVideoChat, "model")
    try:
        values = {"model": {**config["model"], "subjects": record["subjects"], "controls": ["main"]}}
        data = config["data"]
        settings = DecodeSettings(data["num_frames"], data.get("max_px"), data["frame_policy"])
        parsed = parser.parse_object(values)
    except (ArgumentError, KeyError, TypeError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else explain(str(error)).rstrip(".")
        raise UserError(
            f"{folder} was not written by this version of pvchat: {reason}. "
            "Use the version that wrote it, or train anew."
        ) from error
    module: PersonalizedVideoChat = parser.instantiate_classes(parsed).model
    if module.baseline is not None or module.chat.introduction is not None:
        raise UserError(f"a baseline is tested, not talked to: {folder} is the run of one. Take another run.")
    load_weights(module, folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return PersonalModel(module.chat.eval().to(device), settings)
