"""Can a run be repeated? Looked for before anything long."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from packaging.version import InvalidVersion, Version

from pvchat import __version__
from pvchat.assets import asset
from pvchat.checkpoints import RECORD as ADAPTER_RECORD
from pvchat.checkpoints import weights_digest
from pvchat.datamodules.sources import Source
from pvchat.datamodules.video import content_hash
from pvchat.errors import UserError
from pvchat.loading import find_weights
from pvchat.runs import (
    ADAPTER,
    CHECKPOINTS,
    CONFIG,
    DATA,
    LAST,
    METRICS,
    RECORD,
    TESTED,
    read_config,
    read_json,
)
from pvchat.usage import explain

ADAPTER_FILE = f"{ADAPTER}/{ADAPTER_RECORD}"
BEGUN = {"path", "weights", "sha256"}


def check_files(run: Path, record: Mapping[str, Any]) -> None:
    """Raise UserError where a file that a rerun reads was edited into something else: the last of them would
    be read when all is trained again."""
    for name in _wrong_files(run, record):
        raise UserError(f"a rerun needs {run / name} as pvchat wrote it: it has other contents. Restore it.")


def check_run(run: Path, record: Mapping[str, Any]) -> None:
    """Raise UserError unless ``run`` was trained to its end and tested, by no newer pvchat than this."""
    written = str(record.get("environment", {}).get("pvchat", "0"))
    if Version(written) > Version(__version__):
        raise UserError(f"{run} was written by pvchat {written}, this is {__version__}: install {written}.")
    trains = (run / CHECKPOINTS / LAST).is_file() or (run / ADAPTER).is_dir()
    if trains and "fitted" not in record:
        raise UserError(
            f"a run to repeat must have ended: the training of {run} did not. Continue it with "
            f"pvchat fit --resume {run}."
        )
    if not (run / METRICS).is_file():
        raise UserError(
            f"a run to repeat must have been tested: {run} has no {METRICS}. Do pvchat test --run {run}, or "
            "start anew if its training did not end."
        )


def check_data(run: Path, record: Mapping[str, Any]) -> None:
    """Raise UserError unless clips and labels are those that the run saw."""
    try:
        config = read_config(run / CONFIG)["data"]["source"]
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--source", type=Source)
        source: Source = parser.instantiate_classes(parser.parse_object({"source": config})).source
    except (ArgumentError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else explain(str(error))
        raise UserError(
            f"{run / CONFIG} was not written by this version of pvchat: {reason.rstrip('.')}. "
            "Use the version that wrote it."
        ) from error
    try:
        records, fingerprint = {r.id: r.path for r in source.records()}, source.fingerprint
    except (UserError, OSError) as error:
        raise UserError(f"the data of {run} cannot be read any more: {error}") from error
    known = read_json(run / DATA)["clips"] if (run / DATA).is_file() else {}
    gone = [n for n in known if n not in records or not records[n].is_file()]
    changed = [n for n in known if n not in gone and content_hash(records[n]) != known[n]["sha256"]]
    faults = {"are gone": gone, "have changed": changed}
    told = [f"{len(n)} clips {what} ({_listed(known, n)})" for what, n in faults.items() if n]
    if fingerprint != record["data"]:
        told.append(f"the labels are others ({_path(config)})")
    if told:
        raise UserError(f"a rerun needs the data of {run} as they were: {'; '.join(told)}. Restore them.")


def check_weights(run: Path, record: Mapping[str, Any]) -> None:
    """Raise UserError unless embedded parts can be had, and what the run started from is as it was."""
    for name in record.get("assets", {}):
        if name == "pretrained":
            continue  # the config names its folder, which says itself what is missing
        try:
            asset(name)
        except UserError as error:
            raise UserError(f"{run} needs the embedded part {name}, which cannot be had: {error}") from error
    if begun := record.get("init_from"):
        try:
            found = weights_digest(find_weights(begun["path"], begun["weights"]))
        except (UserError, OSError) as error:
            raise UserError(f"{run} started from {begun['path']}, which is gone: {error}") from error
        if found != begun["sha256"]:
            raise UserError(
                f"{run} started from {begun['path']}, which was trained on since: restore it, or repeat that "
                "run first."
            )


def unrepeatable(run: Path, record: Mapping[str, Any]) -> list[str]:
    """What of a run a rerun does otherwise, or cannot know, in sentences."""
    notes = []
    if not (run / DATA).is_file():
        notes.append(f"{run / DATA} is gone: whether the clips are as they were is not known.")
    for resumed in record.get("resumed", []):
        if changed := resumed["differs"]:
            names = ", ".join(list(changed)[:5])
            notes.append(
                f"the run was resumed at step {resumed['step']} with other settings or elsewhere ({names}); "
                "a rerun trains with the last ones from the start."
            )
    return notes


def _wrong_files(run: Path, record: Mapping[str, Any]) -> Iterator[str]:
    """Raises UserError where one is malformed."""
    shapes = {"environment": dict, "assets": dict, "init_from": dict, "resumed": list, "tested_in": dict}
    if any(not isinstance(record[name], shape) for name, shape in shapes.items() if name in record):
        yield RECORD
    begun, parts = record.get("init_from", {}), record.get("resumed", [])
    if not {"environment", "data"} <= record.keys() or (begun and not begun.keys() >= BEGUN):
        yield RECORD
    if not all(isinstance(part, dict) and {"step", "differs"} <= part.keys() for part in parts):
        yield RECORD
    if not _is_version(record["environment"].get("pvchat", "0")):
        yield RECORD
    if len(record.get("tested_in", {}).get("threads", [0, 0])) != 2:
        yield RECORD
    for name, wrong in ((METRICS, _wrong_metrics), (DATA, _wrong_data), (ADAPTER_FILE, _wrong_adapter)):
        if (run / name).is_file() and wrong(read_json(run / name)):
            yield name
    if (run / TESTED).is_file():
        read_config(run / TESTED)


def _is_version(text: object) -> bool:
    try:
        return bool(Version(str(text)))
    except InvalidVersion:
        return False


def _wrong_metrics(metrics: Mapping[str, Any]) -> bool:
    return not all(value is None or isinstance(value, int | float) for value in metrics.values())


def _wrong_data(data: Mapping[str, Any]) -> bool:
    clips = data.get("clips")
    return not isinstance(clips, dict) or not all({"path", "sha256"} <= set(c) for c in clips.values())


def _wrong_adapter(adapter: Mapping[str, Any]) -> bool:
    return "sha256" not in adapter


def _listed(known: Mapping[str, Any], names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(known[name]["path"] for name in names[:5]) + more


def _path(config: object) -> str:
    named = config.get("init_args") if isinstance(config, dict) else None
    return str((named or {}).get("path", "data.source"))
