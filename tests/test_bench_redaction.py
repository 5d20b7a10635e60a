"""The bench of redaction: its corpus is the same for the same seed, and its judge sees a leak."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

import spantally

BENCH = Path(__file__).resolve().parents[1] / "bench"
ROWS = 600


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of the bench, which is no package of ours."""
    monkeypatch.syspath_prepend(str(BENCH))
    names = "adversarial benign corpus gitleaks measure scoring sides speech table values"
    return SimpleNamespace(**{name: importlib.import_module(f"redaction.{name}") for name in names.split()})


def test_the_corpus_is_the_same_for_the_same_seed(bench: Any) -> None:
    """A figure can be run again; another seed makes other rows."""
    first = bench.corpus.generate(1, ROWS)
    assert first == bench.corpus.generate(1, ROWS)
    assert not {row.text for row in first if row.secret} & {
        row.text for row in bench.corpus.generate(2, ROWS) if row.secret
    }


def test_many_families_each_with_its_source(bench: Any) -> None:
    """At least sixty shapes take part, and whoever doubts one can look it up."""
    rows = [row for row in bench.corpus.generate(1, 2_500) if row.secret]
    assert len({row.family for row in rows}) >= 200
    assert bench.corpus.families() <= {row.family for row in rows}
    assert {row.kind for row in rows} == {"unique", "contextual", "structural"}
    assert all(row.source.startswith("https://") for row in rows)


def test_shares_are_as_promised(bench: Any) -> None:
    """Three secrets to two negatives, and as many rows as were asked for."""
    rows = bench.corpus.generate(1, 2_500)
    assert len(rows) == 2_500
    assert sum(not row.secret for row in rows) == 1_000


def test_a_secret_stands_in_its_text_once(bench: Any) -> None:
    """What is left of a secret in an output was left by the redactor, not by the text around it."""
    for row in bench.corpus.generate(3, ROWS):
        if row.secret:
            assert row.text.count(row.secret) == 1
            assert not bench.scoring.survives(row.text.replace(row.secret, ""), row.secret)


def test_no_secret_in_a_negative(bench: Any) -> None:
    """No negative holds the shape of a vendor's credential."""
    slots = re.compile(r"\\\{(\w)(\d+)?(?:\\-\d+)?\\\}")
    shapes = [
        (re.compile(r"(?<![\w/+-])" + slots.sub(r"[\\w+/-]{\2}", re.escape(one.template))), one.template)
        for one in bench.corpus.UNIQUE
        # Shapes that begin with a random character are hidden in any long word.
        if re.match(r"[A-Za-z_-]{3,}[-_.]", one.template) and "{g}" not in one.template
    ]
    assert len(shapes) > 60
    rng = Random(4)
    assert all(shape.search(bench.values.fill(rng, template)) for shape, template in shapes)
    for row in bench.corpus.generate(4, 2_500):
        if not row.secret:
            assert not [template for shape, template in shapes if shape.search(row.text)], row.family


def test_a_planted_leak_counts(bench: Any) -> None:
    """A redactor that lets a piece of more than 40 % stand has leaked; one that takes all has not."""
    rows = [row for row in bench.corpus.generate(5, ROWS) if row.secret]

    def whole(text: str, key: str) -> str:
        return text

    def everything(text: str, key: str) -> str:
        return "[REDACTED:all:00000000]"

    def half(text: str, key: str) -> str:
        secret = next(row.secret for row in rows if row.text == text)
        return text.replace(secret, "[REDACTED:x:00000000]" + secret[len(secret) // 2 - 1 :])

    judge, totals = bench.scoring.judge, bench.scoring.totals
    assert totals(judge(rows, whole))["recall"] == 0
    assert totals(judge(rows, half))["missed"] == len(rows)
    clean = totals(judge(rows, everything))
    assert clean["recall"] == 1
    assert clean["benign_lost"] == 1


def test_a_third_is_kept_aside(bench: Any) -> None:
    """What is kept aside counts, and shows in no list of misses."""
    rows = bench.corpus.generate(1, ROWS)
    set_aside = {row.id for row in rows if bench.corpus.aside(row)}
    secrets = [row for row in rows if row.secret]
    assert 0.2 < sum(row.id in set_aside for row in secrets) / len(secrets) < 0.45
    found = bench.scoring.totals(bench.scoring.judge(secrets, lambda text, key: text), set_aside)
    assert found["missed"] == len(secrets)
    assert found["recall_aside"] == found["recall_listed"] == 0
    assert sum(count for _, count in found["wrong"]) == sum(row.id not in set_aside for row in secrets)


def test_a_touched_negative_and_lost_characters_count(bench: Any) -> None:
    """What is taken out of a text without a secret is counted, and the tag in its place is not text."""
    rows = [row for row in bench.corpus.generate(6, ROWS) if not row.secret]

    def first_five(text: str, key: str) -> str:
        return "[REDACTED:x:00000000]" + text[5:]

    found = bench.scoring.judge([row for row in rows if len(row.text) > 5], first_five)
    assert bench.scoring.totals(found)["negatives_touched"] == 1
    assert {one.lost for one in found} == {5}


def test_ours_finds_secrets_of_the_corpus(bench: Any) -> None:
    """The judge and our redactor understand each other: most is found, and attributes are redacted by key."""
    redactor = spantally.Redactor()
    rows = bench.corpus.generate(7, ROWS)
    found = bench.scoring.totals(
        bench.scoring.judge(
            rows, lambda text, key: redactor.attributes({key: text})[key] if key else redactor.text(text)
        )
    )
    assert found["recall"] > 0.5
    assert found["negatives_touched"] < 0.1


def test_a_corpus_is_read_as_it_was_written(bench: Any, tmp_path: Path) -> None:
    """A dumped corpus scores like the generated one, packed or not."""
    rows = bench.corpus.generate(8, 100)
    bench.corpus.dump(rows, tmp_path / "rows.jsonl.gz")
    assert bench.corpus.load(tmp_path / "rows.jsonl.gz") == rows


def test_text_to_measure_speed_on_is_new_for_each_seed(bench: Any) -> None:
    """No cache can help: texts of different seeds share no paragraph."""
    one, two = (set(bench.speech.text(seed, 20_000).split("\n\n")) for seed in ("a", "b"))
    shared = {part for part in one & two if len(part) > 60}
    assert not shared
    assert len(bench.speech.text("a", 20_000)) == 20_000


def test_real_text_to_measure_speed_on_never_comes_twice(bench: Any) -> None:
    """Texts of one round differ, those of another seed too, and each has its size."""
    one, two = (bench.benign.texts(seed, 3_000, 12) for seed in ("a", "b"))
    assert len(one) == len(two) == 12
    assert len({*one, *two}) == 24
    assert {len(text) for text in one} == {3_000}


def test_adversarial_inputs_are_a_megabyte_each(bench: Any) -> None:
    """Each input of the list has its size, and forty of them are random repeats."""
    made = bench.adversarial.inputs(1, 10_000)
    assert len(made) > 100
    assert all(9_000 <= len(make()) <= 14_000 for make in made.values())


def test_what_an_extra_lets_one_import_is_known(bench: Any) -> None:
    """Ours without its accelerator is measured by taking these names away."""
    assert bench.sides.modules_of("click") == {"click"}
    assert bench.sides.modules_of("PyYAML") >= {"yaml"}
    assert bench.sides.modules_of("no-such-distribution") == set()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"a(?i)b|c", "aB"),
        (r"a(?i)b|c", "C"),
        (r"(x(?i)y)z", "xYz"),
        (r"(?i)[)(]k\z", ")K"),
        (r"[[:alnum:]]{3}(?-i)Q", "ab1Q"),
    ],
)
def test_patterns_of_go_are_read(bench: Any, pattern: str, text: str) -> None:
    """Flags amid a pattern hold to the end of their group, over alternatives too."""
    assert re.fullmatch(bench.gitleaks.from_go(pattern), text)


def test_goals_say_no_where_a_figure_falls_short(bench: Any) -> None:
    """The last table is a comparison, not a decoration."""
    one = {"recall": 0.96, "recall_by_kind": {"structural": 0.99}, "negatives_touched": 0.006}
    speed = {"spantally": {1000: {"median": 3.0}}, "lazybridge": {1000: {"median": 2.0}}}
    real = {"spantally": {1000: {"median": 5.0}}, "lazybridge": {1000: {"median": 2.0}}}
    found = bench.table.goals({"corpora": {"x": {"spantally": one}}, "speed_real": real, "speed": speed})
    assert [reached for *_, reached in found] == [False, True, False, True, False]
