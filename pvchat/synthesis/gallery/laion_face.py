"""Pictures of LAION-Face as its authors' script leaves them on a disk.

LAION-Face is published as ids; ``download.sh`` (github.com/FacePerceiver/LAION-Face) fetches the pictures
with img2dataset: ``split_00000/00000.tar`` with ``000000000.jpg`` and ``.json`` in it, or, with
``--output_format files``, folders instead of tar files. What the parquet tables say of a picture is also in
its JSON, so they are not needed. Pictures that img2dataset failed to fetch have a JSON only."""

import hashlib
import json
import logging
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pvchat.errors import UserError
from pvchat.synthesis.gallery.pictures import Frames, Picture, folder, photo, stamp

PHOTO = ".jpg"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Member:
    offset: int
    size: int
    nsfw: str


class LAIONFaceGallery:
    """Each picture is its own source. ``nsfw`` are the labels of LAION that are let in."""

    licence = "LAION-Face: ids CC BY 4.0, each picture under its own terms"
    commercial = False

    def __init__(self, root: str | Path, *, nsfw: tuple[str, ...] = ("UNLIKELY",)) -> None:
        self.root, self.nsfw = folder(root), nsfw

    def pictures(self) -> Iterator[Picture]:
        left_out = 0
        for key, label, when in self._listed():
            if label in self.nsfw:
                yield Picture(key, key, when)
            else:
                left_out += 1
        if left_out:
            _log.warning("%d pictures of %s are left out: NSFW is not %s.", left_out, self.root, self.nsfw)

    def content(self, key: str) -> str:
        return hashlib.sha256(self._bytes(key)).hexdigest()

    def read(self, key: str) -> Frames:
        return photo(self._bytes(key), key)

    def _listed(self) -> Iterator[tuple[str, str, str]]:
        """Key, NSFW label and stamp of each picture."""
        for path in sorted([*self.root.rglob("*.tar"), *self.root.rglob(f"*{PHOTO}")]):
            inside, when = path.relative_to(self.root).as_posix(), stamp(path)
            if path.suffix == PHOTO:
                about = path.with_suffix(".json")
                yield inside, _nsfw(about.read_bytes()) if about.is_file() else "", when
                continue
            try:
                members = _members(path, when)
            except (tarfile.TarError, EOFError) as error:  # img2dataset may be writing it
                _log.warning("%s is left out: not a whole tar file (%s). Fetch this part again.", path, error)
                continue
            for name, member in members.items():
                yield f"{inside}/{name}", member.nsfw, f"{when} {member.offset}"

    def _bytes(self, key: str) -> bytes:
        shard, _, name = key.rpartition(".tar/")
        path = self.root / (f"{shard}.tar" if shard else key)
        try:
            if not shard:
                return path.read_bytes()
            member = _members(path, stamp(path))[name]
            with open(path, "rb") as file:
                file.seek(member.offset)
                return file.read(member.size)
        except (OSError, KeyError, tarfile.TarError, EOFError) as error:
            raise UserError(f"picture {key} cannot be read: {error}. Fetch its part again.") from error


@lru_cache(maxsize=8)
def _members(path: Path, when: str) -> dict[str, _Member]:
    """Photos of a tar file and where they lie in it."""
    with tarfile.open(path, "r:") as tar:
        files = {m.name: m for m in tar if m.isfile()}
        labels = {
            name.removesuffix(".json"): _nsfw(data.read())
            for name, m in files.items()
            if name.endswith(".json") and (data := tar.extractfile(m))
        }
    return {
        name: _Member(m.offset_data, m.size, labels.get(name.removesuffix(PHOTO), ""))
        for name, m in sorted(files.items())
        if name.endswith(PHOTO)
    }


def _nsfw(data: bytes) -> str:
    """LAION's label; empty where there is none."""
    try:
        return str(json.loads(data)["NSFW"])
    except (ValueError, KeyError, TypeError):
        return ""
