"""The house keeps its shape: imports go down, files are small, documented, named once; tests mirror them."""

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "pvchat").rglob("*.py"))

# From the bottom up. A part is a file or a folder of pvchat/; it imports parts of lower tiers.
TIERS = {
    "contracts": {
        "__init__",
        "batch",
        "errors",
        "interruption",
        "processes",
        "prompts",
        "routing",
        "stages",
        "subjects",
        "threads",
    },
    "utilities": {"assets", "endpoint", "faces", "ray_cluster", "statistics", "usage"},
    "parts": {"datamodules", "losses", "metrics", "modules"},
    "synthesis": {"synthesis"},
    "training": {
        "baselines",
        "callbacks",
        "checkpoints",
        "evaluation",
        "judging",
        "loading",
        "loggers",
        "provenance",
        "reporting",
        "retention",
        "runs",
        "scoring",
        "strategies",
        "training",
    },
    "commands": {
        "arguments",
        "chat",
        "cli",
        "commands",
        "compare_command",
        "dashboard",
        "dashboard_command",
        "data_command",
        "doctor",
        "evaluate_command",
        "forget_command",
        "lightning_cli",
        "lr_find",
        "planning",
        "quickstart",
        "report_command",
        "retention_command",
        "rerun_checks",
        "rerun_command",
        "sweeping",
        "synthesize_command",
    },
}
# Inside these tiers one part may use another (never in a circle); elsewhere it may not.
SOCIABLE = {"contracts", "utilities", "training", "commands"}
# Data, losses and metrics know no network: they get tensors, strings, or an extractor injected.
FORBIDDEN = {
    "datamodules": {"endpoint", "faces"},
    "losses": {"assets", "endpoint", "faces"},
    "synthesis": {"losses", "metrics", "modules"},
    "training": {"synthesis"},
    "callbacks": {"synthesis"},
    "evaluation": {"synthesis"},
    "judging": {"synthesis"},
}
# A functional core and its class, a loss and the callback that shows it: one noun, two places.
PAIRS = [{"metrics", "metrics/functional"}, {"losses", "callbacks"}]
PROJECT_WIDE = {
    "conftest",
    "contributing",
    "experiments",
    "install",
    "layering",
    "readme",
    "resume",
    "section4",
    "sweeps",
    "synthesize_killed",
}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def tier_of(part: str) -> int:
    for level, parts in enumerate(TIERS.values()):
        if part in parts:
            return level
    pytest.fail(f"pvchat/{part} has no tier: add it to TIERS in tests/test_layering.py.")


def imports(path: Path) -> Iterator[str]:
    """Modules that a file imports anywhere, lazily too; names of ours are resolved to their file."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield name if name in MODULES else base


def ours(path: Path) -> set[str]:
    return {name for name in imports(path) if name.split(".")[0] == "pvchat"}


def violation(importer: str, imported: str) -> str | None:
    """Why module ``importer`` may not import module ``imported``, or None."""
    here, there = part_of(importer), part_of(imported)
    if here == there:
        return None
    if there in FORBIDDEN.get(here, ()):
        return f"{importer} imports {imported}: {here} must not know {there}."
    low, high = tier_of(there), tier_of(here)
    lower, upper = list(TIERS)[high], list(TIERS)[low]
    if low > high:
        return f"{importer} imports {imported}: imports go down, {lower} is below {upper}."
    if low == high and upper not in SOCIABLE:
        return f"{importer} imports {imported}: {here} and {there} are strangers; put what they share below."
    return None


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_down(path: Path) -> None:
    assert [why for name in sorted(ours(path)) if (why := violation(module_of(path), name))] == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("pvchat.batch", "pvchat.modules.qformer"),
        ("pvchat.losses.objective", "pvchat.modules.attention"),
        ("pvchat.datamodules.cache", "pvchat.faces"),
        ("pvchat.modules.video_chat", "pvchat.training"),
        ("pvchat.datamodules.manifest", "pvchat.synthesis.builder"),
        ("pvchat.synthesis.builder", "pvchat.modules.vision"),
        ("pvchat.training", "pvchat.cli"),
    ],
)
def test_the_rule_refuses_what_it_should(importer: str, imported: str) -> None:
    assert violation(importer, imported)


def test_no_circles() -> None:
    graph = {name: ours(path) - {name} for name, path in MODULES.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, f"circular import: {' -> '.join([*trail[trail.index(name) :], name])}"
        if name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [
        line for name, some in project["optional-dependencies"].items() if name != "dev" for line in some
    ]
    declared = {canonicalize_name(Requirement(line).name) for line in [*project["dependencies"], *extras]}
    # dlib-bin does not say what it provides, and an extra may not be installed
    providers = {"dlib": ["dlib-bin"], "faiss": ["faiss-cpu"], **packages_distributions()}
    undeclared = {
        f"{module_of(path)}: {top}"
        for path in FILES
        for top in {name.split(".")[0] for name in imports(path)} - sys.stdlib_module_names - {"pvchat"}
        if not declared & {canonicalize_name(d) for d in providers.get(top, [top])}
    }
    assert undeclared == set()


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_every_file_is_documented_and_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    docstring, lines = ast.get_docstring(ast.parse(text)), len(text.splitlines())
    assert docstring, f"{module_of(path)} needs a docstring: what is it for?"
    assert lines <= 400, f"{module_of(path)} is past 400 lines: split it by nouns."


def test_no_file_is_named_twice() -> None:
    homes: dict[str, list[str]] = {}
    for path in FILES:
        if path.name != "__init__.py":
            homes.setdefault(path.name, []).append(path.parent.relative_to(ROOT / "pvchat").as_posix())
    twice = {name: where for name, where in homes.items() if len(where) > 1 and set(where) not in PAIRS}
    assert twice == {}


def test_every_test_mirrors_a_file() -> None:
    """tests/a/test_b.py or tests/a/test_b_of_something.py tests pvchat/a/b.py (or the folder pvchat/a/b)."""
    strays = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name, folder = path.stem.removeprefix("test_"), path.parent.relative_to(ROOT / "tests")
        home = ROOT / folder if folder.parts[:1] == ("benchmarks",) else ROOT / "pvchat" / folder
        stems = [p.stem for p in home.glob("*") if p.stem != "__init__"] if home.is_dir() else []
        if not any(name == stem or name.startswith(f"{stem}_") for stem in stems):
            strays.append(path.relative_to(ROOT).as_posix())
    wide = {f"tests/test_{name}.py" for name in PROJECT_WIDE}
    assert set(strays) - wide == set()


def test_test_files_are_not_packages() -> None:
    inits = [p.relative_to(ROOT).as_posix() for p in (ROOT / "tests").rglob("__init__.py")]
    assert inits == [], "tests are found by path (--import-mode=importlib), they need no __init__.py"


def test_tiers_name_each_part_once() -> None:
    counts = Counter(part for parts in TIERS.values() for part in parts)
    assert [part for part, n in counts.items() if n > 1] == []
