"""The ``pvchat`` command itself: light, every command known, bad input in one sentence."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pvchat import __version__, cli
from pvchat.assets import ASSETS
from pvchat.commands import build_parser
from pvchat.errors import UserError

HEAVY = {"torch", "lightning", "transformers", "numpy", "jsonargparse", "av", "decord"}
COMMANDS = ("quickstart", "chat", "data", "assets", "fit", "validate", "test", "predict")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["chat", "--help"], ["--version"], ["data", "--help"], ["assets", "--help"]]
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """So that it answers at once."""
    code = (
        "import sys\nfrom pvchat import cli\n"
        f"try:\n    cli.main({arguments})\nexcept SystemExit:\n    pass\n"
        "print('modules', *{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert time.monotonic() - started < 10  # a fraction of a second; machines may be busy
    assert done.stdout
    assert set(done.stderr.split("modules ")[1].split()) & HEAVY == set()


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^ +{name}\s+\w", shown, flags=re.M) for name in COMMANDS)
    assert "pvchat fit -c experiments/laptop.yaml" in shown


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"pvchat {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["tran"], "invalid choice: 'tran'"),
        (["chat", "--run", "x"], "the following arguments are required: --clip"),
        (["chat", "--run", "x", "--clip", "y", "--aks", "z"], "unrecognized arguments: --aks z"),
        (["chat", "--run", "x", "--clip", "y", "--max-new-tokens", "many"], "invalid int value: 'many'"),
        (["chat", "--run", "x", "--clip", "y", "--max-new-tokens", "0"], "must be >= 1: got 0"),
        (["chat", "--run", "x", "--clip", "y", "--ask", " "], "must be a question: got nothing"),
        (["chat", "--run", "x", "--cli", "y"], "the following arguments are required: --clip"),
        (["quickstart", "--seed", "-1"], "must be in 0..4294967295: got -1"),
        (["quickstart", "--threads", "0"], "must be >= 1: got 0"),
        (["quickstart", "--log", "csv"], "unrecognized arguments: --log csv"),
        (["assets", "destroy"], "invalid choice: 'destroy'"),
        (["data", "check"], "the following arguments are required: MANIFEST"),
        (["data", "check", "x", "--allow", "time"], "invalid choice: 'time'"),
        (["quickstart", "--attention", "sparse"], "invalid choice: 'sparse'"),
    ],
)
def test_usage_errors_say_what_is_wrong(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_bad_input_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(_: Any) -> None:
        raise UserError("a rule: got this; do that.")

    monkeypatch.setattr("importlib.import_module", lambda _: SimpleNamespace(main=refuse, run=refuse))
    for arguments in (["chat", "--run", "x", "--clip", "y"], ["fit", "-c", "x.yaml"]):
        assert cli.main(arguments) == 2
        assert capsys.readouterr().err == "pvchat: error: a rule: got this; do that.\n"


def test_failures_of_the_disk_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(_: Any) -> None:
        Path("/dev/null/x").mkdir()

    monkeypatch.setattr("importlib.import_module", lambda _: SimpleNamespace(main=write))
    assert cli.main(["assets"]) == 2
    complaint = (
        "/dev/null/x cannot be used: Not a directory. Check the path, its permissions and the room there."
    )
    assert capsys.readouterr().err == f"pvchat: error: {complaint}\n"


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PVCHAT_CACHE", "/dev/null/cache")
    assert cli.main(["assets", "prefetch", "minilm"]) == 2
    assert "/dev/null/cache/assets/minilm cannot be written: Not a dir" in capsys.readouterr().err


def test_sigterm_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def terminated(_: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("importlib.import_module", lambda _: SimpleNamespace(main=terminated))
    assert cli.main(["assets"]) == 143
    assert capsys.readouterr().err == "pvchat: interrupted.\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_is_no_crash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("importlib.import_module", lambda _: SimpleNamespace(main=interrupted))
    assert cli.main(["assets"]) == 130
    assert capsys.readouterr().err == "pvchat: interrupted.\n"


@pytest.mark.parametrize(
    ("arguments", "module"),
    [
        (["quickstart"], "pvchat.quickstart.request"),
        (["chat", "--run", "x", "--clip", "y"], "pvchat.chat"),
        (["assets"], "pvchat.assets.command"),
        (["data", "check", "x"], "pvchat.data_command"),
    ],
)
def test_commands_are_functions_of_their_module(arguments: list[str], module: str) -> None:
    assert build_parser().parse_args(arguments).module == module
    source = Path(cli.__file__).parent.parent / f"{module.replace('.', '/')}.py"
    assert "\ndef main(options: argparse.Namespace)" in source.read_text()


def test_assets_are_listed_and_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PVCHAT_CACHE", str(tmp_path))
    assert cli.main(["assets"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in shown[:-1]] == [[name, "missing"] for name in ASSETS]
    assert shown[-1] == f"kept in {tmp_path / 'assets'}"
    assert cli.main(["assets", "verify", "minilm"]) == 2
    complaint = "every asset must be ready: minilm is missing: run `pvchat assets prefetch minilm`."
    assert capsys.readouterr().err == f"pvchat: error: {complaint}\n"
    assert cli.main(["assets", "verify", "maxilm"]) == 2
    assert "unknown asset 'maxilm'; available: [" in capsys.readouterr().err
