"""What the sections of a study file share: a strict base, ranges of numbers and a device."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values; raise ValueError where one is listed twice."""
    if len(set(values)) < len(values):
        raise ValueError("each can be listed once only, remove the others")
    return values


Names = Annotated[tuple[str, ...], AfterValidator(distinct)]


def _a_device(name: str) -> str:
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", name) is None:
        raise ValueError("expected auto, cpu, cuda or cuda:N")
    return name


Device = Annotated[str, AfterValidator(_a_device)]


class Section(BaseModel):
    """A part of a study file; unknown keys are errors, numbers are finite, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
