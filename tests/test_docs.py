"""Documentation cannot rot: it is generated, run, compared and followed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import click
import pytest

from spantally import pricing
from spantally.cli import exits
from spantally.cli.main import cli
from spantally.ground import settings
from spantally.ground.money import CostStatus
from spantally.ground.worker import GATHER_SECONDS, STEADY_SECONDS
from spantally.instrumentors.stainless.asking import DEFAULT_OUTPUT
from spantally.instrumentors.stainless.places import _OPEN_WEIGHTS_PORTS
from spantally.ledger.writer import MOST_KEPT
from spantally.pricing.rates import STOP_SECONDS
from spantally.testing import ScriptedServer
from spantally.testing.demo import PLANTED
from watching import Watched, attributes

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference.md"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        ROOT / "examples" / "README.md",
        ROOT / "collector-config" / "README.md",
        ROOT / "bench" / "README.md",
    ]
)
INTERNAL = {"SPANTALLY_RUN_PID", "SPANTALLY_SUMMARY_OWNER"}
"""Variables by which processes of ours talk to each other; no user sets them."""
OF_THE_TESTS = {"SPANTALLY_RECORDINGS"}
"""Told to the tests, and read by nothing of the package."""


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def blocks() -> tuple[Block, ...]:
    """Every fenced block of every page."""
    found = []
    for page in PAGES:
        info, start = "", 0
        lines: list[str] = []
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            if start and line == "```":
                found.append(Block(page, start, info, "\n".join(lines)))
                start, lines = 0, []
            elif start:
                lines.append(line)
            elif line.startswith("```"):
                info, start = line[3:].strip(), number
        assert not start, f"{page}: a block is not closed"
    return tuple(found)


def of(*infos: str) -> list[Block]:
    """Blocks with one of these info strings."""
    return [block for block in blocks() if block.info in infos]


def page_id(value: object) -> str:
    """A page or block as the id of a test."""
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


@cache
def generator() -> ModuleType:
    """docs/generate.py as a module."""
    sys.path.insert(0, str(DOCS))
    try:
        spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(DOCS))


# -- the reference ------------------------------------------------------------------------------------


def test_reference_is_what_the_code_says() -> None:
    """docs/reference.md is what docs/generate.py makes of the code; `make docs` makes it anew."""
    assert REFERENCE.read_text(encoding="utf-8") == generator().reference()


def test_every_attribute_name_is_documented() -> None:
    """docs/reference_texts.py says type, place and meaning of each attribute name in use, and of no other."""
    assert generator().undescribed() == []


def test_every_setting_is_documented() -> None:
    """Each option of the table has its line, with variable, allowed values and meaning."""
    text = REFERENCE.read_text(encoding="utf-8")
    for option in settings.OPTIONS:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{option.env}` |")]
        assert all(cell.strip() for cell in line.strip("|").split("|")), line


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command, and the group itself."""
    yield "spantally", cli
    for name, command in cli.commands.items():
        yield f"spantally {name}", command
        if isinstance(command, click.Group):
            yield from ((f"spantally {name} {one}", inner) for one, inner in command.commands.items())


@pytest.mark.parametrize(("name", "command"), list(commands()), ids=lambda value: str(value))
def test_every_command_and_option_is_documented(name: str, command: click.Command) -> None:
    """Each command has a section, and each option stands in it with a help text."""
    text = REFERENCE.read_text(encoding="utf-8")
    heading = "## Command line" if command is cli else f"### {name}"
    section = text.partition(f"\n{heading}\n")[2].partition("\n##")[0]
    assert command.help
    assert section
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} says nothing"
            assert any(option in section for option in parameter.opts), f"{name} {parameter.opts}"


def test_every_variable_of_the_code_is_documented() -> None:
    """Each SPANTALLY_ variable that the package names is told to the user, and the pages name no other."""
    variable = re.compile(r"\bSPANTALLY_[A-Z][A-Z_]*[A-Z]\b")
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    pages = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(variable.findall(source)) - INTERNAL == set(variable.findall(pages)) - OF_THE_TESTS


def test_attribute_types_are_those_of_exported_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attribute of the example's exported spans is in the table, on that span and of that type."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    watched = Watched(capture_content="span_only")
    assert pricing.load() is not None
    try:
        research_team = importlib.import_module("research_team")

        monkeypatch.setattr(sys, "argv", ["research_team.py"])
        research_team.main()
        spans = [(span.name.split()[0], attributes(span)) for span in watched.spans]
    finally:
        watched.close()
    made = generator()
    types = {
        "string": str,
        "string (JSON)": str,
        "int": int,
        "double": float,
        "boolean": bool,
        "string[]": list,
    }
    known = {made.names()[key]: row for key, row in made.ATTRIBUTES.items()}
    seen = set()
    for operation, found in spans:
        for name, value in found.items():
            if name.startswith(("http.", "url.")):
                continue
            shown = "inference" if operation == "chat" else operation
            key = "spantally.tag." if name.startswith("spantally.tag.") else name
            kind, place, _ = known[key]
            assert type(value) is types[kind], f"{name} of {operation}"
            if operation == "GET":
                assert place == "every", f"{name} on a span of an HTTP client"
            elif place not in ("every", "genai"):
                assert shown in re.findall(r"\w+", made.ON[place]), f"{name} on {operation}"
            seen.add(key)
    assert len(seen) > 30


# -- the pages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", of("python", "python run"), ids=page_id)
def test_python_blocks_compile(block: Block) -> None:
    """Each Python block is Python; a signature of the reference is one with `def` before it."""
    bare = re.sub(r"^[.\w]*[.]", "", block.text)
    text = f"def {bare}: ..." if block.page == REFERENCE else block.text
    compile(text, str(block), "exec")


@pytest.mark.parametrize("block", of("python run"), ids=page_id)
def test_python_blocks_run(block: Block, server: ScriptedServer, tmp_path: Path) -> None:
    """Each block that is marked so runs as it stands, without a warning, against the scripted server."""
    environ = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "unused"}
    environ["SPANTALLY_LEDGER"] = str(tmp_path / "ledger.db")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.text],
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def spantally_lines() -> list[tuple[str, list[str]]]:
    """Every ``$ spantally ...`` of the pages, as words."""
    found = []
    for block in blocks():
        if not block.info.startswith("console"):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True) if line.startswith("$ ") else []
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if words[:1] == ["spantally"]:
                end = next((at for at, word in enumerate(words) if word in ("<", ">", "|")), len(words))
                found.append((str(block), words[1:end]))
    return found


@pytest.mark.parametrize(("where", "words"), spantally_lines(), ids=lambda value: str(value))
def test_commands_of_the_pages_exist(where: str, words: list[str]) -> None:
    """Each command line that a page shows is accepted: command, options and values."""
    root = cli.make_context("spantally", list(words))
    with root:
        name, command, rest = cli.resolve_command(root, [*root._protected_args, *root.args])
        assert command is not None
        command.make_context(name, rest, parent=root)


@cache
def demo_ledger(folder: str) -> str:
    """A ledger with one run of the demo."""
    target = str(Path(folder) / "demo.db")
    run_cli("--ledger", target, "demo")
    return target


def run_cli(*words: str) -> str:
    """What a command prints on stdout."""
    environ = {**os.environ, "COLUMNS": "250"}
    done = subprocess.run(
        [sys.executable, "-m", "spantally.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        env=environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def normal(text: str) -> list[str]:
    """Lines without what differs from run to run: ids, times and the width of columns."""
    text = re.sub(r"research-[0-9a-f]{8}", "research-ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\b[\d.,]+ ?m?s\b", "DURATION", text)
    return [" ".join(line.split()) for line in text.strip().splitlines()]


@pytest.mark.parametrize("block", of("console demo"), ids=page_id)
def test_output_on_the_pages_is_real(block: Block, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each output that a page shows of the demo is what the command prints of the demo."""
    first, _, shown = block.text.partition("\n")
    words = shlex.split(first.removeprefix("$ spantally "))
    target = demo_ledger(str(tmp_path_factory.getbasetemp()))
    # In order of their text: the two researchers start at once, and either may be first.
    assert sorted(normal(run_cli("--ledger", target, *words))) == sorted(normal(shown))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_resolve(page: Path) -> None:
    """Each relative link leads to a file, and its anchor to a heading."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]*`", "", text) if "](" in text else text
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_pages_name_no_machine(page: Path) -> None:
    """No page holds a path of somebody's machine, nor a planted secret."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"(?:/home/|/root\b|/Users/|/tmp/|/work/|[A-Z]:\\)\S*", text) == []
    assert [name for name, secret in PLANTED.items() if secret in text] == []


def test_every_cost_status_is_explained() -> None:
    """The page on cost has a line for each status, and for no other."""
    text = (DOCS / "ledger-and-cost.md").read_text(encoding="utf-8")
    table = text.partition("| status |")[2].partition("\n\n")[0]
    found = set(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE))
    assert found == {*map(str, CostStatus), "partial:<part>"}


def test_figures_are_those_of_the_code() -> None:
    """The figures that the pages name for limits and windows are the constants of the code."""
    figures = {
        "how-it-works.md": f"for {GATHER_SECONDS} s when it was woken and for {STEADY_SECONDS} s",
        "decisions/0006-gather-window.md": f"{GATHER_SECONDS} s",
        "decisions/0001-price-loader-thread.md": f"at most {STOP_SECONDS:.0f} s",
        "decisions/0003-loopback-hosts.md": "Ollama (11434) and LM Studio (1234)",
        "ledger-and-cost.md": f"too many ({MOST_KEPT:,})",
        "troubleshooting.md": f"up to {MOST_KEPT:,} records",
        "budgets.md": f"{DEFAULT_OUTPUT:,} tokens where it names",
    }
    assert {11434, 1234} == _OPEN_WEIGHTS_PORTS
    for page, figure in figures.items():
        assert figure in " ".join((DOCS / page).read_text(encoding="utf-8").split()), page


def test_every_exit_code_is_explained() -> None:
    """The page on trouble has a line for each exit code of the command line."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    table = text.partition("| code |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    found = {int(code) for row in rows for code in re.findall(r"\d+", row)}
    codes = {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}
    assert found == codes


def test_the_index_names_every_decision() -> None:
    """docs/decisions/README.md links each file by its title and date, in order."""
    index = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    lines = []
    for number, page in enumerate(sorted((DOCS / "decisions").glob("[0-9]*.md")), 1):
        title, _, rest = page.read_text(encoding="utf-8").partition("\n")
        date = rest.strip().splitlines()[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", date), page
        assert title.startswith(f"# {number}. ")
        lines.append(f"| {number} | [{title.partition('. ')[2]}]({page.name}) | {date} |")
    assert [line for line in index.splitlines() if re.match(r"\| \d", line)] == lines


def test_every_page_can_be_reached() -> None:
    """From the README one comes to every page by links."""
    waiting, reached = [ROOT / "README.md"], set[Path]()
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        for link in re.findall(r"\]\(([^)\s#`]+)", page.read_text(encoding="utf-8")):
            target: Any = (page.parent / link).resolve()
            if target.is_file():
                waiting.append(target)
    assert set(PAGES) <= reached
