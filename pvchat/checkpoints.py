"""Checkpoints of the trainable parts alone, tied to the frozen base by its fingerprint.

Two kinds: a Lightning checkpoint to resume exactly, and an adapter folder (safetensors and JSON, no
pickle) to use. Neither holds a frozen weight, and neither loads onto another base or another shape.
"""

import hashlib
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from pvchat.errors import UserError, writing

FORMAT = 1
STAMP = "pvchat"  # key of our record in a Lightning checkpoint
WEIGHTS, RECORD = "adapter.safetensors", "adapter.json"


def trim_checkpoint(checkpoint: dict[str, Any], *, keep: Collection[str], base_fingerprint: str) -> None:
    """Reduce ``checkpoint["state_dict"]`` to ``keep`` and stamp it; for ``on_save_checkpoint``.

    ``keep`` must not depend on what happens to be frozen at the moment, or stages would lose weights."""
    state = checkpoint["state_dict"]
    if missing := sorted(set(keep) - set(state)):
        raise ValueError(f"keep names entries of the state dict: {_some(missing)} are none.")
    checkpoint["state_dict"] = {name: value for name, value in state.items() if name in keep}
    checkpoint[STAMP] = {"format": FORMAT, "base_fingerprint": base_fingerprint}


def fill_checkpoint(
    checkpoint: dict[str, Any], *, module: nn.Module, keep: Collection[str], base_fingerprint: str
) -> None:
    """Check a trimmed checkpoint against ``module`` and complete it with the module's own frozen weights;
    for ``on_load_checkpoint``. Raises UserError if it belongs to another base or does not fit."""
    stamp = checkpoint.get(STAMP)
    if not isinstance(stamp, dict):
        raise UserError("a checkpoint to resume was written by pvchat fit: this one has no pvchat record.")
    _check_record(stamp, "checkpoint", base_fingerprint)
    own = module.state_dict()
    check_state(checkpoint["state_dict"], {name: own[name] for name in keep}, what="checkpoint")
    checkpoint["state_dict"] = own | checkpoint["state_dict"]


def check_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], *, what: str) -> None:
    """Raise UserError unless ``state`` has the names and shapes of ``expected``."""
    shared = state.keys() & expected.keys()
    faults = {
        "missing": sorted(expected.keys() - state.keys()),
        "unexpected": sorted(state.keys() - expected.keys()),
        "of another shape": [
            f"{name} {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
            for name in sorted(shared)
            if state[name].shape != expected[name].shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{fault}: {_some(names)}" for fault, names in faults.items() if names)
        raise UserError(f"the {what} does not fit this model: {listed}. Use the config it was trained with.")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A Lightning checkpoint from disk, without running any code of it. Raises UserError."""
    if not Path(path).is_file():
        raise UserError(f"a checkpoint is a file: {path} is none. Give runs/NAME/ID/checkpoints/last.ckpt.")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and runtime errors alike
        raise UserError(
            f"cannot read the checkpoint {path}: it is damaged or not a checkpoint. Use an older one."
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("state_dict"), dict):
        raise UserError(f"a checkpoint holds a state_dict: {path} does not. Use one of pvchat fit.")
    return found


def save_adapter(folder: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write ``state`` and ``metadata`` (JSON values; ``subjects`` and ``base_fingerprint`` are required).

    Both files are complete on disk before either takes its name, and the record holds the digest of the
    weights, so whatever is interrupted, a reader sees a whole adapter or an error."""
    if missing := {"subjects", "base_fingerprint"} - metadata.keys():
        raise ValueError(f"adapter metadata needs {sorted(missing)}.")
    folder = Path(folder)
    weights = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    record = {"format": FORMAT, "sha256": hashlib.sha256(weights).hexdigest(), **metadata}
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    partial = {name: folder / f".{name}.{os.getpid()}" for name in (WEIGHTS, RECORD)}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, content in ((WEIGHTS, weights), (RECORD, text.encode())):
                with partial[name].open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            for name, path in partial.items():
                path.replace(folder / name)
        finally:
            for path in partial.values():
                path.unlink(missing_ok=True)


def read_adapter(folder: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """``(state, metadata)`` of an adapter folder. Raises UserError if it is missing or damaged."""
    folder = Path(folder)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        weights = (folder / WEIGHTS).read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"an adapter is a folder with {WEIGHTS} and {RECORD}: {folder} is none.") from error
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("subjects"), list):
        raise UserError(f"cannot read {folder / RECORD}: it is damaged. Save or copy it again.")
    if record.get("sha256") != hashlib.sha256(weights).hexdigest():
        raise UserError(
            f"{folder / WEIGHTS} is damaged: its digest is not the one in {RECORD}. Save or copy it again."
        )
    try:
        return load(weights), record
    except SafetensorError as error:
        raise UserError(f"cannot read {folder / WEIGHTS}: {error}. Save or copy it again.") from error


def weights_digest(path: Path) -> str:
    """sha256 of the weights in an adapter folder, or of a checkpoint."""
    with (path / WEIGHTS if path.is_dir() else path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_adapter(
    folder: str | Path,
    *,
    base_fingerprint: str,
    subjects: Sequence[str],
    expected: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """State of an adapter for this base and these subjects. Raises UserError if it is for others or, given
    ``expected`` (name -> parameter), does not fit them."""
    state, record = read_adapter(folder)
    _check_record(record, f"adapter {folder}", base_fingerprint)
    if list(record["subjects"]) != list(subjects):
        raise UserError(
            f"the adapter {folder} knows the subjects {list(record['subjects'])}: got {list(subjects)}. "
            "Register the same subjects in the same order."
        )
    if expected is not None:
        check_state(state, expected, what=f"adapter {folder}")
    return state


def _check_record(record: Mapping[str, Any], what: str, base_fingerprint: str) -> None:
    if record.get("format") != FORMAT:
        raise UserError(
            f"the {what} has format {record.get('format')}, this version reads format {FORMAT}. "
            "Use the version of pvchat that wrote it."
        )
    if record.get("base_fingerprint") != base_fingerprint:
        raise UserError(
            f"the {what} was trained on another base model ({record.get('base_fingerprint')}): this one is "
            f"{base_fingerprint}. Load it with the encoder and language model it was trained with."
        )


def _some(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
