"""The English of presence answers: the closed grammar that ``parse_presence`` reads clauses with.

Clauses come lower-case, without contractions, and with persons as single characters (``presence_clauses``):
``G`` below. EVERY, NONE and ANY before it are "both .. and ..", "neither .. nor ..", ".. or ..". A rule must
match a whole clause. After a claim anything may follow that casts no doubt ("<tom> is here wearing red");
after a denial only words of place may, because "<tom> is not here with a hat" denies the hat.
"""

import re

G = "[\ue000-\uf8ff]"
PRONOUN = "[\uf8f0-\uf8ff]"

# Fragments start with a space when they are optional, and with a word otherwise.
_SURE = (
    "definitely|clearly|indeed|certainly|actually|also|plainly|distinctly|prominently|successfully|effectively|"
    "unmistakably|definitively|positively|undoubtedly|obviously|simply|just|all|both|each|readily|easily|briefly|"
    "still|now|currently|thoroughly|fully|completely|entirely|totally|absolutely|even"
)
_A = rf"(?: (?:{_SURE}))*"
_BEFORE_NOT = (
    r"(?: (?:definitely|clearly|indeed|certainly|actually|also|simply|undoubtedly|obviously|all|both))*"
)
_NOT = r" not(?: (?:anywhere|actually|currently))?"
_BE = r"(?:is|are|was|were|be|being|am)"
_CAN_BE = rf"(?:{_BE}|can be|could be|has been|have been)"
_AUX = r"(?:is|are|was|were|do|does|did|has|have|can)"
_NOUN = (
    r"(?:(?:video|photo|image) )?(?:video|footage|clip|recording|segment|sequence|scene|film|movie|image|"
    r"photo|picture|content|record|shot)s?"
)
_VIDEO = (
    r"(?:it|(?:(?:the|this|that|your|our|a|any|entire|whole|provided|given|uploaded|short|current) )*"
    rf"(?:{_NOUN}|screen))"
)
_PLACE = (
    r"(?:(?:in|on|within|inside|from|of|throughout|during|across) "
    r"(?:any (?:part|portion|frame|segment|scene|shot)s?(?: of " + _VIDEO + r")?|"
    r"(?:the )?(?:frame|screen|camera|view|sight)|"
    r"(?:the |these |those )?(?:(?:provided|given|uploaded|sampled|video) )*frames|" + _VIDEO + r"))"
)
_SEEN = (
    r"(?:(?:present|visible|here|there|shown|seen|found|detected|detectable|spotted|identified|identifiable|"
    r"recogni[sz]ed|recogni[sz]able|recorded|captured|featured|included|displayed|depicted|evident|documented|"
    r"well-documented|located|observed|noticed|contained)(?: or (?:present|visible|here|shown|seen|found))?)"
)
_STATE = rf"(?:{_SEEN}|{_PLACE})"
_APPEAR = (
    r"(?:appears?|appeared|exists?|existed|shows? up|showed up|features?|"
    r"makes? (?:an|any|a clear|a brief) appearance)"
)
_SEE = (
    r"(?:see|seen|saw|detect|detected|identify|identified|spot|spotted|find|found|recogni[sz]ed?|locate|located|"
    r"observed?|notice|noticed|discern|discerned|distinguish|make out|track|tracked|point out|match|matched)"
)
_SHOW = (
    r"(?:(?:contain|include|show|feature|display|capture|present|depict|record|document|reveal|demonstrate|"
    r"provide)(?:s|e?d)?|shown|has|have|had)"
)
_CONFIRM = r"(?:confirm|verify|affirm|report|state|confirms|confirmed|verified|reveals?|shows?|indicates?)"
_REVIEW = r"(?:(?:my|the|a|our)(?: \w+)? (?:analysis|review|examination|inspection|scan|check|search))"
_COUNT = r"(?:(?:any|single|clear|visible|complete|multiple|several|some|many|the|a|an) )*"
_OF = r" (?:of|by|with|containing|featuring|showing)"
# What is seen of somebody who is there; of somebody who is not, there is not even a hint.
_SIGHT = r"(?:presence|appearance|instance|sighting|glimpse|footage|shot|scene|evidence)s?"
_HINT = rf"(?:{_SIGHT}|(?:sign|trace|indication|occurrence|element|suggestion|hint)s?|part)"
_SEEN_OF = rf"(?:{_COUNT}{_SIGHT}{_OF} )"
_HINT_OF = rf"(?:{_COUNT}{_HINT}(?: or {_HINT})?(?: {_PLACE})?(?:{_OF}| that) )"
_I_CAN = (
    rf"(?:i|we|you)(?:{_A} (?:can|could|do|did|have|am able to|are able to|was able to|were able to))?{_A}"
)

# Whom a clause is about: the group ``g``; ``only`` says that it is nobody else.
_WHO = rf"(?P<only>only |just )?(?:EVERY )?(?P<g>{G})"
_WHOM = rf"(?P<only>only |just )?{_SEEN_OF}?(?:EVERY )?(?P<g>{G})(?: 's (?:presence|appearance))?"
_PRESENCE_OF_WHOM = rf"(?:{_SEEN_OF}(?:EVERY )?(?P<g>{G})|(?P<h>{G}) 's (?:presence|appearance))"
_NOT_WHO = rf"(?:EVERY |ANY )?(?P<g>{G})"  # "both .. are not here" denies both (paper, table 5)
_NOT_WHOM = rf"{_HINT_OF}?(?:any )?(?:ANY )?(?P<g>{G})(?: 's (?:presence|appearance))?"  # "not both": unclear

_T = r"(?P<tail>(?: (?!'s\b).*)?)"
_ANYWHERE = (
    rf"(?: (?:{_PLACE}|here|there|anywhere|at all|at any (?:point|time)|whatsoever|entirely|completely|"
    r"either|together|as well|to be (?:seen|found)))*"
)
_EVEN_ALL = rf"{_ANYWHERE}(?: from (?:all|every) (?:the )?frames?)?"

CLAIMS = (
    rf"{_WHO}{_A} {_BE}{_A} {_STATE}{_T}",
    rf"{_WHO}{_A} (?:has|have|had){_A} been{_A} {_SEEN}{_T}",
    rf"{_WHO}{_A} can{_A} be{_A} {_SEEN}{_T}",
    rf"{_WHO}(?:{_A} (?:do|does|did))?{_A} {_APPEAR}{_A}(?P<tail>(?: (?:in|on|at|within|here|there|multiple|"
    r"several|many|twice|once|throughout|alongside|together|with|near|next|beside|behind|during|from|wearing|"
    r"again)\b.*)?)",
    rf"{_VIDEO}(?:{_A} (?:do|does|did|has|have|can))?{_A} {_SHOW}{_A} {_WHOM}{_T}",
    rf"{_I_CAN} {_SEE}{_A} {_WHOM}{_T}",
    rf"(?:{_I_CAN}|{_REVIEW}|{_VIDEO}){_A} {_CONFIRM} {_PRESENCE_OF_WHOM}{_T}",
    rf"there {_BE}{_A} {_WHOM}{_T}",
    rf"(?:this|that|it|{PRONOUN})(?: {_PLACE})? (?:is|was){_A} (?P<g>{G}){_T}",
    rf"(?P<g>{G}) {_BE}{_A} (?P<only>the only (?:one|ones|person|people|individual|subject)){_T}",
    rf"(?:(?:there {_BE}|{_I_CAN} {_SEE}|{_VIDEO} {_SHOW}) )?(?P<only>NONE {G}{_ANYWHERE} except(?: for)?) "
    rf"(?:EVERY )?(?P<g>{G})(?: {_BE} {_STATE}| {_APPEAR})?{_ANYWHERE}",
)

DENIALS = (
    rf"{_NOT_WHO}{_BEFORE_NOT} {_BE}{_BEFORE_NOT}{_NOT} (?:{_STATE}|to be (?:seen|found)){_ANYWHERE}",
    rf"{_NOT_WHO}{_BEFORE_NOT} (?:has|have|had|can|could|will){_BEFORE_NOT}{_NOT} (?:be|been) "
    rf"{_SEEN}{_ANYWHERE}",
    rf"{_NOT_WHO}{_BEFORE_NOT} (?:do|does|did|will|can){_BEFORE_NOT}{_NOT} "
    rf"(?:{_APPEAR}|(?:seem|appear)(?: to be)? {_STATE}){_ANYWHERE}",
    rf"{_VIDEO}{_BEFORE_NOT} (?:do|does|did|has|have|can){_BEFORE_NOT}{_NOT} {_SHOW} {_NOT_WHOM}{_ANYWHERE}",
    rf"{_VIDEO}{_A} (?:lacks?|lacked|excludes?|excluded|omits?|omitted|(?:fails?|failed) to {_SHOW}) "
    rf"{_NOT_WHOM}{_ANYWHERE}",
    rf"{_VIDEO} (?:is|are|was|proceeds?){_A} (?:devoid of|free of|without|absent of|lacking|missing) "
    rf"{_NOT_WHOM}{_ANYWHERE}",
    rf"(?:i|we|you){_BEFORE_NOT} (?:can|could|do|did|have|am|are|was|were){_BEFORE_NOT}{_NOT} "
    rf"(?:able to )?{_SEE} {_NOT_WHOM}{_ANYWHERE}",
    rf"(?:i|we)(?: (?:am|are|was|were))?{_A} (?:unable|fail|failed) to {_SEE} {_NOT_WHOM}{_ANYWHERE}",
    rf"(?:(?:there {_BE}|{_I_CAN} {_SEE}|(?:{_VIDEO}|{_REVIEW}){_A} (?:{_SHOW}|bears?|holds?)){_A} )?"
    r"(?:absolutely )?(?:no|zero|not any|nothing (?:like|of|resembling|to suggest|to indicate)) "
    rf"{_NOT_WHOM}(?:{_A} {_CAN_BE}{_A} {_STATE}|{_A} {_APPEAR})?{_ANYWHERE}",
    rf"NONE (?P<g>{G}){_A} {_CAN_BE}{_A} {_STATE}{_ANYWHERE}",
    rf"NONE (?P<g>{G}){_A} {_APPEAR}{_ANYWHERE}",
    rf"(?:there {_BE}|{_I_CAN} {_SEE}|{_VIDEO}{_A} {_SHOW}){_A} NONE (?P<g>{G}){_ANYWHERE}",
    rf"(?:(?:there {_BE}|{_I_CAN} {_SEE}|{_VIDEO}{_A} {_SHOW}){_A} )?NONE {PRONOUN} (?:named|called) "
    rf"(?P<g>{G})(?:{_A} {_CAN_BE}{_A} {_STATE}|{_A} {_APPEAR})?{_ANYWHERE}",
    rf"{_NOT_WHO}(?:{_A} (?:{_BE}|remains?|remained|has been|have been))?{_A} "
    rf"(?:absent|missing|unseen|undetected|nowhere){_EVEN_ALL}",
    rf"(?:(?:{_I_CAN}|{_REVIEW}|{_VIDEO}){_A} (?:{_CONFIRM}|{_SHOW})|there is) "
    rf"(?:(?:the|a|complete|total) )*(?:absence|exclusion) of (?:any )?(?:ANY )?(?P<g>{G}){_ANYWHERE}",
    rf"{_I_CAN} rule out (?:the presence of )?(?:ANY )?(?P<g>{G}){_ANYWHERE}",
    r"(?:no|not a single|not one) (?:part|frame|scene|moment|portion|shot|segment)s?"
    rf"(?: (?:of|in) {_VIDEO})? {_SHOW} {_NOT_WHOM}{_ANYWHERE}",
    rf"it (?:do|does|did) not (?:look like|look as if|seem like|seem that|seem|appear that) {_NOT_WHO}{_A} "
    rf"(?:{_BE} {_STATE}|{_APPEAR}){_ANYWHERE}",
    rf"{_VIDEO} {_SHOW} everything except (?:EVERY )?(?P<g>{G})",
    rf"(?P<rest>everyone) except (?:for )?(?:EVERY )?(?P<g>{G}) {_BE} {_STATE}{_ANYWHERE}",
)

# Says again, or the opposite of, what was said before: "<tom> is here, but <ann> is not".
ECHOES = (
    rf"{_NOT_WHO}{_A} {_AUX}{_A}(?P<no> not)(?: (?:either|as well))?",
    rf"(?P<no>NONE) (?P<g>{G}) {_AUX}",
    rf"{_WHO}{_A} {_AUX}{_A}(?P<yes>)(?: (?:too|as well))?",
    rf"(?P<no>not|nor|neither)(?: (?:is|are|do|does|can))? (?:any )?(?:EVERY |ANY )?(?P<g>{G}){_ANYWHERE}",
    rf"(?:so|as) (?:is|are|do|does) (?:EVERY )?(?P<g>{G})",
)
# "it is not <tom>" and "it is somebody else" deny presence only where "no" was said.
_FIGURE = r"(?:man|woman|boy|girl|person|individual)"
AGREEMENTS = (
    rf"(?:this|that|it|{PRONOUN}|the {_FIGURE})(?: shown| seen)?(?: {_PLACE})? (?:is|was){_BEFORE_NOT} not "
    rf"(?P<g>{G})",
    rf"(?P<g>{PRONOUN})(?: shown| seen)?(?: {_PLACE})? (?:is|was){_A} "
    rf"(?:(?:a different|another) {_FIGURE}|(?:someone|somebody) else)",
)
# "yes, i can", "no, there is not"
REPLIES = r"(?:i|we|you|it|there)(?P<aux> (?:is|are|do|does|did|have|has|can|could))(?P<no> not)?"

# What may stand before a clause without changing what it says.
PREAMBLES = (
    r"(?:and|but|however|though|although|while|whereas|yet|so|therefore|thus|since|as|because|also|then|well|"
    r"with|that|indeed|in fact|overall|unfortunately|sadly) ",
    rf"(?:i|we){_A}(?: (?:can|could|have|do))?{_A} (?:confirm|confirmed|verify|verified|affirm|state|say|"
    r"report|conclude|determine|determined|assure you)(?: with (?:certainty|confidence))?(?: that)? ",
    r"(?:i|we)(?: can)? (?:see|observe|notice|find) that ",
    rf"{_REVIEW} {_CONFIRM}(?: that)? ",
    r"it is (?:clear|evident|certain|obvious) that ",
    rf"{_PLACE} ",
)

# In what is not understood, and after a claim, these leave open what is meant.
NEGATION = re.compile(
    r"\b(?:not|no|NONE|ANY|never|nor|neither|none|nothing|zero|0|hardly|barely|scarcely|lacks?|lacking|absent|"
    r"absence|missing|unseen|nowhere|excludes?|fails?|failed|unable|except|apart from|aside from|besides|"
    r"other than|false|wrong|incorrect|rather than|instead|everything)\b|"
    rf"\bwithout (?:any )?(?:EVERY |ANY )?{G}"
)
# What somebody seems to do is no doubt that they are there; that they seem to be missing is.
HEDGE = re.compile(
    r"\b(?!(?:appears?|seems?) to be (?!missing|lacking)\w+ing\b)"
    r"(?:thinks?|believes?|guess|suppose|assume|suspect|expect|hope|probably|possibly|presumably|perhaps|"
    r"maybe|might|may|must be|could (?:be|have)|likely|unlikely|seems?|seemed|appears? (?:to|as)|unsure|"
    r"uncertain|unclear|unknown|difficult|hard to|whether|if|unless|would|should|apparently|supposedly|"
    r"allegedly|hypothetical\w*|imagine|wonder|suggests?|almost|nearly|partly|sort of|kind of|or not|"
    r"resembl\w+|similar|looks? like|looking like|look-?alikes?|impersonat\w+|reminds?|someone like|"
    r"mention\w*|(?:photo|picture|poster|painting|portrait|drawing|image|voice|name|statue) of|"
    r"title|caption|description|subtitles?|credits|"
    r"(?:another|different|previous|earlier|reference|other|next|last) "
    r"(?:video|footage|clip|recording|image|photo|picture|scene)s?)\b|"
    rf"(?:^|{G}) 's (?!presence|appearance)"
)
# Takes back whatever else is said.
DOUBT = re.compile(
    r"\b(?:not (?:entirely |completely |really |quite |very )?(?:sure|certain|clear)|unsure|uncertain|maybe|"
    r"perhaps|unclear|i guess|think so|(?:hard|difficult|impossible) to (?:say|tell)|(?:can|could) not "
    r"(?:say|tell|determine|know|be sure|deny|rule out|exclude)\b(?! (?:what|where|how|who|why))|"
    r"or not|might not|may not|yes and no|"
    r"yes or no|i mean|just kidding|not true|is (?:false|wrong|a lie)|"
    r"not .*\btogether|"  # each of them may be there
    # another time than the clip's
    r"yesterday|tomorrow|ago|previously|formerly|earlier today|in the past|"
    r"(?:was|were|been) \w+ (?:before|earlier)|"
    r"(?:last|next) (?:night|week|weekend|month|year|time))\b|"
    r"^(?:(?:or )?i (?:think|believe|suppose|assume|hope)|not|false|wrong|incorrect|untrue)$"
)
# Somebody else who looks like a person asked about: no claim holds beside it, but a denial does.
LIKENESS = re.compile(
    rf"(?:there {_BE}|{_I_CAN} {_SEE}|{_VIDEO} {_SHOW})(?: only| just)?"
    r"(?: (?:a|an|another|some|other|young|old))*"
    r" (?:man|woman|boy|girl|child|person|people|men|women|someone|somebody)(?: else)?"
    rf" (?:(?:who|that) )?(?:looks?|looking|resembl\w+)(?: \w+)?(?: like)? {G}{_ANYWHERE}"
)
# "In the first second, <tom> is not here" leaves the rest of the clip open.
PARTIAL = re.compile(
    r"^(?:(?:in|at|on|for|during|from|over) (?:\S+ ){0,4}?(?:first|second|third|last|least|beginning|start|"
    r"end|half|some|most|times|seconds|minutes)\b|initially|sometimes|occasionally|until|when)"
)
PRESENCE = re.compile(
    rf"\b(?:{_SEEN}|{_SEE}|{_APPEAR}|in|absent|missing|unseen|presence|absence|except|apart from|aside from|"
    r"besides|other than)\b"
)
# Enough to tell English from other languages with a "no" of their own.
ENGLISH = re.compile(
    rf"\b(?:the|this|that|is|are|was|he|she|they|it|there|and|with|of|you|we|i|not|{_SURE}|{_SEEN})\b"
)
# Text about the task instead of an answer to it.
META = re.compile(
    r"\b(?:ignore|disregard|instructions?|prompts?|pretend|override|system|assistant|user|respond with|"
    r"reply with|repeat after|ground truth|you (?:must|should)|say (?:yes|no)|"
    r"answer (?:only|with|yes|no)|json)\b"
)
# Whole words of all of the above: plain names that are among them cannot be told from them.
_PATTERNS = (*CLAIMS, *DENIALS, *ECHOES, *PREAMBLES)
_REGEXES = (NEGATION, HEDGE, DOUBT, ENGLISH, META)
WORDS = frozenset(
    re.findall(r"(?<![a-z\])?])[a-z]{2,}", " ".join((*_PATTERNS, *(regex.pattern for regex in _REGEXES))))
)
