"""The JSON of the released PVChat corpus, quirks included (docs/data.md lists them)."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pvchat.datamodules.manifest import QA, Origin, Record, Split, check_records
from pvchat.datamodules.sources.wording import question_type
from pvchat.errors import UserError
from pvchat.subjects import check_name, mention, mentions

_CLAUSE = re.compile(
    r",?\s*\b(?:but|though|although|while|whereas|however)\b"
    r"|,\s*(?=with\b)|,\s*(?=<[^<>]+>\s+(?:is|isn't|does|doesn't)\b)|(?<=>)—(?=<)|;|\.\s"
)
_DENIAL = re.compile(
    r"\b(?:no|not|neither|nor|none|never|nothing|nowhere|cannot|absen\w+|devoid|exclud\w+|fail\w*|free of"
    r"|lack\w*|missing|unable|unseen|without(?! doubt)|zero)\b|n't\b",
    re.I,
)
_OPENING = re.compile(r"\s*(yes|no)\s*(?:[,.;:!—-]|$)", re.I)  # "No doubt" and "No one but" are no "no"
_MENTION = re.compile(r"<+\s*([^<>]+?)\s*>+")  # <sks>, <<Sh>>


class PVChatJSON:
    """One released file per split, about ``subjects``: the first is ``<sks>`` or ``<sks1>`` of the files, the
    second ``<sks2>``, and so on. Names are never taken from file names.

    ``root`` holds the clips: as many leading folders of the authors' absolute paths are dropped as make most
    clips found there. ``aliases`` maps other names in the files to subjects."""

    def __init__(
        self,
        *,
        subjects: str | Sequence[str],
        train: str | Path | None = None,
        validation: str | Path | None = None,
        test: str | Path | None = None,
        root: str | Path | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        names = [subjects] if isinstance(subjects, str) else subjects
        self._subjects = tuple(check_name(name) for name in names)
        files: dict[Split, str | Path | None] = {"train": train, "validation": validation, "test": test}
        self.files = {split: Path(path) for split, path in files.items() if path is not None}
        if not self.files or not self._subjects:
            raise UserError("PVChatJSON needs subjects and at least one of train, validation and test.")
        self.root, self.aliases = None if root is None else Path(root), dict(aliases or {})

    @property
    def subjects(self) -> tuple[str, ...]:
        return self._subjects

    @property
    def fingerprint(self) -> str:
        parts = [f"{s}:{hashlib.sha256(p.read_bytes()).hexdigest()}" for s, p in self.files.items()]
        text = " ".join([*parts, *self._subjects, *map(str, sorted(self.aliases.items()))])
        return hashlib.sha256(text.encode()).hexdigest()

    def records(self) -> list[Record]:
        return list(self._records)

    @cached_property
    def _records(self) -> list[Record]:
        clips = [
            (clip, split, f"{path.name} clip {number}")
            for split, path in self.files.items()
            for number, clip in enumerate(_read(path), 1)
        ]
        paths = [_text(clip, "video_path", where) for clip, _, where in clips]
        common = _common_depth(paths)
        depth = common if self.root is None else _best_depth(self.root, paths, common)
        records = [self._record(clip, split, common, depth, where) for clip, split, where in clips]
        check_records(records, subjects=self._subjects)
        return records

    def _record(self, clip: dict[str, Any], split: Split, common: int, depth: int, where: str) -> Record:
        path = PurePosixPath(_text(clip, "video_path", where))
        file = self.files[split].parent / path if self.root is None else self.root / _inside(path, depth)
        names = self._names(clip)
        pairs = clip.get("qa_pairs", [])
        if not isinstance(pairs, list) or not all(isinstance(pair, dict) for pair in pairs):
            raise UserError(f"{where}: qa_pairs must be a list of objects: got {str(pairs)[:40]!r}.")
        texts = [
            tuple(self._rename(_text(pair, key, where), names, where) for key in ("question", "answer"))
            for pair in pairs
        ]
        special = [_flag(pair, "is_special", where, default=False) for pair in pairs]
        said = [answer for (_, answer), s in zip(texts, special, strict=True) if s]
        presence = self._presence(clip, said, where)
        return Record(
            id=f"{split}/{_inside(path, common)}",
            path=Path(os.path.abspath(file)),
            presence=presence,
            source_id=str(clip.get("ori_video_name") or path.name),
            origin=_origin(path, presence),
            split=split,
            licence="not stated",
            consent="not stated",
            qa=tuple(_qa(q, a, s, presence, where) for (q, a), s in zip(texts, special, strict=True)),
            where=where,
        )

    def _names(self, clip: dict[str, Any]) -> dict[str, str]:
        """Names in the file -> subjects."""
        names = {"sks": self._subjects[0]}
        for number, subject in enumerate(self._subjects, 1):
            names |= {subject: subject, f"sks{number}": subject}
            keys = [f"sks_present{number}", *(["sks_present"] if number == 1 else [])]
            values = [clip[key].strip("<> ") for key in keys if isinstance(clip.get(key), str)]
            names |= {value: subject for value in values if value}
        return names | self.aliases

    def _rename(self, text: str, names: Mapping[str, str], where: str) -> str:
        def spell(match: re.Match[str]) -> str:
            name = names.get(match[1], match[1])
            if name not in self._subjects:
                raise UserError(
                    f"{where}: <{match[1]}> is none of the subjects {list(self._subjects)}. "
                    f"Say who it is with aliases: {{{match[1]}: {self._subjects[0]}}}."
                )
            return mention(name)

        return _MENTION.sub(spell, text)

    def _presence(self, clip: dict[str, Any], said: Sequence[str], where: str) -> dict[str, bool]:
        """Who is there: by ``is_positive`` and ``sample_type``, else by what most existence answers say."""
        kind, positive = clip.get("sample_type"), _flag(clip, "is_positive", where)
        if not positive or len(self._subjects) == 1 or kind in ("both", "all"):
            return dict.fromkeys(self._subjects, positive)
        if isinstance(kind, str) and (numbers := re.findall(r"\d+", kind)):
            return {s: str(n) in numbers for n, s in enumerate(self._subjects, 1)}
        votes: Counter[str] = Counter()
        for answer in said:
            for name, present in _said(answer).items():
                votes[name] += 1 if present else -1
        if undecided := [name for name in self._subjects if not votes[name]]:
            raise UserError(
                f"{where}: neither sample_type nor existence answers tell whether {undecided[0]!r} is there."
            )
        return {name: votes[name] > 0 for name in self._subjects}


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from error
    clips = (data.get("data") or data.get("videos")) if isinstance(data, dict) else None
    if not isinstance(clips, list) or not all(isinstance(clip, dict) for clip in clips):
        raise UserError(f'{path} must hold a list of clips under "data" or "videos".')
    return clips


def _text(item: Mapping[str, Any], key: str, where: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: {key} must be a non-empty string: got {value!r}.")
    return value


def _flag(item: Mapping[str, Any], key: str, where: str, default: bool | None = None) -> bool:
    value = item.get(key, default)
    if not isinstance(value, bool):
        raise UserError(f"{where}: {key} must be true or false: got {value!r}.")
    return value


def _inside(path: PurePosixPath, depth: int) -> PurePosixPath:
    return PurePosixPath(*path.parts[depth:])


def _common_depth(paths: Sequence[str]) -> int:
    """How many leading folders all ``paths`` share."""
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    levels = [len(set(parts)) == 1 for parts in zip(*folders, strict=False)]
    return [*levels, False].index(False)


def _best_depth(root: Path, paths: Sequence[str], common: int) -> int:
    """How many leading parts to drop so that most ``paths`` are found below ``root``, each its own file;
    ``common`` when none is."""
    every = [PurePosixPath(path) for path in dict.fromkeys(paths)]
    found = {}
    for depth in range(min((len(path.parts) for path in every), default=0)):
        inside = {_inside(path, depth) for path in every}
        if len(inside) == len(every):
            found[depth] = sum((root / path).is_file() for path in inside if not path.is_absolute())
    best = max(found.values(), default=0)
    return min(depth for depth in found if found[depth] == best) if best else common


def _origin(path: PurePosixPath, presence: Mapping[str, bool]) -> Origin:
    if not any(presence.values()):
        return "negative"
    made = {"5_movie_video", "consisid_generation"}  # animated by LivePortrait, made by ConsisID
    return "generated" if made & set(path.parts) else "real"


def _qa(question: str, answer: str, special: bool, presence: Mapping[str, bool], where: str) -> QA:
    asked = mentions(question) or mentions(answer) or tuple(presence)
    if special:
        polarity: Literal["yes", "no"] = "yes" if any(presence[n] for n in asked) else "no"
        opening = _OPENING.match(answer)
        if opening and len(asked) == 1 and opening[1].casefold() != polarity:
            there = "there" if polarity == "yes" else "not there"
            raise UserError(
                f"{where}: {mention(asked[0])} is {there}, so an existence answer must not open with "
                f"{opening[1]!r}: got {answer[:60]!r}. Correct one of them."
            )
        return QA(question, answer, "existence", polarity, asked)
    return QA(question, answer, question_type(question), None, asked)


def _said(answer: str) -> dict[str, bool]:
    """Who is there, by an answer: a clause that denies denies all it names."""
    clauses = _CLAUSE.split(answer.replace("’", "'"))  # noqa: RUF001
    return {name: not _DENIAL.search(clause) for clause in clauses for name in mentions(clause)}
