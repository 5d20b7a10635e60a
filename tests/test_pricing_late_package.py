"""Loading the rates imports no HTTP client behind the program's back, and leaves genai_prices usable."""

from __future__ import annotations

import subprocess
import sys


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_loading_imports_no_http_client() -> None:
    """A half-imported httpx2 in sys.modules breaks calls of openai 2.x on other threads."""
    code = (
        "import sys; from spantally.pricing import load; assert load().providers;"
        "print([n for n in ('httpx', 'httpx2') if n in sys.modules])"
    )
    assert python(code) == "[]"


def test_the_program_still_gets_the_whole_package() -> None:
    """After our load, genai_prices works in every form of import, with the very types that we hold."""
    code = (
        "from spantally.pricing import load; table = load();"
        "from genai_prices import Usage, calc_price; import genai_prices;"
        "import genai_prices.data_snapshot; genai_prices.UpdatePrices; genai_prices.__version__;"
        "assert isinstance(table.providers[0], genai_prices.types.Provider);"
        "price = calc_price(Usage(input_tokens=1000), model_ref='gpt-4o', provider_id='openai');"
        "print(price.total_price, hasattr(genai_prices, 'nothing'), hasattr(genai_prices, '__getattr__'))"
    )
    assert python(code) == "0.0025 False False"


def test_a_package_that_is_there_is_left_alone() -> None:
    """Where the program imported genai_prices first, that module is used."""
    code = (
        "import genai_prices as theirs, sys; from spantally.pricing import load; load();"
        "print(sys.modules['genai_prices'] is theirs)"
    )
    assert python(code) == "True"
