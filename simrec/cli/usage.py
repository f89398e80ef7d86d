"""What is wrong with a command line, or with the files it names, in one sentence."""

import errno
import re
from difflib import get_close_matches
from typing import Any

import typer

from simrec.errors import nearest

# The class of every mistake in a command line; newer typers have a click of their own inside, so
# that this is the one name of it that all of them share.
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def usage_sentence(error: Any) -> str:
    """Return one sentence about a mistake in a command line.

    Args:
        error: A USAGE_ERROR. One that only says that help was shown gives "".
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        return ""
    if hasattr(error, "option_name"):
        return _option(error)
    if isinstance(error, typer.BadParameter):
        return _value(error) if error.message else _missing(error)
    path = error.ctx.command_path if error.ctx else "simrec"
    unknown = re.match(r"No such command (['\"])(.*?)\1(\.|$)", error.message)
    if unknown and error.ctx:
        commands = error.ctx.command.commands
        return f"'{path}' has no command '{unknown[2]}'; {nearest(unknown[2], commands)}"
    if error.ctx is None:
        return f"{_lower(error.message)}; see 'simrec --help'"
    pieces = " ".join(error.ctx.command.collect_usage_pieces(error.ctx))
    return f"'{path}' {_lower(error.message)}; expected '{path} {pieces}'"


def file_sentence(error: OSError) -> str:
    """Return one sentence about a file that cannot be read or written."""
    if error.errno == errno.ENOSPC:
        return (
            f"no space is left on the disk ({error}); make room and run the same command again: "
            "what is done is kept"
        )
    where = f"'{error.filename}'" if error.filename else "a file"
    return (
        f"cannot read or write {where} ({error.strerror or error}); expected a place that exists "
        "and that you may write to; name another, or mend its permissions"
    )


def _option(error: Any) -> str:
    """Return what is wrong with the use of an option."""
    name = error.option_name
    if error.ctx is None:  # the parser knows of no command here
        if "does not take" in error.message:
            return f"'{name}' got a value but takes none; write '{name}' alone"
        return f"'{name}' got no value; write one after it or leave it out"
    options = [
        option
        for parameter in error.ctx.command.get_params(error.ctx)
        if parameter.param_type_name == "option"
        for option in (*parameter.opts, *parameter.secondary_opts)
    ]
    # dashes are in every name and would make all of them alike
    close = get_close_matches(name.strip("-"), [o.strip("-") for o in options], n=1, cutoff=0.5)
    meant = [option for option in options if option.strip("-") in close]
    hint = nearest(meant[0] if meant else "", options)
    return f"'{error.ctx.command_path}' has no option {name!r}; {hint}"


def _value(error: Any) -> str:
    """Return what is wrong with the value of an option or an argument."""
    message = _lower(error.message)
    faults = error.__cause__.errors() if hasattr(error.__cause__, "errors") else []
    got = f"is {faults[0]['input']!r}" if faults else "is wrong"
    one_of = re.fullmatch(r"('.*') is not one of ('.*')", message)
    if one_of:
        got, choices = f"is {one_of[1]}", re.findall("'(.*?)'", one_of[2])
        message = nearest(one_of[1].strip("'"), choices)
    return f"{_named(error)} {got}; {message}"


def _missing(error: Any) -> str:
    """Return what was left out, and what it is."""
    told = getattr(error.param, "help", None)
    hint = f"expected {_lower(told)}" if told else f"see '{error.ctx.command_path} --help'"
    return f"{_named(error)} is missing; {hint}"


def _named(error: Any) -> str:
    """Return the name of what an error is about, and the command it belongs to."""
    is_option = error.param.param_type_name == "option"
    name = max(error.param.opts, key=len) if is_option else error.param.name
    return f"'{name}' of '{error.ctx.command_path}'"


def _lower(text: str) -> str:
    """Return a sentence as a part of another, on one line."""
    line = " ".join(text.split()).removeprefix("Value error, ")
    line = line if line.endswith("...") else line.removesuffix(".")
    return line[:1].lower() + line[1:]
