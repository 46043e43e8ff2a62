"""The page of a sweep says what its points came to; points are made up."""

import json
from pathlib import Path

import pytest
import yaml

from pvchat.errors import UserError
from pvchat.sweeping.sweep_file import SweepFile
from pvchat.sweeping.sweep_folder import SweepFolder, make_folder
from pvchat.sweeping.sweep_page import best_config, overlay, render_sweep
from pvchat.sweeping.sweep_table import rows_of, summary

TOKENS, RATE = "model.chat.init_args.num_soft_tokens", "model.learning_rates.router"
METRIC = "test/main/presence_auc"
CSV = "step,train/loss,train/active_rate\n0,2.0,{first}\n1,1.0,{last}\n"


def made(tmp_path: Path, *, subjects: int = 1, finished: int | None = None) -> SweepFolder:
    """Tokens by seed, and by subject where there are several: AUC is .5 + tokens / 100 + seed / 50."""
    parameters: dict[str, object] = {TOKENS: {"values": [0, 8, 16]}, "seed_everything": {"values": [0, 1]}}
    if subjects > 1:
        parameters["data.source.path"] = {"values": [f"{n}/manifest.jsonl" for n in range(subjects)]}
    sweep = SweepFile(
        {
            "method": "grid",
            "metric": {"name": METRIC, "goal": "maximize"},
            "command": ["${interpreter}", "fit", "${args}"],
            "parameters": parameters,
        }
    )
    folder = make_folder(tmp_path / "sweep", sweep)
    for point in folder.points[:finished]:
        point.folder.mkdir()
        auc = 0.5 + point.values[TOKENS] / 100 + point.values["seed_everything"] / 50
        (point.folder / "metrics.json").write_text(json.dumps({METRIC: auc}))
        rate = point.values["seed_everything"]
        (point.folder / "metrics.csv").write_text(CSV.format(first=1.0, last=rate))
        who = point.values.get("data.source.path", "tom").partition("/")[0]
        (point.folder / "run.json").write_text(json.dumps({"subjects": [who]}))
        folder.close(point, "finished", seconds=1.0)
    return folder


def text_of(page: str) -> str:
    """Without its pictures."""
    return " ".join(part.partition('"')[2] for part in f'"{page}'.split("data:image"))


def test_settings_pictures_and_the_best_config(tmp_path: Path) -> None:
    page = render_sweep(made(tmp_path))
    assert page.count("data:image/png") == 3  # parallel coordinates, the curve over tokens, training
    text = text_of(page)
    assert "Runs: 6 finished." in text
    assert '0.670 <span class="range">[0.660, 0.680]</span>' in text  # 16 tokens
    assert "seeds, of one subject: not over people" in text
    assert "num_soft_tokens: 16" in text
    assert "Not finished" not in text


def test_subjects_are_the_unit_where_there_are_several(tmp_path: Path) -> None:
    folder = made(tmp_path, subjects=2)
    text = text_of(render_sweep(folder))
    assert "Intervals: 95 %, bootstrap over subjects, seeds averaged inside." in text
    assert "manifest.jsonl" not in text, "a person is no setting"
    (folder.points[-1].folder / "run.json").write_text('{"subjects": ["0"]}')
    assert "1/manifest.jsonl" in text_of(render_sweep(folder)), "other data of the same person are"


def test_the_best_is_by_subjects_too(tmp_path: Path) -> None:
    """One of two subjects lost a seed: over runs 16 tokens would be best."""
    folder = made(tmp_path, subjects=2)
    for point in folder.points:
        first = point.values["data.source.path"].startswith("0")
        auc = {0: 0.1, 8: 0.6, 16: 0.9 if first else 0.1}[point.values[TOKENS]]
        (point.folder / "metrics.json").write_text(json.dumps({METRIC: auc}))
    folder.close(folder.points[-1], "failed", error="lost")
    assert folder.points[-1].values[TOKENS] == 16
    best = best_config(folder)
    assert best is not None
    assert yaml.safe_load(best) == {"model": {"chat": {"init_args": {"num_soft_tokens": 8}}}}, (
        "for anybody's data"
    )
    assert "0.600 (4 runs)" in best
    assert "Best: num_soft_tokens=8." in summary(folder)
    assert "|16|0.500|0.100|0.900|3|" in summary(folder).replace(" ", "")


def test_points_that_failed_or_wait_are_listed(tmp_path: Path) -> None:
    folder = made(tmp_path, finished=4)
    folder.close(folder.points[4], "failed", error="num_soft_tokens must be <b>less</b>")
    text = text_of(render_sweep(folder))
    assert "4 finished, 1 failed, 1 pending" in text
    assert "num_soft_tokens must be &lt;b&gt;less&lt;/b&gt;" in text
    assert 'class="words">pending' in text


def test_a_sweep_without_a_metric_yet_has_a_page(tmp_path: Path) -> None:
    folder = made(tmp_path, finished=0)
    assert "Runs: 6 pending." in render_sweep(folder)
    assert best_config(folder) is None


def test_the_best_setting_as_a_config(tmp_path: Path) -> None:
    told = best_config(made(tmp_path))
    assert told is not None
    assert told.splitlines()[0] == f"# The best of 3 settings by {METRIC}: 0.670 (2 runs)."
    assert yaml.safe_load(told) == {"model": {"chat": {"init_args": {"num_soft_tokens": 16}}}}


def test_an_overlay_holds_the_file_of_the_point_and_what_it_changes(tmp_path: Path) -> None:
    config = tmp_path / "moh.yaml"
    config.write_text("model: {learning_rates: {router: 1.0}, path: '${oc.env:NOWHERE}'}\n")
    told = yaml.safe_load(overlay({"config": str(config), RATE: 0.5, "model.objective": "null"}))
    rates = {"router": 0.5}
    assert told == {"model": {"learning_rates": rates, "path": "${oc.env:NOWHERE}", "objective": None}}


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_best_is_what_the_file_says(tmp_path: Path, goal: str) -> None:
    folder = made(tmp_path)
    sweep = SweepFile({**folder.sweep.config, "metric": {"name": METRIC, "goal": goal}})
    told = best_config(make_folder(folder.path, sweep))
    assert told is not None
    assert f"num_soft_tokens: {16 if goal == 'maximize' else 0}" in told


def test_the_best_config_has_what_all_points_have(tmp_path: Path) -> None:
    """Words that are no YAML, and lists, among them."""
    parameters = {"words": {"values": ["@home", "a: b: c"]}, "sizes": {"values": [[1, 2], [3]]}}
    sweep = SweepFile(
        {
            "method": "grid",
            "metric": {"name": METRIC, "goal": "maximize"},
            "command": ["fit", "${args}"],
            "parameters": {"fixed": {"value": 7}, "day": {"value": "2020-01-02"}} | parameters,
        }
    )
    folder = make_folder(tmp_path / "sweep", sweep)
    for point in folder.points:
        point.folder.mkdir()
        (point.folder / "metrics.json").write_text(json.dumps({METRIC: point.number}))
        folder.close(point, "finished", seconds=1.0)
    best = best_config(folder)
    assert best is not None
    assert yaml.safe_load(best) == {"fixed": 7, "day": "2020-01-02", "words": "a: b: c", "sizes": [3]}
    assert render_sweep(folder).count("data:image/png") == 1


def test_a_metric_that_is_no_number_is_none(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for point, text in zip(folder.points[2:], ("NaN", "Infinity", '"high"', "null"), strict=True):
        (point.folder / "metrics.json").write_text(f'{{"{METRIC}": {text}}}')
    assert [folder.metric(p) for p in folder.points] == [0.5, 0.52, None, None, None, None]
    assert f"{TOKENS.rpartition('.')[2]}: 0" in text_of(render_sweep(folder))
    (folder.points[0].folder / "metrics.csv").write_text("step,val/loss\n0,0.1\n1,nan\n")
    assert folder.metric(folder.points[0], "val/loss") is None, "a run that diverged"
    assert folder.history(folder.points[0], "val/loss") == [0.1]


def test_columns_are_those_of_the_header(tmp_path: Path) -> None:
    parameters = {"a": {"values": [1]}, "b": {"values": [2]}}
    config = {"method": "grid", "metric": {"name": METRIC}, "command": ["fit", "${args}"]}
    make_folder(tmp_path / "sweep", SweepFile(config | {"parameters": parameters}))
    turned = {"b": {"values": [2, 3]}, "a": {"values": [1]}}
    folder = make_folder(tmp_path / "sweep", SweepFile(config | {"parameters": turned}))
    assert [list(row.values) for row in rows_of(folder)] == [["b", "a"]] * 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("points.jsonl", '{"val\n', "points.jsonl must hold values and command of each point"),
        ("points.jsonl", "[]\n", "points.jsonl must hold values and command of each point"),
        ("sweep.yaml", "method: grid\n", "sweep.yaml must be a W&B sweep: metric must have the name"),
        ("0001/point.json", "{}", "point.json must say how its point ended"),
    ],
)
def test_a_damaged_folder_is_said(tmp_path: Path, name: str, text: str, message: str) -> None:
    (made(tmp_path).path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        render_sweep(SweepFolder(tmp_path / "sweep"))
