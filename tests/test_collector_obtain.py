"""tools/obtain.py: built once, found afterwards, and clear words where it cannot build."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from collector_kit import ROOT
from program_kit import environment

# Stands for go: notes each call, waits a moment, and writes the program that it is asked to build.
FAKE_GO = f"""#!{sys.executable}
import os, pathlib, sys, time
arguments = sys.argv[1:]
pathlib.Path(os.environ["CALLS"]).open("a").write(" ".join(arguments[:2]) + "\\n")
print("compiling something")
if os.environ.get("BREAK"):
    print("undefined: something")
    sys.exit(1)
if arguments[0] == "build":
    time.sleep(0.5)
    pathlib.Path(arguments[arguments.index("-o") + 1]).write_text("made " + arguments[-1])
"""


class Tools:
    """A copy of the script with programs of its own, and a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tools"
        self.calls = folder / "calls"
        self.go = folder / "go"
        self.go.write_text(FAKE_GO)
        self.go.chmod(self.go.stat().st_mode | stat.S_IXUSR)
        self.pin("one", "module one\n\ngo 1.25\n\ntool example.com/one/cmd/one\n")
        shutil.copy(ROOT / "tools" / "obtain.py", self.folder)
        self.values = {"GO": str(self.go), "CALLS": str(self.calls), "XDG_CACHE_HOME": str(folder / "cache")}

    def pin(self, name: str, modules: str, manifest: str | None = None) -> None:
        """Write the pins of a program."""
        place = self.folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "go.mod").write_text(modules)
        (place / "go.sum").write_text("")
        if manifest:
            (place / "builder.yaml").write_text(manifest)

    def start(self, *arguments: str, **values: str) -> subprocess.Popen[str]:
        """Start the script."""
        return subprocess.Popen(
            [sys.executable, str(self.folder / "obtain.py"), *arguments],
            env=environment(**{**self.values, **values}),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str, **values: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, what it printed and what it said."""
        process = self.start(*arguments, **values)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    @property
    def builds(self) -> int:
        """How often go was asked to build."""
        return self.calls.read_text().splitlines().count("build -v") if self.calls.exists() else 0


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    """The script on made-up programs."""
    if os.name != "posix":
        pytest.skip("the made-up go is a script")
    return Tools(tmp_path)


def test_it_builds_once_and_prints_the_path_alone(tools: Tools) -> None:
    """The second time nothing is built; standard output has the path, what goes on is said beside it."""
    code, out, err = tools.run("one")
    assert code == 0, err
    binary = Path(out.strip())
    assert binary.read_text() == "made example.com/one/cmd/one"
    assert "built in" in err
    assert tools.folder not in binary.parents
    assert tools.run("one") == (0, out, "")
    assert tools.run("--cached", "one") == (0, out, "")
    assert tools.builds == 1


def test_another_pin_is_another_binary(tools: Tools) -> None:
    """When go.mod changes, what was built before is not taken for it, and is still there."""
    _, before, _ = tools.run("one")
    tools.pin("one", "module one\n\ngo 1.26\n\ntool example.com/one/cmd/one\n")
    assert tools.run("--cached", "one")[0] == 3
    _, after, _ = tools.run("one")
    assert before != after
    assert Path(before.strip()).exists()


def test_two_that_ask_at_once_build_once(tools: Tools) -> None:
    """One builds, the other waits for it and gets the same."""
    first, second = tools.start("one"), tools.start("one")
    answers = {process.communicate(timeout=60)[0] for process in (first, second)}
    assert len(answers) == 1
    assert tools.builds == 1


def test_a_manifest_goes_through_the_builder_of_its_version(tools: Tools) -> None:
    """The main package is written by the collector's builder, which does not resolve modules anew."""
    tools.pin("two", "module two\n\ngo 1.25\n", "dist:\n  name: two\n  version: 0.155.0\n")
    code, out, err = tools.run("two")
    assert code == 0, err
    assert Path(out.strip()).read_text() == "made ."
    run = "run go.opentelemetry.io/collector/cmd/builder@v0.155.0"
    assert tools.calls.read_text().splitlines() == [run, "build -v"]


def test_without_go_it_says_what_is_missing(tools: Tools) -> None:
    """The exit code is 4, and the message names the version and what to do."""
    code, out, err = tools.run("one", GO="/nowhere/go")
    assert (code, out) == (4, "")
    assert "GO=/nowhere/go is no program that runs. Go 1.25 or newer is needed" in err


def test_what_is_not_built_names_the_command(tools: Tools) -> None:
    """--cached builds nothing: exit code 3, and the command that would."""
    code, out, err = tools.run("--cached", "one")
    assert (code, out) == (3, "")
    assert "make one" in err
    assert tools.builds == 0


def test_a_build_that_fails_shows_why_and_leaves_nothing(tools: Tools) -> None:
    """The last lines of go are shown, the exit code is 1, and the next try builds."""
    code, out, err = tools.run("one", BREAK="1")
    assert (code, out) == (1, "")
    assert "undefined: something" in err
    assert tools.run("--cached", "one")[0] == 3
    assert tools.run("one")[0] == 0


def test_a_name_that_is_not_there_is_refused(tools: Tools) -> None:
    """The exit code is 2, and the message lists the names."""
    code, _, err = tools.run("other")
    assert code == 2
    assert "one" in err


def test_makefile_has_a_target_for_each_pinned_program() -> None:
    """`make NAME` is what the reason of a skipped test says."""
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    listed = next(line for line in made.splitlines() if line.startswith("GO_TOOLS := ")).split()[2:]
    assert {path.parent.name for path in (ROOT / "tools").glob("*/go.mod")} <= set(listed)
