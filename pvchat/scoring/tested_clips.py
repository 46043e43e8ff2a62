"""The clips that a run was made from, if they are still where its config says."""

from pathlib import Path
from typing import Any

from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.errors import UserError
from pvchat.runs import CONFIG, read_config


def clips_of(run: Path) -> list[Record]:
    """Records of the manifests that the config of ``run`` names; none where these are elsewhere by now."""
    try:
        named: Any = read_config(run / CONFIG)
        for key in ("data", "source", "init_args"):
            named = named.get(key) if isinstance(named, dict) else None
        values = [named.get(key) for key in ("path", "test")] if isinstance(named, dict) else []
        paths = [Path(value) for value in values if isinstance(value, str) and value]
        return [r for path in paths if path.is_file() for r in read_manifest(path, check_files=False)]
    except UserError:
        return []
