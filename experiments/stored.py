# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a stored ``summary.json`` back, as far as figures need it, and refuses what is none."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agents.settings import Policy
from experiments.estimates import interval
from experiments.store import StoreError
from experiments.summary_document import SCHEMA

_TOLERANCE = 1e-6
"""Relative. Another machine's mathematics may differ in the last digits; an edit differs more."""
_Positive = Annotated[float, Field(gt=0)]
_Frequencies = dict[Annotated[str, Field(pattern=r"^-?[0-9]{1,9}$")], Annotated[int, Field(gt=0)]]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False)


class _Stat(_Model):
    mean: float
    ci95: tuple[float | None, float | None]
    samples: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> _Stat:
        expected = [math.fsum(self.samples) / len(self.samples), *(interval(self.samples) or (None, None))]
        for found, computed in zip((self.mean, *self.ci95), expected, strict=True):
            if found is None or computed is None:
                same = found is computed
            else:
                same = math.isclose(found, computed, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
            if not same:
                raise ValueError(f"{found} is not what the samples give, {computed}")
        return self


class _Cell(_Model):
    figure: int
    policy: Policy
    flows: int = Field(ge=1)
    direction: Literal["down", "up"]
    protocol: Literal["tcp", "udp"]
    goodput_mbps: _Stat | None
    ceiling_mbps: _Positive
    best_single_link_mbps: float | None


class _Summary(_Model):
    cells: list[_Cell]


class _LinkSeries(_Model):
    interval: _Positive
    warm_up: float = Field(ge=0)
    mbps: dict[str, list[float]]


class _Distribution(_Model):
    figure: int
    policy: Policy
    flows: int = Field(ge=1)
    n: int = Field(ge=0)
    received: int = Field(ge=0)
    extents: _Frequencies
    displacements: _Frequencies
    buffer_occupancy: _Frequencies
    link_series: _LinkSeries

    @model_validator(mode="after")
    def _check(self) -> _Distribution:
        for name, counted in (
            ("displacements", sum(self.displacements.values())),
            ("link_series", len({len(rates) for rates in self.link_series.mbps.values()})),
        ):
            expected = self.received if name == "displacements" else 1
            if counted != expected:
                raise ValueError(f"{name}: {counted}, expected {expected}")
        if sum(self.extents.values()) > self.received:
            raise ValueError("extents: more reordered packets than packets received")
        return self


class _Distributions(_Model):
    experiment: Literal["aggregate"]
    cells: list[_Distribution]


class _SignallingCell(_Model):
    bindings: int = Field(ge=1)
    renewal: Literal["individual", "bulk"]
    messages_per_hour: _Stat | None
    octets_per_hour: _Stat | None


class _SignallingSummary(_Model):
    experiment: Literal["signalling"]
    cells: list[_SignallingCell]


class _Outage(_Model):
    max: float = Field(ge=0)
    samples: list[Annotated[float, Field(ge=0)]] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> _Outage:
        if self.max != max(self.samples):
            raise ValueError(f"{self.max} is not the largest sample, {max(self.samples)}")
        return self


class _DisturbedCell(_Model):
    figure: int
    case: str = Field(pattern=r"^[a-z-]+$")
    policy: Policy
    direction: Literal["down", "up"]
    n: int
    outage_s: _Outage | None


class _DisturbedSummary(_Model):
    cells: list[_DisturbedCell]


class _AsymmetryCell(_Model):
    flows: int = Field(ge=1)
    ratio: int = Field(ge=1)
    spread_ms: int = Field(ge=0)
    gain: _Stat | None


class _AsymmetrySummary(_Model):
    experiment: Literal["asymmetry"]
    cells: list[_AsymmetryCell]


def read_asymmetry(folder: Path) -> dict[str, Any]:
    """The summary of an ``asymmetry`` result.

    :raises StoreError: naming the file and what is wrong with it.
    """
    return _read(folder / "summary.json", _AsymmetrySummary, "a summary of a result")


def experiment_of(folder: Path, known: tuple[str, ...]) -> str:
    """The experiment of the result in a folder.

    :raises StoreError: if it holds none, or one that is not ``known``.
    """
    document = _read(folder / "summary.json", _Model, "a summary of a result")
    name = document.get("experiment")
    if name not in known:
        raise StoreError(
            f"{folder / 'summary.json'}: is a result of {name!r}; what can be drawn is {', '.join(known)}"
        )
    return str(name)


def read_signalling(folder: Path) -> dict[str, Any]:
    """The summary of a ``signalling`` result.

    :raises StoreError: naming the file and what is wrong with it.
    """
    return _read(folder / "summary.json", _SignallingSummary, "a summary of a result")


def read_disturbed(folder: Path) -> dict[str, Any]:
    """The summary of a ``failover`` or ``handover`` result.

    :raises StoreError: naming the file and what is wrong with it.
    """
    return _read(folder / "summary.json", _DisturbedSummary, "a summary of a result")


def read_distributions(folder: Path) -> dict[str, Any]:
    """The ``distributions.json`` of a result folder.

    :raises StoreError: naming the file and what is wrong with it.
    """
    return _read(folder / "distributions.json", _Distributions, "what figures are drawn from")


def read_summary(folder: Path) -> dict[str, Any]:
    """The summary in a result folder.

    :raises StoreError: naming the file and what is wrong with it.
    """
    return _read(folder / "summary.json", _Summary, "a summary of a result")


def _read(source: Path, model: type[_Model], what: str) -> dict[str, Any]:
    try:
        text = source.read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text)
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise StoreError(f"{source}: has schema {schema}; this version reads schema {SCHEMA}")
        model.model_validate_json(text)
    except OSError as error:
        raise StoreError(f"{source}: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise StoreError(f"{source}: is not {what}: {key}: {said}") from None
    except RecursionError:
        raise StoreError(f"{source}: is nested too deeply") from None
    except StoreError:
        raise
    except ValueError as error:
        raise StoreError(f"{source}: is not {what}: {error}") from None
    return document
