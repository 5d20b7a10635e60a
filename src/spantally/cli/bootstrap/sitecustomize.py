# ruff: noqa: INP001, UP032, UP036
"""Start-up hook of `spantally run`: Python imports it in every process whose PYTHONPATH leads here.

It starts spantally and then stands aside for a `sitecustomize` further on the path, which it hides. It
never raises into the program. Interpreters of any age may meet this file (a script that the user's command
starts), so it keeps to a syntax that all of Python 3 reads, and does nothing in those too old for us.

SPANTALLY_RUN_PID is the process that `spantally run` became: it alone says so where it cannot start us, so
that a program's own Python children write no line that nobody expects.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
LAUNCHERS = ("opentelemetry-instrument", "spantally")
SIGNALS = ("TRACES", "METRICS", "LOGS")


def _is_here(entry: str) -> bool:
    return os.path.abspath(entry or os.curdir) == HERE  # noqa: PTH100


def _chain() -> bool:
    """Import the `sitecustomize` that ours hides, as Python would have; True if it was OpenTelemetry's.

    Its errors are its own and are seen as they would be without us.
    """
    import importlib.machinery
    import importlib.util

    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return False
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop("sitecustomize", None)
        raise
    return "auto_instrumentation" in (spec.origin or "")


def _is_launcher() -> bool:
    """True in a process that only starts another one and would be tallied in vain."""
    script = getattr(sys, "orig_argv", [])[1:2]
    return any(os.path.basename(name) in LAUNCHERS for name in script)  # noqa: PTH119


def _say_absent(error: Exception) -> None:
    """Where the very program of `spantally run` cannot import us, say so: silence would look like 0 calls."""
    if os.environ.get("SPANTALLY_RUN_PID") != str(os.getpid()):
        return
    sys.stderr.write(
        "spantally run: spantally cannot start in {} ({}), so nothing is tallied; "
        "install spantally in that environment\n".format(sys.executable, error)
    )


def _start(instrumented: bool) -> None:
    """Start OpenTelemetry's auto-instrumentation, which brings us, and then us where that failed."""
    if sys.version_info < (3, 11):
        _say_absent(RuntimeError("it needs Python 3.11 or newer"))
        return
    try:
        from spantally.api.runtime import activate_from_run
    except Exception as error:
        _say_absent(error)
        return
    if not instrumented:
        try:
            from opentelemetry.instrumentation import auto_instrumentation

            if _exports_nothing():  # type: ignore[no-untyped-call]
                _initialize_lending(auto_instrumentation)  # type: ignore[no-untyped-call]
            else:
                auto_instrumentation.initialize()
        except Exception as error:
            from spantally.ground.guard import swallowed

            swallowed("cli.bootstrap.initialize", error)
    activate_from_run()


def _exports_nothing():  # type: ignore[no-untyped-def]
    """True where a configurator would only make providers without exporters, and take the program's place."""
    named = (
        "OTEL_CONFIG_FILE",
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        "OTEL_PYTHON_CONFIGURATOR",
        "OTEL_SDK_DISABLED",
    )
    if any(os.environ.get(name) for name in named):
        return False
    return all(os.environ.get("OTEL_" + signal + "_EXPORTER") == "none" for signal in SIGNALS)


def _initialize_lending(auto_instrumentation):  # type: ignore[no-untyped-def]
    """Start the instrumentors with a provider of ours, which steps aside for the program's own.

    A global provider of the configurator stays: the one that a program sets itself would be refused, and its
    spans, logs and metrics would go nowhere.
    """
    load = getattr(auto_instrumentation, "_load_configurators", None)
    if load is None:  # another OpenTelemetry: as ever
        auto_instrumentation.initialize()
        return
    from spantally.api.runtime import lend_provider

    auto_instrumentation._load_configurators = lend_provider
    try:
        auto_instrumentation.initialize()
    finally:
        auto_instrumentation._load_configurators = load


def _without_us(action, *arguments):  # type: ignore[no-untyped-def]
    """Run the start with PYTHONPATH free of us, so that a process started meanwhile does not start us too."""
    before = os.environ.get("PYTHONPATH")
    entries = [entry for entry in (before or "").split(os.pathsep) if entry and not _is_here(entry)]
    try:
        if entries:
            os.environ["PYTHONPATH"] = os.pathsep.join(entries)
        else:
            os.environ.pop("PYTHONPATH", None)
        action(*arguments)
    except Exception as error:
        _say_absent(RuntimeError(type(error).__name__))
    finally:
        current = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
        os.environ["PYTHONPATH"] = os.pathsep.join([HERE] + current)  # noqa: RUF005


sys.path[:] = [_entry for _entry in sys.path if not _is_here(_entry)]
_instrumented = False
try:
    _instrumented = _chain()
finally:
    if not _is_launcher():
        _without_us(_start, _instrumented)  # type: ignore[no-untyped-call]
