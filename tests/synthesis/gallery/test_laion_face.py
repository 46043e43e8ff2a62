"""What img2dataset leaves on a disk: tar files of photos with a JSON each, or the same in folders."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from colour_gallery import ColourEmbedder, paint, red

from pvchat.synthesis.gallery import GalleryRetriever, LAIONFaceGallery

PICTURES = {"000000000": (10, "UNLIKELY"), "000000001": (20, "NSFW"), "000000003": (30, "UNLIKELY")}


def encoded(shade: int, folder: Path) -> bytes:
    return paint(folder / "picture.png", (shade, 0, 0)).read_bytes()  # lossless, whatever its name says


def about(nsfw: str, status: str = "success") -> bytes:
    return json.dumps({"url": "http://x/y.jpg", "SAMPLE_ID": 7, "NSFW": nsfw, "status": status}).encode()


def write_tar(path: Path, scratch: Path) -> Path:
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w") as tar:

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        for key, (shade, nsfw) in PICTURES.items():
            add(f"{key}.jpg", encoded(shade, scratch))
            add(f"{key}.json", about(nsfw))
            add(f"{key}.txt", b"a person")
        add("000000002.json", about("UNLIKELY", "failed_to_download"))
        add("000000004.jpg", b"no picture")
        add("000000004.json", about("UNLIKELY"))
    return path


def test_tar_files(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shard = write_tar(root / "split_00000" / "00000.tar", tmp_path)
    embedder = ColourEmbedder()
    retriever = GalleryRetriever(gallery=LAIONFaceGallery(root), embedder=embedder, store=tmp_path / "store")
    found = retriever.nearest(red(12), 9, farther_than=0.05)
    assert [n.key for n in found] == ["split_00000/00000.tar/000000003.jpg"]
    assert "1 pictures" in caplog.text
    report = retriever.refresh()
    assert (report.pictures, report.embedded, embedder.seen) == (3, 0, 2)
    assert list(report.broken) == ["split_00000/00000.tar/000000004.jpg"]
    np.testing.assert_array_equal(retriever.read(found[0].key)[0, 0, 0], [30, 0, 0])

    (root / "split_00001").mkdir()
    (root / "split_00001" / "00000.tar").write_bytes(shard.read_bytes()[:3000])  # still being written
    assert retriever.refresh().pictures == 3
    assert "00000.tar is left out: not a whole tar file" in caplog.text


def test_folders(root: Path, tmp_path: Path) -> None:
    folder = root / "split_00000" / "00000"
    folder.mkdir(parents=True)
    for key, (shade, nsfw) in PICTURES.items():
        (folder / f"{key}.jpg").write_bytes(encoded(shade, tmp_path))
        (folder / f"{key}.json").write_bytes(about(nsfw))
    (folder / "000000009.jpg").write_bytes(encoded(90, tmp_path))  # nobody says what it is
    gallery = LAIONFaceGallery(root)
    assert [Path(p.key).stem for p in gallery.pictures()] == ["000000000", "000000003"]
    anything = LAIONFaceGallery(root, nsfw=("UNLIKELY", "NSFW"))
    assert [Path(p.key).stem for p in anything.pictures()] == ["000000000", "000000001", "000000003"]
    assert gallery.read("split_00000/00000/000000003.jpg").tolist()[0][0][0] == [30, 0, 0]
