"""What the documents say is true: commands parse, links and files exist, names resolve, assets are listed.

In README.md a block ```bash NAME can be run as it stands (.ci/run runs ``quickstart`` and ``tests``); every
bash block of every document is parsed here.
"""

import importlib
import importlib.util
import pkgutil
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pvchat import cli
from pvchat.assets import ASSETS
from pvchat.commands import LIGHTNING

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = {
    "bash",
    "cd",
    "export",
    "fabric",
    "git",
    "mypy",
    "pip",
    "pytest",
    "ruff",
    "tensorboard",
    "torchrun",
    "wandb",
}


def _readme_blocks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("readme_blocks", ROOT / ".ci" / "readme_blocks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BLOCKS = _readme_blocks()


def commands(text: str) -> Iterator[list[str]]:
    """Every simple command of every bash block, as words, without ``A=b`` in front and ``> file`` behind."""
    for _, body in BLOCKS.blocks(text):
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
            words.whitespace_split = True
            command: list[str] = []
            for word in [*words, ";"]:
                if re.fullmatch(r"[&|;<>]+", word):
                    while command and re.fullmatch(r"[A-Z_]+=.*", command[0]):
                        command.pop(0)
                    if command:
                        yield command
                    command = []
                    if word.startswith((">", "<")):
                        break
                else:
                    command.append(word)


def all_commands() -> list[tuple[str, list[str]]]:
    return [(d.name, words) for d in DOCUMENTS for words in commands(d.read_text(encoding="utf-8"))]


def test_splitting_of_commands() -> None:
    text = "```bash\nA=1 x --b 'c d' && y \\\n  z > out  # why\n```\n\n```bash name\nw | v\n```\n"
    assert list(commands(text)) == [["x", "--b", "c d"], ["y", "z"], ["w"], ["v"]]
    assert BLOCKS.named(text, "name") == "w | v\n"
    with pytest.raises(SystemExit, match=r"exactly one block ```bash other: got 0"):
        BLOCKS.named(text, "other")


@pytest.mark.parametrize(("name", "last"), [("quickstart", "pvchat"), ("tests", "pytest")])
def test_the_two_commands_do_all_the_setup(name: str, last: str) -> None:
    found = list(commands(f"```bash\n{BLOCKS.named(README, name)}```\n"))
    assert found[0] == ["python3.11", "-m", "venv", ".venv"]
    assert found[1][:3] == [".venv/bin/pip", "install", "-e"]
    assert found[1][-2:] == ["-c", "requirements.lock"]
    assert found[-1][0] == f".venv/bin/{last}"


@pytest.mark.parametrize(("document", "words"), all_commands(), ids=lambda v: v if isinstance(v, str) else "")
def test_command_is_one_we_have(document: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    program, arguments = Path(words[0]).name, words[1:]
    if program == "pvchat":
        _check_pvchat(arguments, monkeypatch)
    elif program.startswith("python"):
        _check_python(arguments)
    elif program == "uv":
        assert arguments[:2] == ["pip", "compile"]
    else:
        assert program in PROGRAMS, f"{document} runs {program}: is that installed?"
        assert all((ROOT / word).exists() for word in arguments if word.startswith((".ci/", "tests/")))


class _ParsedError(Exception):
    """Raised where a Lightning command would start to build things."""


def _check_pvchat(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse, and stop before anything is built. Run folders in documents are examples: they are left out."""
    if not arguments or arguments[0] not in LIGHTNING:
        if {"--help", "--version"} & set(arguments):
            return
        if not (more := cli.parse(arguments).more):
            return
        arguments = ["fit", *more]
    if "--help" in arguments:
        return
    from pvchat import lightning_cli

    def stop(self: object) -> None:
        raise _ParsedError

    monkeypatch.setattr(lightning_cli.PVChatCLI, "before_instantiate_classes", stop)
    monkeypatch.chdir(ROOT)
    kept = list(arguments)
    for flag in ("--resume", "--run"):
        if flag in kept:
            del kept[kept.index(flag) : kept.index(flag) + 2]
    if "-c" not in kept and "--config" not in kept:
        kept[1:1] = ["-c", "experiments/laptop.yaml"]  # a run folder or a sweep brings its own config
    with pytest.raises(_ParsedError):
        lightning_cli.run(kept)


def _check_python(arguments: list[str]) -> None:
    """A script or module of ours exists and knows the flags; of other modules only the name is checked."""
    if arguments[0] == "-m":
        name, flags = arguments[1], arguments[2:]
        path = ROOT / (name.replace(".", "/") + ".py")
        if not path.exists():
            assert importlib.util.find_spec(name), f"no module {name}"
            return
    else:
        path, flags = ROOT / arguments[0], arguments[1:]
        assert path.is_file(), f"no script {arguments[0]}"
    text = path.read_text(encoding="utf-8")
    unknown = [flag for flag in flags if flag.startswith("--") and f'"{flag.split("=")[0]}"' not in text]
    assert unknown == [], f"{path.name} has no {unknown}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_figures_exist(document: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"\bsrc=\"([^\"]+)\"", text)
    targets = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    for target in targets:
        file, _, anchor = target.partition("#")
        path = document.parent / file if file else document
        assert path.exists(), f"{document.name} links to {target}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path.read_text(encoding="utf-8")), f"{document.name} links to {target}"


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_names_and_paths_in_backticks_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for symbol in re.findall(r"`(pvchat(?:\.\w+)+)(?:\(\))?`", text):
        try:
            pkgutil.resolve_name(symbol)
        except (AttributeError, ImportError) as error:
            pytest.fail(f"{document.name} names {symbol}: {error}")
    folders = "pvchat|tests|experiments|sweeps|docs|benchmarks|.ci"
    for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{document.name} names {path}"


def test_asset_table_is_the_registry() -> None:
    rows = {}
    for line in README.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = (cells[1], cells[3], cells[4])
    assert rows == {
        a.name: (f"`{a.package}` {a.version}", f"{a.megabytes} MB", a.licence) for a in ASSETS.values()
    }
