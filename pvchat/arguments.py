"""What was typed, as LightningCLI takes it: runs become configs, configs are checked, paths absolute."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import get_args, get_type_hints

from jsonargparse import Namespace

from pvchat.errors import UserError
from pvchat.runs import CHECKPOINTS, CONFIG, LAST, find_run, read_config, read_record

CONFIGS = ("-c", "--config")


def expand(args: Sequence[str]) -> list[str]:
    """``fit --resume RUN`` continues a run in its folder; ``--run RUN`` uses its config and adapter. Raises
    UserError when one of them, or a config, cannot be read."""
    out = list(args)
    for flag in ("--resume", "--run"):
        for i, width, value in list(_given(out, flag))[:1]:
            if (out[0] == "fit") != (flag == "--resume"):
                raise UserError(
                    f"{flag} does not go with {out[0]}: continue a training with fit --resume RUN, use a "
                    "trained model with test, validate or predict --run RUN, start from one with "
                    "fit --init_from RUN."
                )
            if not value:
                raise UserError(f"{flag} takes a run folder: got nothing.")
            out[i : i + width] = []
            out[1:1] = _resumed(value) if flag == "--resume" else _used(value)
    for flag in CONFIGS:
        for _, _, value in _given(out, flag):
            if value and Path(value).is_file():
                read_config(Path(value))
            elif Path(value).suffix in (".yaml", ".yml"):  # else it may be a config itself
                raise UserError(
                    f"a config must be a file: {Path(value).absolute()} does not exist. Give its path from "
                    "this folder; the project has some in experiments/."
                )
    return out


def has_config(args: Sequence[str]) -> bool:
    return any(True for flag in CONFIGS for _ in _given(args, flag))


def with_absolute_paths(config: Namespace) -> Namespace:
    """What classes of ``config`` take as a Path, or as a ``source`` that is a folder, no longer depends on
    the folder the command was typed in."""
    for name, value in vars(config).items():
        if name == "cache_dir" and value is not None:
            config[name] = str(Path(value).absolute())
        elif isinstance(value, Namespace):
            with_absolute_paths(value)
            for path in _paths(value):
                value.init_args[path] = str(Path(value.init_args[path]).absolute())
    return config


def _paths(part: Namespace) -> list[str]:
    """Names of the arguments of a class that are given and are paths by their annotation, or are folders
    where something is loaded from (a ``source`` may also be an asset or a hub id)."""
    path, given = part.get("class_path"), part.get("init_args")
    if not path or not isinstance(given, Namespace):
        return []
    hints = get_type_hints(resolve_name(path).__init__)
    paths = [name for name, hint in hints.items() if Path in (hint, *get_args(hint))]
    source = given.get("source")
    if isinstance(source, str) and Path(source).is_dir():
        paths.append("source")
    return [name for name in paths if isinstance(given.get(name), str | Path)]


def _resumed(run: str) -> list[str]:
    folder = find_run(run, holding=f"{CHECKPOINTS}/{LAST}")
    checkpoint = folder / CHECKPOINTS / LAST
    if not checkpoint.is_file():
        raise UserError(f"--resume needs {checkpoint}, which does not exist: start the run anew.")
    read_record(folder)
    config = str(folder / CONFIG)
    return ["--config", config, "--run_dir", str(folder), "--ckpt_path", str(checkpoint)]


def _used(run: str) -> list[str]:
    folder = str(find_run(run))
    return ["--config", f"{folder}/{CONFIG}", "--init_from", folder, "--run_dir", folder]


def _given(args: Sequence[str], flag: str) -> Iterator[tuple[int, int, str]]:
    """Where ``flag`` is, how many arguments it and its value take, and the value."""
    for i, argument in enumerate(args):
        if argument == flag:
            yield i, 2, args[i + 1] if i + 1 < len(args) else ""
        elif argument.startswith(f"{flag}=") and flag.startswith("--"):
            yield i, 1, argument.split("=", 1)[1]
