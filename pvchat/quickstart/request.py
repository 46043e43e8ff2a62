"""``pvchat quickstart``: from one clip or a few photos to a personalised model, evaluated, in minutes.

What can be wrong with a request is looked for here, before the libraries that take seconds to load."""

import argparse
import shutil
from pathlib import Path

from pvchat.errors import UserError
from pvchat.runs import new_run, remove_if_empty
from pvchat.subjects import check_name

NEEDED_MB = 400
"""Room for a run folder; its corpus takes most of it."""


def main(options: argparse.Namespace) -> None:
    """Run all steps; everything lands in one run folder. Raises UserError before anything long starts."""
    check_request(options)
    run_dir = make_run(options.runs)
    try:
        print("A personalised model in five steps. Loading libraries (some seconds) ...", flush=True)
        from pvchat.quickstart.files import own_files

        own = own_files(options.reference, options.negatives) if options.subject else None
        from pvchat.quickstart.steps import run_steps  # takes longest to load

        run_steps(options, own, run_dir)
    finally:
        remove_if_empty(run_dir)


def check_request(options: argparse.Namespace) -> None:
    """Refuse half a request, and files that are not there."""
    given = {k: getattr(options, k) for k in ("subject", "reference", "negatives")}
    missing = [f"--{k}" for k, v in given.items() if not v]
    if 0 < len(missing) < 3:
        raise UserError(
            "your own subject needs --subject, --reference and --negatives: "
            f"got no {' and no '.join(missing)}. Without any of them a built-in subject is used."
        )
    if options.face is not None and missing:
        raise UserError("--face chooses a face of your --reference: got none. Leave --face out.")
    if missing:
        return
    check_name(options.subject)
    for place in options.reference:
        if not Path(place).exists():
            raise UserError(f"--reference is a clip, photos or a folder of them: {place} does not exist.")
    if not Path(options.negatives).is_dir():
        raise UserError(
            f"--negatives is a folder of photos or clips of other people: {options.negatives} is none."
        )


def make_run(runs: str) -> Path:
    """A run folder with room for a run. Raises UserError."""
    run_dir = new_run(runs, "quickstart")
    free_mb = shutil.disk_usage(run_dir).free // 1_000_000
    if free_mb < NEEDED_MB:
        remove_if_empty(run_dir)
        raise UserError(
            f"a run needs {NEEDED_MB} MB: {free_mb} MB are free for {runs}. Make room, or choose another "
            "disk with --runs DIR."
        )
    return run_dir
