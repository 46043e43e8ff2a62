"""``pvchat doctor``: one line a check, exit status 2 if one fails."""

import argparse
from collections.abc import Callable

import torch

from pvchat.arguments import has_config
from pvchat.doctor.installation import CHECKS
from pvchat.errors import UserError


def main(options: argparse.Namespace) -> None:
    """Run every check, also behind one that fails. Raises UserError when some did."""
    if options.store and not options.more:
        raise UserError("--store keeps the logits of an experiment's checkpoint: give it with -c FILE.")
    if options.more and not has_config(options.more):
        raise UserError(
            f"doctor takes options of fit beside an experiment (-c FILE): got {' '.join(options.more)}. "
            "pvchat doctor --help lists its own."
        )
    failed = [name for name, check in CHECKS.items() if not _passes(name, check)]
    if options.gpu or options.more:
        from pvchat.doctor.rented_gpu import device_report, first_steps

        device = torch.device("cuda" if options.gpu else "cpu")
        if not _passes("device", lambda: device_report(device)):
            failed.append("device")
        elif options.more:
            steps = lambda: "\n".join(first_steps(options.more, device, store=options.store))  # noqa: E731
            if not _passes("experiment", steps):
                failed.append("experiment")
    if failed:
        raise UserError(f"a machine must pass every check to train: {', '.join(failed)} failed, see above.")
    print("All is well.")


def _passes(name: str, check: Callable[[], str]) -> bool:
    try:
        found, well = check(), True
    except Exception as error:  # whatever broke is what is asked for
        kind = "" if isinstance(error, AssertionError | UserError) else f"{type(error).__name__}: "
        found, well = f"{kind}{' '.join(str(error).split())}", False
    first, *rest = found.splitlines() or [""]
    lines = [f"{'ok' if well else 'FAILED':8}{name:13}{first}", *(" " * 21 + line for line in rest)]
    print("\n".join(lines), flush=True)
    return well
