"""Price data that was downloaded: checked as a whole, switched to in one step, and gone back from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from price_data import published
from spantally.pricing import downloads, rates
from spantally.pricing.downloads import PriceDataError, history, install, parsed, undo

TESTS = Path(__file__).parent
URL = "https://prices.example.org/data.json"


def own() -> tuple[object, ...]:
    """The providers of the package."""
    table = rates.load()
    assert table is not None
    return table.providers


def test_the_published_form_is_read_to_the_digit() -> None:
    """Every model has the prices that the package has, and a decimal is the one that is written."""
    found = parsed(published(gpt_4o="2.300000000000000000000001"))
    changed = [
        new.id
        for mine, theirs in zip(own(), found, strict=True)
        for old, new in zip(mine.models, theirs.models, strict=True)  # type: ignore[attr-defined]
        if old != new
    ]
    assert changed == ["gpt-4o"]
    openai = next(one for one in found if one.id == "openai")
    price = next(one for one in openai.models if one.id == "gpt-4o").prices.input_mtok
    assert str(price) == "2.300000000000000000000001"


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "a page": lambda _: b"<html>captive portal</html>",
    "half": lambda content: content[: len(content) // 2],
    "an object": lambda _: b'{"prices": []}',
    "an empty list": lambda _: b"[]",
    "other objects": lambda _: b'[{"id": "openai"}]',
    "a few models": lambda content: json.dumps(json.loads(content)[:5]).encode(),
    "a negative price": lambda content: content.replace(b'"input_mtok": 2.5', b'"input_mtok": -2.5', 1),
    "no number": lambda content: content.replace(b'"input_mtok": 2.5', b'"input_mtok": NaN', 1),
    "a text": lambda content: content.replace(b'"input_mtok": 2.5', b'"input_mtok": "cheap"', 1),
    "bytes": lambda _: b"\xff\xfe\x00",
    "a deep nest": lambda _: b"[" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_table_changes_nothing(name: str) -> None:
    """Whatever it is, what was in force is in force still, with the very same files."""
    first, _ = install(published(gpt_4o="2.1"), URL, "1.0", own())
    before = {path.name: path.read_bytes() for path in downloads.folder().iterdir()}
    with pytest.raises(PriceDataError):
        install(BROKEN[name](published()), URL, "1.0", own())
    assert {path.name: path.read_bytes() for path in downloads.folder().iterdir()} == before
    assert history() == [first]


def test_a_write_that_fails_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small file that says what is in force is replaced last, as a whole."""
    first, _ = install(published(gpt_4o="2.1"), URL, "1.0", own())
    real = os.replace

    def full(source: str, target: Path) -> None:
        if Path(target).name == "current.json":
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(PriceDataError, match="cannot be written: No space left"):
        install(published(gpt_4o="2.2"), URL, "1.0", own())
    assert history() == [first]
    assert not [path for path in downloads.folder().iterdir() if path.name.startswith(".new")]


def test_undo_goes_back_step_by_step() -> None:
    """To the table before, at last to the package's own; then there is nothing left, no file either."""
    made = [install(published(gpt_4o=f"2.{step}"), URL, "1.0", own())[0] for step in range(1, 9)]
    assert history() == made[:-7:-1]  # the newest and five before it
    assert len(list(downloads.folder().glob("*.json"))) == 7
    assert [undo() for _ in range(6)] == [*made[-2:-7:-1], None]
    assert list(downloads.folder().iterdir()) == []
    with pytest.raises(PriceDataError, match="no update is in force"):
        undo()


def test_the_same_data_twice_is_one_update() -> None:
    """Asking again when there is nothing new leaves one step to go back."""
    content = published(gpt_4o="2.1")
    first, changed = install(content, URL, "1.0", own())
    assert (install(content, URL, "1.0", own()), changed) == ((first, False), True)
    assert history() == [first]


def run(program: str, **environ: str) -> str:
    """What a fresh interpreter writes on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=TESTS,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


PROGRAM = """
    from pricing_records import chat, record
    from spantally.pricing.rate import rate
    found = rate(record("gpt-4o", chat(10, 10)))
    assert found.nano_usd == 10 * {input} + 10 * 10_000, found
    assert found.source == "{source}", found
"""


def test_programs_that_start_later_use_it() -> None:
    """And each row says so: version of the package, day and hash of the data."""
    package = rates.version_of_package()
    made, _ = install(published(gpt_4o="2.1"), URL, package, own())
    assert made.source == f"genai-prices {package}+data {made.day} ({made.sha256[:8]})"
    assert run(PROGRAM.format(input="2_100", source=made.source)) == ""
    undo()
    assert run(PROGRAM.format(input="2_500", source=f"genai-prices {package}")) == ""


def test_a_newer_package_brings_newer_data() -> None:
    """What was downloaded for another version of it is not used, and is again once that is installed."""
    install(published(gpt_4o="2.1"), URL, "0.0.1", own())
    package = rates.version_of_package()
    assert run(PROGRAM.format(input="2_500", source=f"genai-prices {package}")) == ""
    assert downloads.in_force(package) is None
    assert downloads.in_force("0.0.1") is not None


@pytest.mark.parametrize("damage", ["data changed", "data gone", "no JSON", "other JSON"])
def test_what_was_damaged_since_is_not_used(damage: str) -> None:
    """The package's own data is, with one line that says what to do."""
    package = rates.version_of_package()
    made, _ = install(published(gpt_4o="2.1"), URL, package, own())
    data = downloads.folder() / f"{made.sha256}.json"
    if damage == "data changed":
        data.write_bytes(data.read_bytes().replace(b"2.1", b"0.1"))
    elif damage == "data gone":
        data.unlink()
    else:
        (downloads.folder() / "current.json").write_text("{" if damage == "no JSON" else '[{"a": 1}]')
    said = run(PROGRAM.format(input="2_500", source=f"genai-prices {package}")).strip().splitlines()
    assert len(said) == 2
    assert "pricing.downloaded failed" in said[0]
    assert "spantally prices update, or prices update --undo" in said[1]


def test_nothing_is_downloaded_at_start() -> None:
    """Loading the table opens no connection and imports no HTTP client."""
    install(published(gpt_4o="2.1"), URL, rates.version_of_package(), own())
    said = run(
        """
        import sys
        def no_network(event, args):
            assert not event.startswith("socket."), event
        sys.addaudithook(no_network)
        from spantally.pricing import rates
        assert "+data" in rates.load().source
        assert not {"httpx", "httpx2", "urllib.request", "http.client"} & set(sys.modules)
        """
    )
    assert said == ""


def test_overrides_stand_beside_downloaded_data(tmp_path: Path) -> None:
    """A factor is one on the rates in force."""
    made, _ = install(published(gpt_4o="2.1"), URL, rates.version_of_package(), own())
    path = tmp_path / "spantally.toml"
    path.write_text('[[rate]]\nprovider = "openai"\nmultiplier = 0.5\n')
    said = run(
        f"""
        from pricing_records import chat, record
        from spantally.pricing.rate import rate
        found = rate(record("gpt-4o", chat(10, 10)))
        assert found.nano_usd == 5 * 2_100 + 5 * 10_000, found
        assert found.source.endswith(" on {made.source}"), found
        """,
        SPANTALLY_CONFIG=str(path),
    )
    assert said == ""
