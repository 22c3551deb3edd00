"""Pages of the site that are generated when it is built: reference/*.md, and the list of decision records."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))  # this checkout's dasr, installed or not


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the decision records and the notebook to the navigation."""
    for title, folder in (("Decisions", "decisions"), ("Notebook", "notebook")):
        pages = sorted(f"{folder}/{page.name}" for page in (DOCS / folder).glob("*.md"))
        if pages and config.nav is not None:
            config.nav.append({title: pages})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name, make in GENERATED.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def config_reference() -> str:
    """Every key of config.yaml, from its schema."""
    from dasr.config import SCHEMA

    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    lines = ["# config.yaml", "", "Generated from the schema. Keys that are left out have these defaults."]
    for name, section in schema["properties"].items():
        lines += ["", f"## {name}", "", *_section(section, schema)]
    return "\n".join(lines) + "\n"


def _section(section: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "properties" not in section:
        yield f"{section.get('description', '')} (default: `{section.get('default')}`)"
        return
    yield "| key | type and range | default | what |"
    yield "|---|---|---|---|"
    for key, value in _leaves("", section):
        default = f"`{value['default']}`" if "default" in value else "the preset's"
        yield f"| `{key}` | {_type(value)} | {default} | {value.get('description', '')} |"


def _leaves(prefix: str, section: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in section["properties"].items():
        if "properties" in value:
            yield from _leaves(f"{prefix}{key}.", value)
        else:
            yield prefix + key, value


def _type(value: Mapping[str, Any]) -> str:
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    kinds = value.get("type", "")
    text = ", ".join(kinds) if isinstance(kinds, list) else str(kinds)
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return " ".join([text, *(f"{sign} {value[key]}" for key, sign in bounds.items() if key in value)])


def commands_reference() -> str:
    """The help of every command."""
    from dasr.cli import COMMANDS, dasr

    lines = [
        "# Commands",
        "",
        "Generated from `dasr <command> --help`. Each rule of the workflow is one of them.",
    ]
    with click.Context(dasr, info_name="dasr") as context:
        for name in COMMANDS:
            command = dasr.get_command(context, name)
            assert command is not None
            with click.Context(command, info_name=f"dasr {name}", terminal_width=90) as inner:
                lines += ["", f"## dasr {name}", "", "```text", command.get_help(inner), "```"]
    return "\n".join(lines) + "\n"


def strategies_reference() -> str:
    """The options of every strategy, from its constructor."""
    from dasr.strategies import registry

    lines = ["# Strategy options", "", "Generated from the constructors; see [strategies](../strategies.md)."]
    for name in registry.names():
        options = registry.options(name)
        listed = ", ".join(f"`{key}: {value}`" for key, value in options.items()) or "none"
        lines += [
            "",
            f"## {name}",
            "",
            f"{registry.find(name).__doc__}",
            "",
            f"Options with defaults: {listed}.",
        ]
    return "\n".join(lines) + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "config": config_reference,
    "commands": commands_reference,
    "strategies": strategies_reference,
}
