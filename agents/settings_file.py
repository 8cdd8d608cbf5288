# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads an agent's TOML file: every problem at once, each with its file, key and what is allowed."""

from __future__ import annotations

import shlex
import stat
import tomllib
from pathlib import Path as FilePath
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from agents.settings import ForeignAgentSettings, HomeAgentSettings, MobileNodeSettings, Model


class SettingsError(ValueError):
    """A settings file that cannot be used; one line per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


_OTHERS = stat.S_IRWXG | stat.S_IRWXO
AgentSettings = TypeVar("AgentSettings", bound=Model)
_TABLE: dict[type[Model], str] = {
    HomeAgentSettings: "home_agent",
    ForeignAgentSettings: "foreign_agent",
    MobileNodeSettings: "mobile_node",
}


def _allowed_keys(kind: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """The keys of the table at ``place``, which leads through ``kind`` and the tables in it."""
    for key in place:
        if isinstance(key, str):
            annotation: Any = kind.model_fields[key].annotation
            kind = next(iter(get_args(annotation)), annotation)  # of a tuple: what its items are
    return ", ".join(sorted(kind.model_fields))


def load(path: FilePath, kind: type[AgentSettings]) -> AgentSettings:
    """Read the settings of one agent from a TOML file.

    :raises SettingsError: with one line per problem, each naming file, key and what is allowed.
    """
    table = _TABLE[kind]
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise SettingsError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{path}: is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{path}: is not TOML: {error}"]) from None
    except RecursionError:
        raise SettingsError([f"{path}: is nested too deeply"]) from None
    problems = [f"{path}: [{key}] is unknown; allowed: [{table}]" for key in document if key != table]
    if mode & _OTHERS:
        problems.insert(
            0,
            f"{path}: holds keys and its mode is {mode:04o}, open to others; "
            f"mend it with: chmod 600 {shlex.quote(str(path))}",
        )
    if table not in document:
        raise SettingsError([*problems, f"{path}: [{table}] is missing"])
    try:
        settings = kind.model_validate(document[table])
    except ValidationError as error:
        items = error.errors()
        bad = [item["loc"] for item in items]
        for item in items:
            inside = [place for place in bad if len(place) > len(item["loc"])]
            if item["type"] == "too_short" and any(item["loc"] == p[: len(item["loc"])] for p in inside):
                continue  # its items stand there and are bad, each with a line of its own
            key = ".".join(str(part) for part in (table, *item["loc"]))
            said = item["msg"].removeprefix("Value error, ")
            if item["type"] == "extra_forbidden":
                said = f"is unknown; allowed: {_allowed_keys(kind, item['loc'][:-1])}"
            problems += [f"{path}: {key}: {line}" for line in said.splitlines()]
        raise SettingsError(problems) from None
    if problems:
        raise SettingsError(problems)
    return settings
