"""Reads the file that W&B keeps of a run (``run-*.wandb``), record by record: LevelDB's log format."""

import json
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wandb.proto.wandb_internal_pb2 import Record

BLOCK, FILE_HEADER, HEADER = 32768, 7, struct.Struct("<IHB")
FULL, LAST = 1, 4


def read_records(path: Path) -> Iterator[Record]:
    """Whole records; half of one, where the writer was killed, is left out."""
    data, at, parts = path.read_bytes(), FILE_HEADER, b""
    while at + HEADER.size <= len(data):
        if BLOCK - at % BLOCK < HEADER.size:  # the rest of a block that holds no header is padding
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = HEADER.unpack_from(data, at)
        parts += data[at + HEADER.size : at + HEADER.size + length]
        at += HEADER.size + length
        if kind in (FULL, LAST):
            yield Record.FromString(parts)
            parts = b""


def wait_for_end(path: Path, *, seconds: float = 60.0) -> Path:
    """``path``, once it says that its run is over: another process writes it, and is not always done when
    ``finish`` returns."""
    until = time.monotonic() + seconds
    while not any(record.HasField("exit") for record in read_records(path)):
        assert time.monotonic() < until, f"{path} has no end"
        time.sleep(0.2)
    return path


def read_history(path: Path) -> list[dict[str, Any]]:
    """What was logged, in its order."""
    rows: list[dict[str, Any]] = []
    for record in read_records(path):
        if record.HasField("history"):
            rows.append({})
            for item in record.history.item:
                place, (*above, last) = rows[-1], item.nested_key or [item.key]
                for key in above:
                    place = place.setdefault(key, {})
                place[last] = json.loads(item.value_json)
    return rows


def read_run_config(path: Path) -> dict[str, Any]:
    """The config as it was left."""
    config: dict[str, Any] = {}
    for record in read_records(path):
        updates = [record.config] if record.HasField("config") else []
        if record.HasField("run"):
            updates.append(record.run.config)
        for update in updates:
            config |= {item.key: json.loads(item.value_json) for item in update.update if item.key}
    return config


def read_artifacts(path: Path) -> list[tuple[str, list[str]]]:
    """Name and files of what was logged as an artifact: tables are, with their pictures."""
    found = [record.artifact for record in read_records(path) if record.HasField("artifact")]
    return [(artifact.name, [entry.path for entry in artifact.manifest.contents]) for artifact in found]
