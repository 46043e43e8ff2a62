"""``pvchat dashboard``: the W&B workspace and report of a project, saved there or written as JSON."""

import argparse
import importlib
import json
from pathlib import Path

from pvchat.errors import UserError
from pvchat.runs import write_json

LONGEST, FORBIDDEN = 128, "/\\#?%:"


def main(options: argparse.Namespace) -> None:
    """Save both, or show what would be saved. Raises UserError without the extra or without a server."""
    _check_project(options.project)
    try:
        dashboard = importlib.import_module("pvchat.dashboard")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("wandb_workspaces"):
            raise
        raise UserError(
            "pvchat dashboard needs wandb-workspaces: it is not installed. "
            "Run pip install 'pvchat[dashboard]'."
        ) from error
    if options.print or options.out:
        payload = dashboard.payload(options.entity or "", options.project)
        if options.out:
            out = Path(options.out)
            write_json(out, payload)
            print(f"Workspace and report: {out}")
        if options.print:
            print(json.dumps(payload, indent=2))
        return
    entity = options.entity or _own_entity()
    for make in (dashboard.make_workspace, dashboard.make_report):
        print(_save(make(entity, options.project)))


def _check_project(name: str) -> None:
    """As W&B does for a run."""
    if not name.strip() or len(name) > LONGEST or set(name) & set(FORBIDDEN):
        raise UserError(
            f"--project must be a name of at most {LONGEST} characters without {FORBIDDEN}: got {name!r}."
        )


def _own_entity() -> str:
    import wandb

    try:
        name = wandb.Api(timeout=30).default_entity
    except Exception as error:  # without a key, without a server: of many kinds
        raise _no_server(error) from error
    if not name:
        raise UserError("W&B knows no default entity of yours: got none. Give one with --entity.")
    return str(name)


def _save(view: object) -> str:
    try:
        view.save()  # type: ignore[attr-defined]
    except Exception as error:
        raise _no_server(error) from error
    return str(view.url)  # type: ignore[attr-defined]


def _no_server(error: Exception) -> UserError:
    why = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return UserError(
        f"a dashboard is saved on a W&B server: got none ({why}). "
        "Run `wandb login`, or write it with --out FILE."
    )
