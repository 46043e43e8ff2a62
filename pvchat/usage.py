"""What was wrong with a command line or config, in one sentence of ours instead of a page of the parser's."""

import re

from pvchat.errors import UserError

_KEY = re.compile(r'Parser key "([^"]+)"')
_UNKNOWN = re.compile(r"unrecognized arguments: (.+)")
_OPTION = re.compile(r"Option '([^']+)' is not accepted")
_GROUP = re.compile(r"Group '([^']+)' does not accept option '([^']+)'")
_IMPORT = re.compile(
    r"(No module named '.+?'|module '.+?' has no attribute '.+?'"
    r"|Import path \S+ does not correspond to a subclass of \w+)"
)
_CLASS = re.compile(r"Expected a dot import path string: (.+?)(?:\. Got value:|\.?$)", re.M)
_TYPE = re.compile(r"Expected an? (.+?)\. Got value: (.+?)(?:\. Got value: .*)?$", re.M)
_UNION = re.compile(r"Subtypes: \[([^\n]+)\]$.*?^ *Given value: (.+?)(?:\. Got value: .*)?$", re.M | re.S)
_HELP = "pvchat fit --help lists all options, --print_config shows what is set."


def explain(message: str) -> str:
    """One sentence for a jsonargparse error: where; the rule; what we got."""
    where = ".".join(key for key in _KEY.findall(message) if key != "config")
    if found := _UNKNOWN.search(message):
        return f"unknown option {found[1]}: {_HELP}"
    if found := _IMPORT.search(message):
        return f"{where} must be a class that can be imported: {found[1]}."
    if found := _OPTION.search(message):
        return f"{where} has no option {found[1]!r}: {_HELP}"
    if found := _GROUP.search(message):
        return f"{found[1]} has no option {found[2]!r}: {_HELP}"
    if found := _CLASS.search(message):
        return f"{where} must be the path of a class, such as package.module.Class: got {found[1]}."
    for pattern in (_TYPE, _UNION):
        if found := pattern.search(message):
            return f"{where} must be {_readable(found[1])}: got {found[2]}."
    return " ".join(message.removeprefix('Parser key "config": ').split())


def user_error(error: BaseException | None) -> UserError | None:
    """The UserError that ``error`` is or was made from: jsonargparse wraps what constructors raise."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _readable(expected: str) -> str:
    """``<class 'int'>, <class 'NoneType'>`` -> ``int or null``."""
    text = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", expected)
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text).replace("NoneType", "null")
    return text if text.startswith("one of") else " or ".join(text.split(", "))
