"""``pvchat assets [list|prefetch|verify]``: the embedded pretrained parts, on screen."""

import argparse
from collections.abc import Sequence

from pvchat.assets import AssetRow, cache_dir, list_assets, prefetch, verify
from pvchat.errors import UserError


def main(options: argparse.Namespace) -> None:
    """Print a line for each asset. Raises UserError when one that should be ready is not."""
    if options.action == "list":
        print(_table(list_assets()), f"kept in {cache_dir() / 'assets'}", sep="\n")
        return
    rows = prefetch(options.names) if options.action == "prefetch" else verify(options.names)
    print(_table(rows))
    if faults := [f"{row.name} is {row.status}: {row.detail}" for row in rows if row.status != "ready"]:
        raise UserError(f"every asset must be ready: {'; '.join(faults)}.")


def _table(rows: Sequence[AssetRow]) -> str:
    return "\n".join(
        f"{row.name:24} {row.status:8} {row.megabytes:4} MB  {row.package} ({row.licence})" for row in rows
    )
