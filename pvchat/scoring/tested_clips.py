"""The clips that a run was made from, if they are still where its config says."""

from pathlib import Path

from pvchat.datamodules.manifest import Record, read_manifest
from pvchat.errors import UserError
from pvchat.runs import CONFIG, read_config


def clips_of(run: Path) -> list[Record]:
    """Records of the manifests that the config of ``run`` names; none where these are elsewhere by now."""
    try:
        source = (read_config(run / CONFIG).get("data") or {}).get("source") or {}
        named = source.get("init_args", {}) if isinstance(source, dict) else {}
        paths = [Path(named[key]) for key in ("path", "test") if named.get(key)]
        return [r for path in paths if path.is_file() for r in read_manifest(path, check_files=False)]
    except UserError:
        return []
