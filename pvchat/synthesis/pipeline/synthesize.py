"""The stages of ``pvchat synthesize``: faces, other people, clips, questions, report."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pvchat import __version__
from pvchat.datamodules.manifest import Split
from pvchat.datamodules.video import content_hash
from pvchat.endpoint.replies import noting
from pvchat.errors import UserError, writing
from pvchat.faces import FaceAnalyzer
from pvchat.synthesis.animation.face_mesh import FaceMesh
from pvchat.synthesis.attributes import Attributes, read_attributes
from pvchat.synthesis.executors import LocalExecutor
from pvchat.synthesis.pipeline.casts import casts_of, split_own
from pvchat.synthesis.pipeline.filming import Camera, film
from pvchat.synthesis.pipeline.finishing import MANIFEST, Corpus, finish, record_of
from pvchat.synthesis.pipeline.folder import FACES, corpus_folder
from pvchat.synthesis.pipeline.gates import gates_of
from pvchat.synthesis.pipeline.generator_studios import Prompted
from pvchat.synthesis.pipeline.history import note_replies
from pvchat.synthesis.pipeline.known_subjects import (
    Known,
    actors_of,
    check_apart,
    each_once,
    known_subject,
    position,
)
from pvchat.synthesis.pipeline.others import Others
from pvchat.synthesis.pipeline.overview import STATISTICS
from pvchat.synthesis.pipeline.real_clips import add_real_negatives, add_references
from pvchat.synthesis.pipeline.recipe import Part, Recipe
from pvchat.synthesis.pipeline.subject_request import SubjectRequest
from pvchat.synthesis.pipeline.takes import SPLITS, Cast, plan_takes
from pvchat.synthesis.pipeline.witnessing import witness_of
from pvchat.synthesis.reference_files import opened
from pvchat.synthesis.roles import Executor
from pvchat.synthesis.splits import Shared
from pvchat.synthesis.studio.actors import Actor

STAGES = ("faces", "other people", "clips", "questions and report")


def synthesize(
    subjects: Sequence[SubjectRequest],
    recipe: Recipe,
    *,
    out: Path,
    config: str = "",
    seed: int = 0,
    allow: Collection[Shared] = (),
    places: str | None = None,
    executor: Executor | None = None,
) -> Path:
    """Make the corpus of ``subjects`` in ``out`` and return its manifest; clips that are there are kept.
    Raises UserError for a request that cannot be met."""
    found = opened([s.reference for s in subjects] + [s.like for s in subjects])
    references, likes = found[: len(subjects)], found[len(subjects) :]
    files = {s.name: each_once(own.files) for s, own in zip(subjects, references, strict=True)}
    subjects = [replace(s, like=list(map(str, o.files))) for s, o in zip(subjects, likes, strict=True)]
    request = _request(subjects, files, config, seed, allow, places)
    with corpus_folder(out, request, config), writing(out):
        if (out / MANIFEST).is_file() and (out / STATISTICS).is_file():
            numbers = json.loads((out / STATISTICS).read_text(encoding="utf-8"))
            print(f"{out} is complete: {numbers['clips']} clips, {numbers['questions']} questions.")
            return out / MANIFEST
        recipe.check()
        corpus = Corpus(tuple(s.name for s in subjects))
        corpus.notes += [note for some in found for note in some.notes]
        print("".join(f"{note}\n" for note in corpus.notes), end="")
        faces, mesh = FaceAnalyzer(), FaceMesh()
        _stage(0, "finding and judging faces of the reference")
        known = [known_subject(s, files[s.name], faces, mesh, recipe, out, corpus) for s in subjects]
        check_apart(known)
        _stage(1, "who the subjects must not be mistaken for")
        own = [actor for k in known for actor in actors_of(k)]
        others = recipe.others.find(own, [v for k in known for v in k.looks], seed=seed)
        corpus.notes += others.notes
        _stage(2, "each scene with the subjects and with others")
        casts = _casts(known, others, recipe, allow, corpus)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as many as a worker has: sums in another order would make other bytes
        try:
            _film_parts(recipe, known, others, casts, corpus, out, seed, executor or LocalExecutor(), faces)
        finally:
            torch.set_num_threads(threads)
        add_references(recipe, known, corpus, out)
        if recipe.real_negatives:
            add_real_negatives(others, casts, corpus, out)
        _stage(3, "questions, answers, leak check, contact sheet")
        return finish(corpus, out, plan=recipe.questions, seed=seed, allow=allow)


def _casts(
    known: Sequence[Known], others: Others, recipe: Recipe, allow: Collection[Shared], corpus: Corpus
) -> dict[Split, Cast[Actor]]:
    used = [split for split in SPLITS if any(getattr(part.scenes, split) for part in recipe.parts)]
    subjects: dict[str, Mapping[Split, Sequence[Actor]]] = {}
    for k in known:
        at = {kept.source_id: position(kept.source, kept.time_s, k.files) for kept in k.faces.kept}
        own = split_own([(actor, at[actor.source_id] if "test" in used else 0.0) for actor in actors_of(k)])
        if "test" not in own and "source" in allow:
            own["test"] = own["train"]
        elif "test" not in own and "test" in used:
            corpus.notes.append(
                f"{k.request.name} has good faces in one part of the reference only, so there are no test "
                "clips: a test needs pictures that training has not seen. Give more photos, or --allow "
                "source."
            )
        subjects[k.request.name] = own
    return casts_of(subjects, others.strangers, others.lookalikes, used)


def _film_parts(
    recipe: Recipe,
    known: Sequence[Known],
    others: Others,
    casts: dict[Split, Cast[Actor]],
    corpus: Corpus,
    out: Path,
    seed: int,
    executor: Executor,
    faces: FaceAnalyzer,
) -> None:
    gates = gates_of(known, others.impostors, casts, settings=recipe.gate, faces=faces)
    look_alikes = {actor.person for person in others.lookalikes for actor in person}
    parts = [_directed(part, known, recipe, out) for part in recipe.parts]
    sizes = [part.sizes(casts) for part in parts]
    total = sum(s.scenes * (len(known) + s.strangers + s.lookalikes) for size in sizes for s in size.values())
    with tqdm(total=total, desc="clips", unit="clip") as bar:
        for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            camera = Camera(studio=part.studio, folder=out, gates=gates)
            splits = [split for split in casts if size[split].scenes]
            plan = plan_takes(part.studio, casts, size, seed=seed + 1000 * number, prefix=part.name)
            filmed = film(plan, splits, camera=camera, executor=executor, done=bar.update)
            corpus.lost += filmed.lost
            for clip in filmed.kept:
                record = record_of(clip, part.studio, corpus.subjects, look_alikes)
                corpus.records.append(record)
                if part.open_questions:
                    witness = witness_of(part, recipe, record, clip.take.scene)
                    corpus.witnesses[record.id] = {clip.take.subject: witness} if witness else {}


def _directed(part: Part, known: Sequence[Known], recipe: Recipe, out: Path) -> Part:
    """``part`` for the gender and age of the subjects, where its scenes depend on them."""
    if not isinstance(part.studio, Prompted):
        return part
    found: dict[str, Attributes] = {}
    for k in known:
        with noting() as keys:
            found[k.request.name] = read_attributes(
                recipe.captioner,
                k.faces.kept[0].frame[None],
                gender=k.request.gender,  # type: ignore[arg-type]
                age_group=k.request.age,  # type: ignore[arg-type]
            )
        note_replies(out / FACES / k.request.name / "attributes.json", keys)
    if len(set(found.values())) > 1:
        raise UserError(
            "subjects who share prompts must be of one gender and age group: got "
            f"{', '.join(f'{name} {a.gender} {a.age_group}' for name, a in found.items())}. "
            "Make a corpus for each."
        )
    return replace(part, studio=part.studio.directed(next(iter(found.values()))))


def _request(
    subjects: Sequence[SubjectRequest],
    files: Mapping[str, Sequence[Path]],
    config: str,
    seed: int,
    allow: Collection[Shared],
    places: str | None,
) -> dict[str, Any]:
    """All that another corpus would come out of."""
    return {
        "version": __version__,
        "subjects": [
            {
                **{k: v for k, v in vars(s).items() if k not in ("reference", "like")},
                "files": [content_hash(f) for f in files[s.name]],
                "like": [content_hash(Path(f)) for f in s.like],
            }
            for s in subjects
        ],
        "config": config,
        "seed": seed,
        "allow": sorted(allow),
        "places": places,
    }


def _stage(number: int, text: str) -> None:
    print(f"\n[{number + 1}/{len(STAGES)}] {STAGES[number].capitalize()}: {text}", flush=True)
