# SPDX-License-Identifier: GPL-2.0-or-later
"""MkDocs hooks: what the documentation shows of the code is taken from the code.

In a page, ``<!-- settings: home_agent -->`` becomes the tables of all settings of that file, and
``<!-- file: PATH -->`` a file of the repository. Each command gets a page from its own options. Links that
leave ``docs/`` lead to a copy of the file in the site; a link to nothing is an error.
"""

from __future__ import annotations

import ast
import inspect
import logging
import os
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from enum import Enum
from pathlib import Path, PurePosixPath

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from agents import settings
from agents.settings import Model
from tools.commands import COMMANDS, Command

ROOT = Path(__file__).resolve().parents[1]
FILES: dict[str, type[Model]] = {
    "home_agent": settings.HomeAgentSettings,
    "foreign_agent": settings.ForeignAgentSettings,
    "mobile_node": settings.MobileNodeSettings,
}
"""The table of an agent's settings file, and its model."""
COPIED = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tools/README.md", "results/README.md")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")
_MARKER = re.compile(r"^<!-- (settings|file): (\S+) -->$", re.MULTILINE)
_LOG = logging.getLogger("mkdocs.hooks.site")


# --- settings


def _words_of_fields(model: type[Model]) -> dict[str, str]:
    """The string that follows each field in the source: what its author says of it."""
    words: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if not (issubclass(owner, Model) and owner is not Model):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, after in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                words[field.target.id] = " ".join(str(after.value.value).split())
    return words


def _inner(annotation: object) -> Iterator[object]:
    """The types a field's annotation is made of, outermost first."""
    yield annotation
    for argument in typing.get_args(annotation):
        if argument is not Ellipsis:
            yield from _inner(argument)


def _model_of(field: FieldInfo) -> type[Model] | None:
    """The model of a field that is a table, or an array of tables."""
    for part in _inner(field.annotation):
        if isinstance(part, type) and issubclass(part, Model):
            return part
    return None


def _kind(field: FieldInfo) -> str:
    """What may be written, for a person."""
    model = _model_of(field)
    many = typing.get_origin(field.annotation) in (tuple, frozenset)
    if model is not None:
        return "array of tables" if many else "table"
    choices: list[str] = []
    names: list[str] = []
    for part in _inner(field.annotation):
        if typing.get_origin(part) is typing.Literal:
            choices += [f"`{choice}`" for choice in typing.get_args(part)]
        elif isinstance(part, type) and issubclass(part, Enum):
            choices += [f"`{member.value}`" for member in part]
        elif isinstance(part, type) and part is not types.NoneType:
            names.append(
                {"int": "whole number", "float": "number", "bool": "`true`, `false`", "str": "text"}.get(
                    part.__name__,
                    {"IPv4Address": "address", "bytes": "hexadecimal"}.get(part.__name__, "path"),
                )
            )
    if choices:
        return ("list of " if many else "") + ", ".join(choices)
    kind = next((name for name in names if name != "path" or len(names) == 1), "text")
    return f"list of {kind}" if many else kind


def _limits(field: FieldInfo) -> str:
    signs = (
        (Ge, "ge", "≥"),
        (Gt, "gt", ">"),
        (Le, "le", "≤"),
        (MinLen, "min_length", "length ≥"),
        (MaxLen, "max_length", "length ≤"),
    )
    found = []
    for part in (field, *(p for p in _inner(field.annotation) if hasattr(p, "__metadata__"))):
        for limit in getattr(part, "metadata", getattr(part, "__metadata__", ())):
            for inside in (limit, *getattr(limit, "metadata", ())):
                found += [
                    f"{sign} {getattr(inside, name)}"
                    for kind, name, sign in signs
                    if isinstance(inside, kind)
                ]
    return ", ".join(dict.fromkeys(found))


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "**required**"
    if value is None or isinstance(value, Model) or value == ():
        return ""
    if isinstance(value, frozenset):
        return ", ".join(sorted(f"`{member.value}`" for member in value))
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return (
        f"`{value.value if isinstance(value, Enum) else list(value) if isinstance(value, tuple) else value}`"
    )


def settings_tables(name: str, model: type[Model], heading: str = "##") -> str:
    """Every key of a settings file: one table per table of the file, nested ones after their parent."""
    words = _words_of_fields(model)
    lines = [f"{heading} `{name}`", "", " ".join((inspect.getdoc(model) or "").split()), ""]
    lines += ["| key | what may be written | default | |", "|---|---|---|---|"]
    nested = []
    for key, field in model.model_fields.items():
        limits = _limits(field)
        kind = _kind(field) + (f"; {limits}" if limits else "")
        row = (f"`{key}`", kind, _default(field), words.get(key, ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
        inner = _model_of(field)
        if inner is not None:
            array = typing.get_origin(field.annotation) is tuple
            table = f"{name.strip('[]')}.{key}"
            nested.append((f"[[{table}]]" if array else f"[{table}]", inner))
    text = "\n".join(lines) + "\n"
    return "\n".join([text, *(settings_tables(table, inner, "##") for table, inner in nested)])


# --- commands


def command_page(command: Command) -> str:
    """A page made of the command's own help."""
    os.environ["COLUMNS"] = "100"  # argparse asks for the terminal's width
    lines = [
        f"# {command.name}",
        "",
        f"{command.purpose}.",
        "",
        *_help(" ".join(command.line), command.parser()),
    ]
    return "\n".join(lines) + "\n"


def _help(line: str, parser: object) -> list[str]:
    import argparse

    assert isinstance(parser, argparse.ArgumentParser)
    parser.prog = line
    lines = ["```", parser.format_help().rstrip(), "```", ""]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                lines += [f"## {line.split()[-1]} {name}", "", *_help(f"{line} {name}", inner)]
    return lines


# --- links and files of the repository


def site_path(path: str) -> str | None:
    """Where a file of the repository is in the site; None: it is not in it."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"repository/{path.replace('/', '-')}" if path in COPIED else None


def relink(markdown: str, source: str, target: str) -> str:
    """Make links that are right in the repository right in the site.

    :param source: the page's path in the repository.
    :param target: its path in the site.
    """

    def replace(match: re.Match[str]) -> str:
        path = os.path.normpath(PurePosixPath(source).parent / match[1])
        if path.startswith("docs/") and source.startswith("docs/"):
            return match[0]  # MkDocs checks it; the page may be a generated one
        if not (ROOT / path).exists():
            _LOG.warning("%s: the link to %s leads nowhere", source, match[1])
        there = site_path(path)
        if there is None:
            return f"] (`{path}`)"  # a file of the checkout: named, not linked
        return f"]({os.path.relpath(there, PurePosixPath(target).parent)}{match[2] or ''})"

    linked = _LINK.sub(replace, markdown)
    return re.sub(r"\[([^\]\n]*)\] \((`[^`]+`)\)", r"\1 (\2)", linked)


def _fill(match: re.Match[str]) -> str:
    kind, word = match.groups()
    if kind == "settings":
        return settings_tables(f"[{word}]", FILES[word])
    text = (ROOT / word).read_text()
    return f"```\n{text.rstrip()}\n```"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in ``docs`` is."""
    for command in COMMANDS:
        name = f"commands/{command.name.removesuffix('.py')}.md"
        files.append(File.generated(config, name, content=command_page(command)))
    for path in COPIED:
        name = f"repository/{path.replace('/', '-')}"
        files.append(File.generated(config, name, content=relink((ROOT / path).read_text(), path, name)))
    return files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the generated pages, and a page per experiment, into the navigation."""
    experiments = sorted(path.name for path in (ROOT / "docs" / "experiments").glob("*.md"))
    assert isinstance(config.nav, list)
    config.nav += [
        {"Experiments": [f"experiments/{name}" for name in experiments]},
        {"Commands": [f"commands/{command.name.removesuffix('.py')}.md" for command in COMMANDS]},
        {"Write your own": "write-your-own.md"},
        {"Virtual machine and container": ["vagrant.md", "container.md"]},
        {"Troubleshooting": "troubleshooting.md"},
        {"Design": "design.md"},
        {"Protocol": ["facts.md", "conformance.md"]},
        {"Repository": [f"repository/{path.replace('/', '-')}" for path in COPIED]},
    ]
    named = {Path(name).name for name in re.findall(r"[\w/-]+\.md", str(config.nav))}
    others = sorted(p.name for p in (ROOT / "docs").glob("*.md") if p.name not in named)
    if others:
        config.nav.append({"More": others})
    return config


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Fill in the markers of a page, and mend its links."""
    path = page.file.src_uri
    if path.startswith(("commands/", "repository/")):
        return markdown
    return _MARKER.sub(_fill, relink(markdown, f"docs/{path}", path))
