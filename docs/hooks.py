"""What the site's builder adds: the README as first page, reference/*.md, the pages of two folders."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))  # this checkout's dasr, installed or not


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the decision records and the notebook to the navigation."""
    assert config.nav is not None
    records = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    config.nav.append(
        {"Decisions": [f"decisions/{page.name}" for page in (DOCS / "decisions" / "README.md", *records)]}
    )
    notes = [page.name for page in sorted((DOCS / "notebook").glob("*.md"))]
    config.nav.append({"Notebook": [{_dated(name): f"notebook/{name}"} for name in notes]})
    return config


def _dated(name: str) -> str:
    """`2026-11-gpu.md`: gpu (2026-11)."""
    year, month, what = name.removesuffix(".md").split("-", 2)
    return f"{what} ({year}-{month})"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "index.md", content=front_page()))
    for name, make in GENERATED.items():
        files.append(File.generated(config, f"reference/{name}.md", content=make()))
    return files


def front_page() -> str:
    """The README, with its links as they are from docs/; what is not on the site is named, not linked."""
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    return re.sub(r"\[([^\]]+)\]\((?!https?:)(?=[A-Z]+\.md)[^)]+\)", r"`\1`", text)


def config_reference() -> str:
    """Every key of config.yaml, from its model."""
    from dasr.config import MODELS, TRAININGS, Config

    schema = Config.model_json_schema()
    lines = ["# config.yaml", "", "Generated from `dasr/config.py`. A key that is left out has its default."]
    for name, section in schema["properties"].items():
        section = _resolved(section, schema)
        described = str(section.get("description", "")).split("\n\n")[0]
        if "properties" not in section:
            lines += ["", f"## {name}", "", f"{described} (default: `{_shown(section.get('default'))}`)"]
            continue
        presets = MODELS if name == "model" else TRAININGS if name == "training" else {}
        head = ["key", "type and range", *(presets or ["default"]), "what"]
        lines += ["", f"## {name}", "", described, "", _row(head), _row(["---"] * len(head))]
        for key, value in _leaves("", section, schema):
            given = [_of(preset, key) for preset in presets.values()] or [value.get("default")]
            values = [f"`{_shown(one)}`" for one in given]
            if presets and not hasattr(next(iter(presets.values())), key.split(".")[0]):  # the preset's name
                values = [f"`{_shown(value.get('default'))}`"] * len(presets)
            lines.append(_row([f"`{key}`", _type(value), *values, str(value.get("description", ""))]))
    return "\n".join(lines) + "\n"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _of(preset: object, key: str) -> object:
    """The value at a dotted key."""
    for part in key.split("."):
        preset = getattr(preset, part, None)
    return preset


def _resolved(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """`value`, with what its $ref stands for."""
    if "$ref" not in value:
        return value
    return {**schema["$defs"][value["$ref"].rpartition("/")[2]], **value}


def _leaves(
    prefix: str, section: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in section["properties"].items():
        value = _resolved(value, schema)
        if "properties" in value:
            yield from _leaves(f"{prefix}{key}.", value, schema)
        else:
            yield prefix + key, value


def _type(value: Mapping[str, Any]) -> str:
    """`integer, 1 or more`; choices; what a list holds."""
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"])
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}"
    kind = value.get("type", "any")
    text = " or ".join(kind) if isinstance(kind, list) else str(kind)
    bounds = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join([text, *(f"{word} {value[key]}" for key, word in bounds.items() if key in value)])


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
    """Equation, papers and options of every strategy, from its file."""
    from dasr.strategies import registry

    lines = [
        "# Strategies, one by one",
        "",
        "Generated from `dasr/strategies/`; see [strategies](../strategies.md).",
    ]
    for name in registry.names():
        options, sources = registry.options(name), registry.sources(name)
        found = registry.find(name)
        described = [sys.modules[found.__module__].__doc__, found.__init__.__doc__]
        lines += ["", f"## {name}", ""]
        for text in described if "__init__" in vars(found) else described[:1]:
            lines += [inspect.cleandoc(text), ""] if text else []
        lines += [_row(["option", "default", "from"]), _row(["---"] * 3)] if options else ["No options."]
        for key, option in options.items():
            lines.append(_row([f"`{key}`", f"`{_shown(option.default)}`", sources[key]]))
    return "\n".join(lines) + "\n"


PARTNERS = {
    "ring": "left and right neighbour",
    "random-ring": "the same on a ring shuffled each round",
    "random-pairs": "one partner, drawn each round",
    "exponential": "those 1, 2, 4, ... away, in turn",
    "uniform": "everyone",
}


def mixing_reference() -> str:
    """What each mixing leaves of the distance between learners, computed from its matrices."""
    from dasr.strategies.parts.topology import KINDS, Mixing

    sizes = (4, 8, 16, 32, 64)
    lines = [
        "# Mixing",
        "",
        "Generated from `dasr/strategies/parts/topology.py`. The option `mixing` of `sd`, `ad`, `h-ad` and "
        "`gossip-pga`, and what is left of the squared consensus distance of L learners after one round: "
        "lambda_2 of E[T'T]; smaller is better.",
        "",
        _row(["mixing", "partners", *(f"L = {size}" for size in sizes)]),
        _row(["---"] * (2 + len(sizes))),
    ]
    assert set(PARTNERS) == set(KINDS)
    for kind, partners in PARTNERS.items():
        left = [Mixing(kind, tuple(range(size))).contraction() for size in sizes]
        lines.append(_row([f"`{kind}`", partners, *(f"{max(0.0, value):.3f}" for value in left)]))
    return "\n".join(lines) + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "config": config_reference,
    "commands": commands_reference,
    "strategies": strategies_reference,
    "mixing": mixing_reference,
}
