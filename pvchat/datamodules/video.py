"""Videos and photos -> a few frames.

PyAV lists the frames' times from the packets, without decoding: right on variable frame rate, and it sees
truncation, which decord does not. decord then fetches the frames (fast); PyAV, reading in sequence, is the
fallback and gives the same pixels."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from pvchat.batch import Clip
from pvchat.errors import UserError

Backend = Literal["auto", "decord", "pyav"]
FramePolicy = Literal["first", "middle"]
Frames = npt.NDArray[np.uint8]
Times = npt.NDArray[np.float64]

PHOTOS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ts", ".webm", ".wmv"})
MEDIA = PHOTOS | VIDEOS | {".gif"}
"""Suffixes; what has another one, or none, is looked into."""
MAX_PX = 1280
SAME_TIME_S = 1e-3  # decord keeps times in single precision
_APART_S = 1.0  # frames farther apart than this are sought, nearer ones decoded in sequence
SLACK_S = 0.5  # a time range may end this much after the clip: durations are rounded by hand
REVISION = 2  # raise it when the same file and settings give other frames


def decode(
    path: str | Path,
    *,
    num_frames: int,
    start_s: float | None = None,
    end_s: float | None = None,
    max_px: int | None = MAX_PX,
    frame_policy: FramePolicy = "first",
    backend: Backend = "auto",
) -> Clip:
    """``num_frames`` upright RGB frames of a video, or of a photo (repeated, so that batches stack).

    Frames are those shown during ``[start_s, end_s)``, seconds since the first frame; see ``sample_indices``
    for which. The longer side is at most ``max_px``. Raises UserError: one sentence that names the file."""
    path = Path(path)
    key = clip_key(
        path,
        num_frames=num_frames,
        start_s=start_s,
        end_s=end_s,
        max_px=max_px,
        frame_policy=frame_policy,
    )
    if is_photo(path):
        if start_s is not None or end_s is not None:
            raise _fault(path, "is a photo and takes no time range", "Leave start and end out")
        photo = np.asarray(_shrink(_photo(path), max_px))
        return Clip(np.repeat(photo[None], num_frames, axis=0), np.zeros(num_frames), key)
    times, origin, _ = _index(path)
    shown = _shown(path, times, start_s, end_s)
    wanted = shown[sample_indices(len(shown), num_frames, frame_policy)]
    frames = None if backend == "pyav" else _with_decord(path, wanted, times)
    if frames is None:
        if backend == "decord":
            raise _fault(path, "cannot be decoded by decord", "Use backend auto or pyav")
        frames = _with_pyav(path, times[wanted], origin)
    if max_px is not None and max(frames.shape[1:3]) > max_px:
        frames = np.stack([np.asarray(_shrink(Image.fromarray(f), max_px)) for f in frames])
    return Clip(frames, times[wanted], key)


def sample_indices(count: int, num_frames: int, policy: FramePolicy = "first") -> list[int]:
    """Which of ``count`` frames are shown: the middles of ``num_frames`` equal segments, as in the released
    code (``middle``). With ``first`` the first of them is frame 0, so that an image stage that shows one
    frame shows the clip's first, as the paper says. A clip that is too short repeats frames."""
    if num_frames < 1:
        raise UserError(f"num_frames must be >= 1: got {num_frames}.")
    segment = (count - 1) / num_frames
    indices = [int(segment / 2) + round(segment * k) for k in range(num_frames)]
    return [0, *indices[1:]] if policy == "first" else indices


def is_photo(path: Path) -> bool:
    """True for a single picture: by its suffix, by its content where the suffix does not tell (gif, none)."""
    if path.suffix.lower() in PHOTOS | VIDEOS:
        return path.suffix.lower() in PHOTOS
    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) == 1
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def clip_times(path: str | Path) -> Times:
    """Seconds of every frame of a video since the first one. Raises UserError."""
    content_hash(Path(path))  # says what is wrong with a file that is none
    return _index(Path(path)).times


def spread_times(path: str | Path, *, fps: float, at_most: int) -> Times:
    """Seconds of the frames that show a whole video: ``fps`` a second, ``at_most`` in all; [0] for a photo.

    Where they are more than a second apart key frames nearby are taken, which ``frames_at`` finds without
    decoding what is between: hours cost seconds. Raises UserError."""
    path = Path(path)
    content_hash(path)  # says what is wrong with a file that is none
    if is_photo(path):
        _photo(path)
        return np.zeros(1)
    times, _, keys = _index(path)
    length = float(times[-1])
    count = max(1, min(at_most, len(times), round(length * fps) + 1))
    wanted = (np.arange(count) + 0.5) / count * length
    shown = _nearest(times, wanted)
    if length / count > _APART_S:
        key = _nearest(keys, wanted)
        shown = np.where(np.abs(key - wanted) < length / count / 2, key, shown)
    return np.unique(shown)


def frames_at(path: str | Path, times: Sequence[float] | Times) -> Iterator[Frames]:
    """The upright RGB frames (H, W, 3) at ``times`` of ``clip_times``, ascending, in full size, one at a
    time: a long video fills no memory. Raises UserError."""
    path = Path(path)
    if is_photo(path):
        photo = np.asarray(_photo(path))
        yield from (photo for _ in times)
        return
    _, origin, keys = _index(path)
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            frames, shown, at = container.decode(stream), None, -np.inf
            for wanted in times:
                key = keys[max(0, int(np.searchsorted(keys, wanted + SAME_TIME_S)) - 1)]
                if key > at + _APART_S:
                    container.seek(round((key + origin) / stream.time_base), stream=stream)
                    frames = container.decode(stream)
                while at < wanted - SAME_TIME_S and (new := next(frames, None)) is not None:
                    shown, at = new, _seconds(new) - origin
                if shown is None:
                    raise _fault(path, "holds no frames", "Copy or record it again")
                yield _upright(shown)
    except (av.error.FFmpegError, OSError) as error:
        raise _undecodable(path, error) from error


def clip_key(path: Path, **settings: object) -> str:
    """Names the frames that ``decode`` gives: ``content_hash``, by which all that is kept of a file can be
    found, and a digest of the decode settings."""
    return f"{content_hash(path)} {_digest(f'{sorted(settings.items())} {is_photo(path)} {REVISION}')}"


def content_hash(path: Path) -> str:
    """sha256 of the file's bytes, read once per process as long as size and modification time stay."""
    if path.is_dir():
        raise _fault(path, "is a folder, not a video or photo", "Name a file in it")
    try:
        stat = path.stat()
        if stat.st_size == 0:
            raise _fault(path, "is empty (0 bytes)", "Copy it again")
        return _file_hash(str(path.absolute()), stat.st_size, stat.st_mtime_ns)
    except FileNotFoundError as error:
        raise _fault(path, "does not exist", "Check the path") from error
    except OSError as error:
        raise _fault(
            path, f"cannot be read ({error.strerror})", "Check its permissions and the disk"
        ) from error


@lru_cache(maxsize=100_000)
def _file_hash(path: str, size: int, mtime_ns: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _fault(path: Path, what: str, remedy: str) -> UserError:
    return UserError(f"clip '{path}' {what}. {remedy}.")


def _undecodable(path: Path, error: Exception) -> UserError:
    return _fault(path, f"cannot be decoded ({_reason(error)})", "Save videos as mp4, photos as jpg or png")


def _photo(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _fault(
            path, "is not a photo that can be read (damaged, or another format)", "Save it as jpg or png"
        ) from error


def _shrink(image: Image.Image, max_px: int | None) -> Image.Image:
    longest = max(image.size)
    if max_px is None or longest <= max_px:
        return image
    width, height = (max(1, round(side * max_px / longest)) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


class _Index(NamedTuple):
    """Seconds of every frame since the first one, in order of display; the time of the first (``origin``);
    those that are decoded without others (``keys``)."""

    times: Times
    origin: float
    keys: Times


def _index(path: Path) -> _Index:
    try:
        with av.open(str(path)) as container:
            stream = _video_stream(path, container)
            declared, unit = stream.frames, stream.time_base
            packets = [  # without their data, which is the whole file
                (_stamp(p), p.is_keyframe, p.is_corrupt, p.is_discard)
                for p in container.demux(stream)
                if p.size
            ]
    except (av.error.FFmpegError, OSError) as error:
        raise _fault(
            path,
            f"is not a video that can be read ({_reason(error)})",
            "Save videos as mp4, photos as jpg or png",
        ) from error
    whole = [p for p in packets if not p[2]]
    if len(whole) < max(declared, len(packets)):
        raise _fault(
            path,
            f"is truncated: {len(whole)} of {max(declared, len(packets))} frames are there",
            "Copy or record it again",
        )
    stamps = [
        (float(stamp * unit), is_key)
        for stamp, is_key, _, discard in whole
        if not discard and stamp is not None
    ]
    times = np.array(sorted(s for s, _ in stamps))
    if not len(times):
        raise _fault(path, "holds no frames", "Copy or record it again")
    keys = np.array(sorted(s for s, is_key in stamps if is_key))
    return _Index(times - times[0], float(times[0]), (keys if len(keys) else times[:1]) - times[0])


def _nearest(times: Times, wanted: Times) -> Times:
    """Of ``times`` (T,), ascending, those nearest to each of ``wanted``."""
    after = np.searchsorted(times, wanted).clip(1, max(1, len(times) - 1))
    before, after = times[after - 1], times[np.minimum(after, len(times) - 1)]
    return np.asarray(np.where(wanted - before <= after - wanted, before, after))


def _video_stream(path: Path, container: Any) -> Any:
    covers = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & covers]
    if not streams:
        raise _fault(path, "holds no video (audio only, or damaged)", "Choose a file that shows a picture")
    streams[0].thread_type = "AUTO"
    return streams[0]


def _stamp(item: Any) -> int | None:
    """Presentation time of a packet or frame; AVI knows only decoding times."""
    return item.dts if item.pts is None else item.pts  # type: ignore[no-any-return]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _shown(path: Path, times: Times, start_s: float | None, end_s: float | None) -> npt.NDArray[np.int64]:
    """Indices of the frames on show during the time range; a frame stays until the next one."""
    if start_s is None and end_s is None:
        return np.arange(len(times))
    usual = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    start, length = start_s or 0.0, float(times[-1]) + usual
    end = length if end_s is None else end_s
    if not (0 <= start < end and start <= times[-1] + usual and end <= length + SLACK_S):
        raise _fault(
            path,
            f"has no time range {start:g}-{end:g} s: it lasts {length:.2f} s",
            "Choose a range within it",
        )
    first = max(0, int(np.searchsorted(times, start + SAME_TIME_S, side="right")) - 1)
    last = int(np.searchsorted(times, end - SAME_TIME_S, side="left"))
    return np.arange(first, max(last, first + 1))


def _with_decord(path: Path, wanted: npt.NDArray[np.int64], times: Times) -> Frames | None:
    """Frames number ``wanted``, or None where decord is not installed, fails or counts otherwise."""
    try:
        import decord
    except ImportError:  # no wheels for some platforms
        return None
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path))  # opened per call: it cannot be pickled
        if len(reader) != len(times):
            return None
        stamps = reader.get_frame_timestamp(range(len(times)))[:, 0]
        if np.abs(stamps - stamps[0] - times).max() > SAME_TIME_S:
            return None
        distinct, positions = np.unique(wanted, return_inverse=True)
        frames = reader.get_batch(distinct.tolist()).asnumpy()[positions]  # turned, as the clip says
        with av.open(str(path)) as container:
            return _mirrored(frames, next(container.decode(_video_stream(path, container))))
    except Exception:  # its errors have no common class; PyAV has the last word and says what is wrong
        return None


def _with_pyav(path: Path, wanted: Times, origin: float) -> Frames:
    """The frame on show at each of the ``wanted`` times (ascending), decoding in sequence."""
    out: list[Frames] = []
    shown = None
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(_video_stream(path, container)):
                over = int(np.searchsorted(wanted, _seconds(frame) - origin - SAME_TIME_S)) - len(out)
                shown = frame if shown is None else shown
                out += [_upright(shown)] * over if over > 0 else []
                shown = frame
                if len(out) == len(wanted):
                    break
    except (av.error.FFmpegError, OSError) as error:
        raise _undecodable(path, error) from error
    if shown is None:
        raise _fault(path, "holds no frames", "Copy or record it again")
    left = len(wanted) - len(out)
    return np.stack([*out, *([_upright(shown)] * left if left else [])])


def _seconds(frame: Any) -> float:
    return float((_stamp(frame) or 0) * frame.time_base)


def _upright(frame: Any) -> Frames:
    image = frame.to_ndarray(format="rgb24")
    turned = abs(frame.rotation) in (90, 180, 270)
    return _mirrored(np.rot90(image, frame.rotation // 90) if turned else image, frame)


def _mirrored(turned: Frames, frame: Any) -> Frames:
    """Images (.., H, W, 3), turned as the display matrix (a b; c d) of ``frame`` says, mirrored if it does.

    The angle is taken from a and b, and c and d tell whether the image is mirrored along its other axis."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return turned
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    if a * d >= b * c:
        return turned
    return np.flip(turned, -3 if abs(a) > abs(b) else -2)
