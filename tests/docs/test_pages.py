"""README and docs/: short pages, wrapped lines, links that resolve, no private words, options that exist."""

import re
import shlex
from pathlib import Path

import click
import pytest

from dasr import cli
from tests.docs import pages

WORDS_IN_ALL = 12_000
WORDS_A_PAGE = 1_500
WORDS_OF_README = 900
COLUMNS = 100

# Words that only those who wrote this code understand, and the field's.
PRIVATE = {
    r"set(s|ting)? aside": "rejected",
    r"anew": "again",
    r"rooms": "packages",
    r"ways?": "path, transport, how",
    r"the house": "dasr",
    r"(add_soon|take_ahead|lend|become)\(": "the public name",
    r"machine \d+": "the hardware",
    r"--share": "--local-batch",
    r"(it|they|who) (hears?|heard|told)": "recognised, published",
    r"(lives|life) of a learner": "incarnation",
}
PATH = re.compile(r"(README\.md|(dasr|tests|workflow|profiles|benchmarks|corpora|containers|docs)/[\w./-]*)")


def words(page: Path) -> int:
    """Without the bars and dashes of tables and lists."""
    return sum(bool(re.search(r"\w", word)) for word in page.read_text(encoding="utf-8").split())


def test_all_pages_together_have_at_most_12000_words() -> None:
    counts = {str(page.relative_to(pages.REPOSITORY)): words(page) for page in pages.written()}
    assert sum(counts.values()) <= WORDS_IN_ALL, counts


@pytest.mark.parametrize("page", pages.written(), ids=lambda page: page.name)
def test_a_page_is_short(page: Path) -> None:
    assert words(page) <= (WORDS_OF_README if page.name == "README.md" else WORDS_A_PAGE)


@pytest.mark.parametrize("page", pages.written(), ids=lambda page: page.name)
def test_lines_are_wrapped_unless_they_are_rows_of_a_table(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    long = [n for n, line in enumerate(lines, 1) if len(line) > COLUMNS and not line.startswith("|")]
    assert not long, f"{page.name}: lines {long} are longer than {COLUMNS}"


@pytest.mark.parametrize("page", pages.every(), ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", pages.prose(page)):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, heading = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        if place.parent == pages.DOCS / "reference":  # generated when the site is built
            continue
        assert place.exists(), f"{page.name} links to {target}"
        if heading and place.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading in anchors, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", pages.written(), ids=lambda page: page.name)
def test_no_page_uses_private_words(page: Path) -> None:
    text = re.sub(r"`[^`]*`", "", pages.prose(page))
    for word, better in PRIVATE.items():
        found = re.search(rf"(?i)(?<![\w-]){word}(?!\w)", text)
        assert not found, f"{page.name} says '{found[0]}': better {better}" if found else ""


@pytest.mark.parametrize("page", pages.written(), ids=lambda page: page.name)
def test_paths_of_the_repository_in_code_spans_exist(page: Path) -> None:
    for span in re.findall(r"`([^`\n]+)`", pages.prose(page)):
        if PATH.fullmatch(span):
            assert (pages.REPOSITORY / span).exists(), f"{page.name} names {span}"


def commands_named_in(page: Path) -> list[str]:
    """Every line of a shell block and every code span that begins with `dasr`."""
    shell = [block.text for block in pages.blocks(page) if block.language in ("bash", "console")]
    lines = "\n".join(shell).replace("\\\n", " ").splitlines()
    spans = re.findall(r"`(dasr [^`\n]+)`", pages.prose(page))
    return [part.strip() for line in [*lines, *spans] for part in re.split(r"&&|[;|]", line)]


@pytest.mark.parametrize("page", pages.written(), ids=lambda page: page.name)
def test_every_dasr_command_and_option_that_a_page_names_exists(page: Path) -> None:
    group = cli.dasr
    for line in commands_named_in(page):
        program, *arguments = shlex.split(line, comments=True) or [""]
        if program != "dasr" or arguments[:1] in (["--help"], ["<stage>"], ["<command>"]):
            continue
        context = click.Context(group)
        command = group.get_command(context, arguments[0])
        assert command is not None, line
        if isinstance(command, click.Group) and arguments[1:] and arguments[1] in command.commands:
            command = command.commands[arguments[1]]
        known = {
            name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)
        }
        used = {argument.partition("=")[0] for argument in arguments[1:] if re.match(r"--?[a-z]", argument)}
        assert used <= known | {"--help"}, f"{page.name}: {line}"
