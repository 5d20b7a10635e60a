"""The start-up hook of `spantally run`: it starts us, hides nothing, and never hurts the program."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spantally.cli.run import bootstrap_directory, environment

HOOK = Path(bootstrap_directory()) / "sitecustomize.py"


def python(*arguments: str, direct: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with the hook, as a child of the run or (direct) as the run's own process."""
    environ = {**environment(os.environ, ledger=None, quiet=False), **variables}
    environ.pop("SPANTALLY_RUN_PID")
    if direct:
        program = (
            "import os, sys; os.environ['SPANTALLY_RUN_PID'] = str(os.getpid()); "
            "os.execv(sys.executable, sys.argv[1:])"
        )
        bare = [sys.executable, "-I", "-c", program, sys.executable, *arguments]
        return subprocess.run(bare, env=environ, capture_output=True, text=True, timeout=60)
    return subprocess.run(
        [sys.executable, *arguments], env=environ, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A directory whose `spantally` stands in for an installation in which something is wrong."""
    package = tmp_path / "stand_in" / "spantally"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('broken installation')\n")
    return package.parent


def test_hook_reads_as_any_python_3() -> None:
    """The file keeps to the syntax of old interpreters, which a user's command may start."""
    ast.parse(HOOK.read_text(encoding="utf-8"), feature_version=(3, 4))


def test_hidden_sitecustomize_runs(tmp_path: Path) -> None:
    """A `sitecustomize` further on the path runs, and is the module that the program sees."""
    (tmp_path / "sitecustomize.py").write_text("MARK = 'theirs'\n")
    search = os.pathsep.join([bootstrap_directory(), str(tmp_path)])
    done = python("-c", "import sitecustomize; print(sitecustomize.MARK)", PYTHONPATH=search)
    assert (done.returncode, done.stdout) == (0, "theirs\n")


def test_error_of_hidden_sitecustomize_is_its_own(tmp_path: Path) -> None:
    """Where theirs raises, Python says so as it does without us, and the program still runs."""
    (tmp_path / "sitecustomize.py").write_text("raise ZeroDivisionError('theirs')\n")
    search = os.pathsep.join([bootstrap_directory(), str(tmp_path)])
    done = python("-c", "print('runs')", PYTHONPATH=search)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert "ZeroDivisionError: theirs" in done.stderr


def test_program_sees_its_own_sys_path() -> None:
    """Our directory is gone from sys.path when the program starts."""
    done = python("-c", "import sys; print(*sys.path, sep='\\n')")
    assert bootstrap_directory() not in done.stdout.splitlines()


def test_children_start_us_too() -> None:
    """PYTHONPATH still leads to the hook, so that Python processes of the program are tallied."""
    done = python("-c", "import os; print(os.environ['PYTHONPATH'])")
    assert done.stdout.strip().split(os.pathsep)[0] == bootstrap_directory()


def test_spantally_is_started() -> None:
    """The api's start for a run was called before the program's first line."""
    done = python("-c", "import sys; print('spantally.api.runtime' in sys.modules)")
    assert done.stdout == "True\n"


def test_summary_belongs_to_one_process() -> None:
    """The first Python process prints the summary; the Python processes that it starts do not."""
    inner = "pass"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])"
    done = python("-c", outer)
    assert done.stderr.count("spantally: ") == 1


def test_launcher_does_not_start_us(tmp_path: Path) -> None:
    """A process that only becomes another one (opentelemetry-instrument) is left alone."""
    launcher = tmp_path / "opentelemetry-instrument"
    launcher.write_text("import sys; print('spantally' in sys.modules)")
    assert python(str(launcher)).stdout == "False\n"


def test_broken_installation_does_not_hurt(stand_in: Path) -> None:
    """Where spantally cannot be imported, the run's own process says so, its children stay silent."""
    search = os.pathsep.join([bootstrap_directory(), str(stand_in)])
    for direct in (True, False):
        done = python("-c", "print('runs')", direct=direct, PYTHONPATH=search)
        assert (done.returncode, done.stdout) == (0, "runs\n")
        assert ("nothing is tallied" in done.stderr) is direct


def test_failing_start_does_not_hurt(stand_in: Path) -> None:
    """Where our start raises, the program runs and one line says what does not."""
    (stand_in / "spantally" / "__init__.py").write_text("")
    (stand_in / "spantally" / "api").mkdir()
    (stand_in / "spantally" / "api" / "__init__.py").write_text("")
    (stand_in / "spantally" / "api" / "runtime.py").write_text(
        "def lend_provider(): pass\ndef activate_from_run(): raise KeyError('secret')\n"
    )
    search = os.pathsep.join([bootstrap_directory(), str(stand_in)])
    done = python("-c", "print('runs')", direct=True, PYTHONPATH=search)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert "KeyError" in done.stderr
    assert "secret" not in done.stderr


def test_configurator_that_fails_leaves_us_running() -> None:
    """With a piece of OpenTelemetry missing, its configurator gives up; our start comes after."""
    program = "import sys; print('spantally.api.runtime' in sys.modules)"
    done = python("-c", program, OTEL_TRACES_EXPORTER="no_such_exporter")
    assert (done.returncode, done.stdout) == (0, "True\n")


def test_under_opentelemetry_instrument_initialises_once(tmp_path: Path) -> None:
    """Behind OpenTelemetry's own hook ours starts no second round of instrumentation."""
    import opentelemetry.instrumentation.auto_instrumentation as auto

    search = os.pathsep.join([bootstrap_directory(), str(Path(auto.__file__).parent)])
    done = python("-c", "print('runs')", PYTHONPATH=search)
    assert (done.returncode, done.stdout) == (0, "runs\n")
    assert "already instrumented" not in done.stderr
    assert "not allowed" not in done.stderr
