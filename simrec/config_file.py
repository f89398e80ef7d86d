"""A study file as plain keys and values, and what is wrong with it in one sentence."""

from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from simrec.errors import SimrecError, nearest
from simrec.settings import Section


def read_study(path: Path, overrides: list[str]) -> dict[str, Any]:
    """Return what a file holds, with the overrides put in.

    Args:
        path: YAML file.
        overrides: "a.b=c" each; c is read as YAML.

    Raises:
        SimrecError: The file is not there, is no YAML of keys, or an override makes no sense.
    """
    if not path.is_file():
        shipped = sorted(p.name for p in Path(__file__).parent.glob("configs/*.yaml"))
        raise SimrecError(
            f"there is no study file {path}; expected a YAML file such as "
            f"{', '.join(f'configs/{name}' for name in shipped)}"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise SimrecError(f"{path} is not valid YAML: {line}; mend that line") from error
    if not isinstance(content, dict):
        raise SimrecError(f"{path} holds {type(content).__name__}; expected keys such as 'study:'")
    for override in overrides:
        _override(content, override)
    return content


def key_and_value(override: str) -> tuple[str, Any]:
    """Return the key and the value of a "KEY=VALUE"; the value is read as YAML.

    Raises:
        SimrecError: It has no key, no sign, or no valid value.
    """
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise SimrecError(f"--set got '{override}'; expected KEY=VALUE such as data.path=my/data")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SimrecError(f"--set {key}: '{value}' is not valid YAML; quote it") from error


def _override(content: dict[str, Any], override: str) -> None:
    key, value = key_and_value(override)
    *parents, last = key.split(".")
    section = content
    for parent in parents:
        section = section.setdefault(parent, {})
        if not isinstance(section, dict):
            raise SimrecError(f"--set {key}: '{parent}' is a value, not a section of the study")
    section[last] = value


def _section_at(section: Any, part: str | int) -> Any:
    """Return the class of a part of a section: its own, or that of an optional or listed one."""
    if isinstance(part, int):
        return section  # a place in a list of sections
    found: list[Any] = [section.model_fields[part].annotation]
    while not (isinstance(found[0], type) and issubclass(found[0], Section)):
        found = [*get_args(found.pop(0)), *found]
    return found[0]


def sentence(path: Path, error: ValidationError, study: type[BaseModel]) -> str:
    """Return one sentence about the first mistake of a study file.

    Args:
        path: The file.
        error: What was found wrong with it.
        study: What it should be, for the nearest valid name of a key.
    """
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        section: Any = study
        for part in first["loc"][:-1]:
            section = _section_at(section, part)
        hint = nearest(str(first["loc"][-1]), section.model_fields)
        return f"{path}: unknown key '{place}'; {hint}"
    if first["type"] == "missing":
        return f"{path}: the key '{place}' is missing; add it"
    reason = first["msg"][0].lower() + first["msg"][1:]
    if not place:
        return f"{path}: {reason.removeprefix('value error, ')}"
    return f"{path}: '{place}' is {first['input']!r}; {reason}"
