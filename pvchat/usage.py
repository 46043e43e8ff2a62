"""What was wrong with a command line or config, in one sentence of ours instead of a page of the parser's."""

import re

from pvchat.errors import UserError

_KEY = re.compile(r'Parser key "([^"]+)"')
_UNKNOWN = re.compile(r"unrecognized arguments: (.+)")
_OPTION = re.compile(r"Option '([^']+)' is not accepted")
_GROUP = re.compile(r"(?:Group|Subcommand) '([^']+)' does not accept option '([^']+)'")
_IMPORT = re.compile(
    r"(No module named '.+?'|module '.+?' has no attribute '.+?'"
    r"|Import path \S+ does not (?:correspond to a subclass of|implement protocol) \w+)"
)
_ABSTRACT = re.compile(r"Expected an instantiatable class, but (\S+) is")
_NO_CLASS = re.compile(r"Not a valid subclass of (\w+)\. Got value: (.+)")
_NO_GROUP = re.compile(r"argument after \*\* must be a mapping, not (\w+)")
_VARIABLE = re.compile(r'raised while resolving interpolation: "(.+?)"\s+full_key: (\S+)')
_CLASS = re.compile(r"Expected a dot import path string: (.+?)(?:\. Got value:|\.?$)", re.M)
_TYPE = re.compile(r"Expected an? (.+?)\. Got value: ?(.*?)(?:\. Got value: .*)?$", re.M)
_UNION = re.compile(  # the innermost: the outer ones hold a whole class
    r"Subtypes: \[([^\n]+)\]$(?:(?!Subtypes:).)*?^ *Given value: (.+?)(?:\. Got value: .*)?$", re.M | re.S
)
_ADVICE = "pvchat fit --help lists all options, --print_config shows what is set."


def explain(message: str, *, advice: str = _ADVICE) -> str:
    """One sentence for a jsonargparse error: where; the rule; what we got. ``advice`` where to look."""
    where = ".".join(key for key in _KEY.findall(message) if key != "config")
    if found := _UNKNOWN.search(message):
        return f"unknown option {found[1]}: {advice}"
    if found := _IMPORT.search(message):
        return f"{where} must be a class that can be imported: {found[1]}."
    if found := _OPTION.search(message):
        option = f"{where} has no option" if where else "unknown option"
        return f"{option} {found[1]!r}: {advice}"
    if found := _GROUP.search(message):
        return f"{found[1]} has no option {found[2]!r}: {advice}"
    if found := _CLASS.search(message):
        return f"{where} must be the path of a class, such as package.module.Class: got {found[1]}."
    if found := _ABSTRACT.search(message):
        role = found[1].rpartition(".")[2]
        return f"{where} must say with class_path which {role} it is: got options only."
    if found := _NO_CLASS.search(message):
        return f"{where} must be {_a(found[1])} with its options: got {found[2]}."
    if found := _NO_GROUP.search(message):
        return f"a group of options must name each of them: got {_a(found[1])} in place of one. {advice}"
    if found := _VARIABLE.search(message):
        return f"{found[2]} must be filled in: {found[1]}."
    for pattern in (_TYPE, _UNION):
        if found := pattern.search(message):
            return f"{where} must be {_readable(found[1])}: got {found[2] or 'nothing'}."
    return " ".join(message.removeprefix('Parser key "config": ').split())


def user_error(error: BaseException | None) -> UserError | None:
    """The UserError that ``error`` is or was made from: jsonargparse wraps what constructors raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiouAEIOU' else 'a'} {noun}"


def _readable(expected: str) -> str:
    """``<class 'int'>, <class 'NoneType'>`` -> ``int or null``."""
    text = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", expected)
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).replace("NoneType", "null")
    return text if text.startswith("one of") else " or ".join(text.split(", "))
