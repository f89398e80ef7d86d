"""A study file as plain keys and values, and what is wrong with it in one sentence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from simrec.errors import SimrecError, nearest
from simrec.settings import Section


class _Once(yaml.SafeLoader):
    """Reads YAML in which a key can be written once only; the usual reader keeps the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the keys and values of a node; raise where a key comes twice."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    problem = f"the key '{key_node.value}' is there twice"
                    raise yaml.constructor.ConstructorError(
                        None, None, problem, key_node.start_mark
                    )
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """Return what YAML text holds; raise yaml.YAMLError where it is none or repeats a key."""
    return yaml.load(text, _Once)


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
        content = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SimrecError(f"cannot read {path} ({error}); expected a YAML file") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: other encodings, impossible dates
        line = " ".join(str(error).split()).replace(' in "<unicode string>",', " in")
        raise SimrecError(f"{path} is not valid YAML: {line}; mend that line") from error
    if not isinstance(content, dict):
        held = "nothing" if content is None else _KINDS.get(type(content).__name__, "one value")
        raise SimrecError(f"{path} holds {held}; expected keys such as 'study:'")
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
        return key, read_yaml(value)
    except (yaml.YAMLError, ValueError) as error:
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
    found = error.errors()
    # A misspelt key first: where it was to be a required one, that one is missing as well.
    first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        section: Any = study
        for part in first["loc"][:-1]:
            section = _section_at(section, part)
        hint = nearest(str(first["loc"][-1]), section.model_fields)
        return f"{path}: unknown key '{place}'; {hint}"
    if first["type"] == "missing":
        return f"{path}: the key '{place}' is missing; add it"
    reason = _reason(first)
    return (
        f"{path}: '{place}' is {_shown(first['input'])}; {reason}"
        if place
        else (f"{path}: {reason}")
    )


_KINDS = {"list": "a list", "dict": "keys", "str": "one text"}
_REASONS = {  # in words of YAML where pydantic has Python's
    "tuple_type": "expected a list such as [{0}]",
    "model_type": "expected keys, each with a value",
    "model_attributes_type": "expected keys, each with a value",
    "dict_type": "expected keys, each with a value",
    "invalid_key": "expected a name in its place",
    "finite_number": "expected a finite number",
}


def _reason(error: Mapping[str, Any]) -> str:
    """Return what was expected."""
    given, kind = error["input"], error["type"]
    if kind in _REASONS:
        return _REASONS[kind].format(given if isinstance(given, str | int | float) else "a, b")
    if kind == "too_short":
        return f"expected a list of {error['ctx']['min_length']} or more"
    message = str(error["msg"])
    reason = (message[0].lower() + message[1:]).removeprefix("value error, ")
    if kind in ("int_parsing", "float_parsing") and _written_as_number(given):
        return f"{reason}; YAML reads this as text, write {float(given):.15g}"
    return reason


def _written_as_number(given: object) -> bool:
    """Whether a text would be a number in Python, as 1e5 is, which YAML 1.1 reads as text."""
    try:
        return isinstance(given, str) and abs(float(given)) < 1e15
    except ValueError:
        return False


def _shown(given: object) -> str:
    """Return a value as it might be written in the file."""
    return "empty" if given is None else repr(given)
