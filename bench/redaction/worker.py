"""One side in a process of its own, which does what it is asked, a line of JSON each.

So the sides can take turns within one run, a side that hangs can be ended, and ours without its accelerator
cannot be helped by what another side has imported. Times are CPU times of the whole process.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import adversarial, benign, corpus, scoring, speech
from .sides import Redact, UnavailableError, maker

_GAVE_UP = "[REDACTED:error"


class Jobs:
    """What can be asked of a side."""

    def __init__(self, make: Callable[[], Redact]) -> None:
        self._make = make

    def corpus(self, path: str, seed: int, rows: int, misses: str, *, every: bool) -> dict[str, Any]:
        """Score a corpus: a file, or the generated one; what was missed or touched goes into a file.

        A third of the families of the generated one is not listed there, unless ``every`` says so.
        """
        found = corpus.load(Path(path)) if path else corpus.generate(seed, rows)
        verdicts = scoring.judge(found, self._make())
        set_aside = set() if path or every else {row.id for row in found if corpus.aside(row)}
        if misses:
            _write_misses(Path(misses), [one for one in verdicts if one.row.id not in set_aside])
        return {
            **scoring.totals(verdicts, set_aside),
            "gave_up": sum(_GAVE_UP in one.output for one in verdicts),
        }

    def benign(self, seed: int, size: int, misses: str) -> dict[str, Any]:
        """Score real text."""
        kinds, read = benign.collect(seed, size)
        result = benign.score(kinds, self._make())
        removed = result.pop("removed")
        if misses:
            _write(Path(misses), "\n".join(json.dumps(one, ensure_ascii=False) for one in removed))
        return {**result, "read": read}

    def speed(self, size: int, count: int, seed: str, *, real: bool) -> dict[str, Any]:
        """CPU seconds for so many new texts of that size, by a redactor that has worked before."""
        if real:
            texts = benign.texts(seed, size, count)
        else:
            texts = [speech.text(f"{seed}-{number}", size) for number in range(count)]
        redact = self._make()
        redact(speech.text(f"{seed}-warm", 2_000), "")
        start = time.process_time()
        for text in texts:
            redact(text, "")
        return {"seconds": time.process_time() - start, "characters": size * count}

    def adversarial(self, name: str, seed: int) -> dict[str, Any]:
        """CPU seconds for one of the inputs."""
        text = adversarial.inputs(seed)[name]()
        redact = self._make()
        start = time.process_time()
        output = redact(text, "")
        return {
            "seconds": time.process_time() - start,
            "gave_up": _GAVE_UP in output,
            "grown": len(output) / len(text),
        }

    def history(self, messages: int, size: int, seed: str) -> dict[str, Any]:
        """CPU seconds for a conversation that is new, and for the same one when it comes again."""
        new = [speech.text(f"{seed}-{number}", size) for number in range(messages)]
        # The same text in another object, as a program that keeps its history in JSON has it.
        again = [text.encode().decode() for text in new]
        redact = self._make()
        redact(speech.text(f"{seed}-warm", 2_000), "")
        start = time.process_time()
        for text in new:
            redact(text, "")
        between = time.process_time()
        for text in again:
            redact(text, "")
        return {"new": between - start, "again": time.process_time() - between}


def _write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content + "\n", encoding="utf-8")
    path.chmod(0o600)


def _write_misses(path: Path, verdicts: list[scoring.Verdict]) -> None:
    wrong = [one for one in verdicts if one.wrong]
    counts = Counter((one.row.kind, one.row.family) for one in wrong)
    lines = [
        json.dumps({"kind": kind, "family": family, "rows": count})
        for (kind, family), count in counts.most_common()
    ]
    lines += [json.dumps({**one.row._asdict(), "output": one.output}, ensure_ascii=False) for one in wrong]
    _write(path, "\n".join(lines))


def main(name: str, gitleaks: str) -> None:
    """Answer until the input ends."""
    try:
        jobs = Jobs(maker(name, gitleaks))
    except UnavailableError as reason:
        print(json.dumps({"unavailable": str(reason)}), flush=True)
        return
    print(json.dumps({"ready": name}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(Jobs, asked.pop("job"))(jobs, **asked)
        except Exception as error:
            # A side that raises on a text has not redacted it: the figure is missing, and the table says so.
            answer = {"failed": f"{type(error).__name__}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "")
