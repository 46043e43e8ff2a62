"""An answer, made ready for the grammar: persons become single characters, the text falls into clauses."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pvchat.errors import UserError
from pvchat.metrics.functional.presence_grammar import ENGLISH, META, WORDS, G
from pvchat.subjects import check_name

SOMEBODY_ELSE = ""  # a person who was not asked about; no name is empty
_N = "[\ue000-\uefff]"  # one person
_CAPITAL = f"[{''.join(c for c in map(chr, range(0x1F00)) if c.isupper())}]"
_OTHER = "\uefff"
# Pronouns; who is meant depends on what came before.
ALL, THEY, SINGLE, REST = "\uf8f0", "\uf8f1", "\uf8f2", "\uf8f3"
_LIST = rf"{_N}(?:(?:\s*,\s*(?:and |or |nor )?|\s+(?:and|or|nor|&|as well as)\s+){_N})*"
_PUNCTUATION = dict.fromkeys((0x2018, 0x2019, 0x02BC, 0x60), "'") | dict.fromkeys((0x201C, 0x201D), '"')
_PUNCTUATION |= {0x2013: "—", 0x2015: "—"}
_PEOPLE = r"(?:people|persons|figures|individuals|subjects|characters)"
_GOES_ON = r"(?= (?:i|we|it|he|she|they|there|the|this)\b)"
_AGREE = r"yes|yeah|yep|yup|correct|affirmative|absolutely|definitely|certainly|of course|indeed"
_DENY = r"no|nope|nah|absolutely not|definitely not|certainly not|of course not|not at all"
_END = r"(?=\s*(?:[,.!;:—]|$))"
_HEAD = re.compile(
    r"(?:(?:well|oh|ok|okay),? )?(?:(?:the |my )?answer(?: is)? ?:? ?)?"
    rf"(?:(?P<no>(?:{_DENY}){_END}|no{_GOES_ON})|(?P<yes>(?:{_AGREE}){_END}|yes{_GOES_ON}|yes(?= {_N})))"
    r"[\s,.!;:—]*"
)
_LATER_HEAD = re.compile(rf"(?:the |my )?(?:answer (?:is )?)?(?:(?P<no>{_DENY})|{_AGREE})")
_SPELLING: tuple[tuple[str, str], ...] = (
    (r"\b(?:can't|cannot|cant)\b", "can not"),
    (r"\bwon't\b", "will not"),
    (r"\bain't\b", "is not"),
    (r"(?<=\w)n't\b", " not"),
    (r"\b(is|are|was|were|do|does|did|has|have|could)nt\b", r"\1 not"),
    (r"\b(is|are|was|were|has|have|had|can|could|will|do|does|did) never\b", r"\1 not"),
    (
        r"\bnever (?=(?:appear|contain|depict|detect|feature|include|show|spot)(?:s|ed)?\b|see\b|saw\b)",
        "did not ",
    ),
    (r"\bi'm\b", "i am"),
    (r"'ve\b", " have"),
    (r"'re\b", " are"),
    (r"'ll\b", " will"),
    (r"'d\b", " would"),
    (r"\b(it|he|she|that|there|this|here|who)'s\b", r"\1 is"),
    (
        rf"({_N})'s (?=not|in |on |here|there|present|visible|absent|missing|nowhere|definitely|clearly)",
        r"\1 is ",
    ),
    (rf"({_N})'s?\b|({_N})'(?=\s)", r"\1\2 's"),
    (r"\bonly (see|detect|find|spot|identify|recognize|shows?|contains?|includes?|features?)\b", r"\1 only"),
    (
        r"\b(no one|nobody|noone|no-one|no person|everyone|everybody|everything|nothing|anyone)"
        r"((?: \w+){0,3}?),? (?:but|except for|except|besides|other than|apart from)\b",
        r"\1\2 except",
    ),
    (r"\beverybody\b", "everyone"),
    (r"\s+-+\s+", " — "),
)


@dataclass
class Clauses:
    """``head``: the yes or no an answer opens with. ``clauses``: the rest, with persons as characters that
    stand for ``groups`` of names. ``named``: everybody named. ``stranger``: was an unknown name seen?
    ``english``: do words show it that other languages lack?"""

    head: bool | None
    clauses: list[str]
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    stranger: bool = False
    english: bool = True


def split_answer(answer: str, names: Sequence[str]) -> Clauses | None:
    """None for what is no plain English answer: mark-up, questions, talk about the task, other scripts."""
    text = " ".join(unicodedata.normalize("NFKC", answer).translate(_PUNCTUATION).split())
    if re.search(G, text):
        return None
    people = {chr(0xE000 + i): name for i, name in enumerate(names)} | {_OTHER: SOMEBODY_ELSE}
    marked = _mark_persons(text.strip().strip("\"'"), people)
    if marked is None or re.search(r"[?=\"<>\[\]{}|\\]", marked) or META.search(marked.lower()):
        return None
    if any(c.isalpha() and not unicodedata.name(c, "").startswith("LATIN") for c in marked):
        return None
    text = re.sub(r"[*_#]", "", marked).lower()
    for pattern, spelling in _SPELLING:
        text = re.sub(pattern, spelling, text)
    text = " ".join(text.split())
    head = None
    if opening := _HEAD.match(text):
        head, text = opening["no"] is None, text[opening.end() :]
    elif re.match(rf"no {_N} (?:is|are|was|does|has|can)\b", text):
        return None  # "No, <tom> is here", or "no <tom> is here"?
    result = Clauses(head, [], {}, frozenset(people[c] for c in re.findall(_N, text)), _has_stranger(marked))
    result.english = bool(ENGLISH.search(text)) or not re.search("[a-z]", text)
    text = _group(text, people, result.groups)
    text = _pronouns(text, len(names))
    result.clauses = _split(text)
    return result


def repeated_head(clause: str) -> bool | None:
    """A "yes" or "no" that is a clause of its own."""
    match = _LATER_HEAD.fullmatch(clause)
    return match["no"] is None if match else None


def _mark_persons(text: str, people: dict[str, str]) -> str | None:
    """``<name>``, in any case, and the plain name become the person's character; other ``<names>`` too."""
    characters = {_key(name): character for character, name in people.items()}
    spelled = {unicodedata.normalize("NFKC", name).strip(): c for c, name in people.items()}

    def mark(match: re.Match[str]) -> str:
        return characters.get(_key(match[1]), _OTHER)

    for mentioned in re.findall(r"<([^<>]*)>", text):
        try:
            check_name(mentioned.strip())
        except UserError:
            return None
    text = re.sub(r"<([^<>]*)>", mark, text)
    for name in sorted(spelled, key=len, reverse=True):
        # A plain "Will" or "May" may be the verb: such names count only when spelled <will>.
        if len(name) > 1 and name.casefold() not in WORDS:
            plain = rf"(?<![\w'-]){re.escape(name)}(?!-?\w|'t\b)"  # casefold() would spell Weiß "weiss"
            text = re.sub(plain, spelled[name], text, flags=re.IGNORECASE)
    return text


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _has_stranger(text: str) -> bool:
    """Does a capital letter give away somebody: inside a sentence, or as its subject? "TV" is nobody, and
    where all is in capitals they tell nothing."""
    capitals = re.finditer(
        rf"(?P<start>^|[.!?:]\s+)?\b(?P<word>{_CAPITAL}\w+)\b(?P<verb> (?:is|was|are|appears|can|has)\b)?",
        text,
    )
    return any(
        (m["start"] is None or m["verb"] is not None)
        and m["word"].casefold() not in WORDS | {"he", "she", "they", "it", "the", "this"}
        and m["word"].isalpha()
        and not (m["word"].isupper() and (len(m["word"]) < 3 or text.isupper()))
        for m in capitals
    )


def _group(text: str, people: dict[str, str], groups: dict[str, frozenset[str]]) -> str:
    """Lists of persons become one character each; "both", "neither", "or" become EVERY, NONE, ANY."""

    def new(part: str) -> str:
        character = chr(0xF000 + len(groups))
        groups[character] = frozenset(people[c] for c in re.findall(_N, part))
        return character

    def quantified(word: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f" {word} {new(match['list'])} "

    def plain(match: re.Match[str]) -> str:
        part, before, after = match[0], match.string[: match.start()], match.string[match.end() :]
        persons = re.findall(_N, part)
        if len(persons) > 1 and re.search(r" (?:or|nor) ", part):
            return f"ANY {new(part)}"
        one_verb_each = re.match(r" (?:is|does|has|was|appears|remains)\b", after) and not re.search(
            r"\b(?:except|only) $", before
        )
        if len(persons) == 1 or (len(persons) == 2 and ("," in part or one_verb_each)):
            return " , ".join(new(person) for person in persons)
        return new(part)

    several = rf"(?P<list>{_LIST})"
    text = re.sub(rf"\bneither (?:of )?{several}", quantified("NONE"), text)
    text = re.sub(rf"\bnone of (?:them\s*[,—]\s*)?{several}\s*—?", quantified("NONE"), text)
    every = rf"(?:both|all (?:two|three|four|five|of them|of)|all)(?: {_PEOPLE}| of)*[\s,—]+"
    text = re.sub(rf"\b{every}{several}\s*[—,]?", quantified("EVERY"), text)
    text = re.sub(rf"\b(?:either|any|one)(?: of)? {several}", quantified("ANY"), text)
    text = re.sub(_LIST, plain, text)
    return re.sub(rf"({G})\s*[—,]\s*(?=(?:all|both) (?:absent|missing|are|of)\b)", r"\1 ", text)


def _pronouns(text: str, num_names: int) -> str:
    """Pronouns become characters too; whom they mean is found out clause by clause."""
    counts = {"both": 2, "two": 2, "three": 3, "four": 4, "five": 5}

    def every(match: re.Match[str]) -> str:
        stated = next((n for word, n in counts.items() if word in match[0]), num_names)
        return f"EVERY {ALL}" if stated == num_names > 1 else match[0]

    nobody = r"(?:no one|no-one|noone|nobody|no person|no people)"
    verb = r"(?:is|are|was|were|appears?|can|do|does|have|remain|shows?)"
    ends = rf"(?= (?:{verb}|in|here)\b|\s*[.,;!—]|\s*$)"
    for pattern, replacement in (
        (rf"\b{nobody} else\b", f"NONE {REST}"),
        (r"\b(?:anyone|anybody|any person) else\b", f"ANY {REST}"),
        (nobody, f"NONE {ALL}"),
        (r"\b(?:none|neither) of (?:them|the (?:two|three))\b", f"NONE {ALL}"),
        (rf"\b(?:none|neither)(?= {verb}\b)(?! {verb} {G})", f"NONE {ALL}"),
        (r"\b(?:anyone|anybody|any of them|either of them|either one)\b", f"ANY {ALL}"),
        (r"\b(?:they|them)\b", THEY),
        (r"\b(?:he|she|him|(?:the|this|that) (?:person|subject|individual))\b", SINGLE),
        (rf"\bher{ends}", SINGLE),
    ):
        text = re.sub(pattern, replacement, text)
    all_of = rf"(?:both|all (?:two|three|four|five)|(?:both|all(?: (?:two|three|four|five))?) of {THEY})"
    return re.sub(rf"(?<!{G} )(?<!are )(?<!were )\b{all_of}{ends}", every, text)


def _split(text: str) -> list[str]:
    """At punctuation and at words that start another statement."""
    subject = rf"(?=(?:(?:EVERY|NONE|ANY|only|neither|no|there|the|this|it|i|we)\b|{G}))"
    text = re.sub(r"[.,!;:()]+(?=\s|$)|[;:()—]|\.{2,}", " | ", text)
    text = re.sub(r"\b(?:but|however|though|although|whereas|yet(?! \||$)|and)\b", " | ", text)
    text = re.sub(rf"\b(?:while|because|since|as|so)\b {subject}", " | ", text)
    return [" ".join(part.split()) for part in text.split("|") if part.strip()]
