"""``pvchat rerun RUN``: train and test again what the record of a run says. Are the metrics the same?"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pvchat import lightning_cli
from pvchat.checkpoints import RECORD as ADAPTER_RECORD
from pvchat.errors import UserError
from pvchat.provenance import Differences, differences
from pvchat.reporting.table import Cell, render_table
from pvchat.rerun_checks import check_data, check_files, check_run, check_weights, unrepeatable
from pvchat.runs import (
    ADAPTER,
    CONFIG,
    METRICS,
    RECORD,
    TESTED,
    find_run,
    new_run,
    open_run,
    read_json,
    read_record,
    remove_if_empty,
    write_json,
)

MOST_ROWS = 20  # of a table on screen; rerun.json has them all
RESULT = "rerun.json"
OF_THE_CALL = ("name", "runs", "logger", "threads", "run_dir", "trainer.accelerator", "trainer.logger")
"""Settings that a rerun may change and that no metric depends on: threads and device are compared as used."""


def main(options: argparse.Namespace) -> None:
    """Repeat the run in a folder of its own and compare; exit with 1 if a metric is not the same. Raises
    UserError before anything long if it cannot be repeated."""
    run = find_run(options.run, holding=METRICS).absolute()
    record = read_record(run)
    check_files(run, record)
    check_run(run, record)
    check_data(run, record)
    check_weights(run, record)
    out = _folder(run, options.out)
    try:
        write_json(out / RECORD, {"repeats": str(run)})
        for note in unrepeatable(run, record):
            print(f"note: {note}", file=sys.stderr)
        repeat(run, record, out)
    except UserError as error:
        if not (out / CONFIG).exists():
            raise UserError(f"{run} cannot be repeated here: {error}") from error
        raise
    finally:
        if not (out / CONFIG).exists():
            (out / RECORD).unlink(missing_ok=True)
            remove_if_empty(out)
    report(run, out)


def repeat(run: Path, record: Mapping[str, Any], out: Path) -> None:
    """Do what ``run`` was made by, with as many threads and on the kind of device it had."""
    where = record["environment"]
    given = [f"--run_dir={out}", "--logger=csv"]
    if where.get("device") == "cpu":
        given.append("--trainer.accelerator=cpu")
    threads, config, begun = where.get("threads"), run / CONFIG, []
    if start := record.get("init_from"):
        begun = [f"--init_from={start['path']}", f"--weights={start['weights']}"]
    if "fitted" in record:
        lightning_cli.run(["fit", "-c", str(config), *given, *begun, *_threads(threads)])
        begun = [f"--init_from={out}", f"--weights={record.get('weights', 'last')}"]
    if (run / TESTED).is_file():
        config = run / TESTED
    threads = record.get("tested_in", {}).get("threads", [None, threads])[1]
    lightning_cli.run(["test", "-c", str(config), *given, *begun, *_threads(threads)])


def report(run: Path, out: Path) -> None:
    """Print and keep what came out the same and what did not; exit with 1 unless all metrics did."""
    first, again = (read_json(folder / METRICS) for folder in (run, out))
    metrics, changed = differences(first, again), explanation(read_record(run), read_record(out))
    weights = _same_weights(run, out)
    found = {"repeats": str(run), "same": not metrics, "same_weights": weights}
    write_json(out / RESULT, found | {"metrics": metrics, "changed": changed})
    trained = {True: ", nor do the trained weights", False: ", but the trained weights do", None: ""}[weights]
    if not metrics:
        print(f"\nsame: none of {len(first)} metrics differs by a bit{trained}.")
    else:
        every = len(first | again)
        print(f"\nnot the same: {len(metrics)} of {every} metrics differ.\n\n{_metric_table(metrics)}")
    if changed:
        also = "What is no longer as it was:" if metrics else "Although these are no longer as they were:"
        print(f"\n{also}\n\n{_change_table(changed)}")
    elif metrics:
        print(
            "\nNothing that is on record has changed. A GPU adds in another order each time; on a CPU this "
            "should not happen."
        )
    print(f"\n{run} again: {out} ({RESULT})")
    if metrics:
        raise SystemExit(1)


def explanation(first: Mapping[str, Any], again: Mapping[str, Any]) -> Differences:
    """What differs between the records of two runs that should be one: settings, frozen parts, code,
    packages, machine. Of an old run, only what it recorded."""
    names = [name for name in ("config", "base", "assets", "init_from", "environment") if name in first]
    was, now = ({name: record.get(name, {}) for name in names} for record in (first, again))
    found = differences(was, now)
    if "code" not in first.get("environment", {}):
        found = {name: pair for name, pair in found.items() if pair[0] is not None}
    return {n: pair for n, pair in found.items() if n.removeprefix("config.") not in OF_THE_CALL}


def _folder(run: Path, out: str | None) -> Path:
    if out is None:
        return new_run(run.parent.parent, f"{run.parent.name}-rerun").absolute()
    folder = Path(out).absolute()
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"--out must be a new or empty folder: {folder} is not. Give another.")
    return open_run(folder)


def _threads(count: int | None) -> list[str]:
    return [f"--threads={count}"] if count else []


def _same_weights(run: Path, out: Path) -> bool | None:
    """None where nothing was trained."""
    digests = [
        read_json(path)["sha256"]
        for path in (folder / ADAPTER / ADAPTER_RECORD for folder in (run, out))
        if path.is_file()
    ]
    return digests[0] == digests[1] if len(digests) == 2 else None


def _metric_table(metrics: Differences) -> str:
    def size(pair: list[Any]) -> float:
        return abs(pair[1] - pair[0]) if None not in pair else float("inf")

    largest = sorted(metrics, key=lambda name: size(metrics[name]), reverse=True)
    rows: list[list[Cell]] = [
        [name, *map(_number, metrics[name]), f"{size(metrics[name]):.2g}"] for name in largest[:MOST_ROWS]
    ]
    return render_table(["metric", "first", "again", "apart"], rows) + _more(metrics)


def _change_table(changed: Differences) -> str:
    rows: list[list[Cell]] = [[n, *(_short(v) for v in changed[n])] for n in list(changed)[:MOST_ROWS]]
    return render_table(["what", "first", "again"], rows) + _more(changed)


def _more(rows: Differences) -> str:
    return f"\nand {len(rows) - MOST_ROWS} more: {RESULT}" if len(rows) > MOST_ROWS else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:12]}.."
