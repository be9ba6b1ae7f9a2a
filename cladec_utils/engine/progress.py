"""How far a computation is: bars where somebody watches them, lines for the command line."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tqdm import tqdm

from cladec_utils.engine.spec import Spec


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this, which shows pictures. Neither a script nor IPython in a terminal
    is one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def progress_bar(shown: bool, of: Iterable[Any] | None = None, **options: Any) -> tqdm:
    """A progress bar that goes away in the end; none unless `shown`, or where standard error is neither a
    terminal nor a notebook: in a log file a bar is a line for every look at it."""
    watched = in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
    return tqdm(of, leave=False, disable=not (shown and watched), **options)


class Progress:
    """One line per finished task, or a bar, with what remains."""

    def __init__(self, todo: Sequence[Spec], lines: bool, workers: int) -> None:
        self.total = len(todo)
        self.lines = lines
        self.workers = workers
        self.count = 0
        self.start = time.monotonic()
        self.left = defaultdict(int)
        for spec in todo:
            self.left[spec.kind] += 1
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.bar = progress_bar(not lines, total=self.total, desc="computing", unit="task")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_error: object) -> None:
        self.bar.close()

    def done(self, spec: Spec, seconds: float) -> None:
        self.count += 1
        self.left[spec.kind] -= 1
        self.seconds[spec.kind].append(seconds)
        self.bar.set_postfix_str(spec.label(), refresh=False)
        self.bar.update()
        if self.lines:
            rest = f", about {span(self._remaining())} left" if self.count >= 3 else ""
            print(f"[{self.count}/{self.total}] {spec.label()} ({seconds:.1f} s){rest}", flush=True)

    def _remaining(self) -> float:
        """Seconds, from what tasks of each kind have taken so far, all workers being busy."""
        known = [s for kind in self.seconds.values() for s in kind]
        overall = sum(known) / len(known)
        mean = {kind: sum(s) / len(s) for kind, s in self.seconds.items()}
        work = sum(count * mean.get(kind, overall) for kind, count in self.left.items())
        return work / self.workers


def span(seconds: float) -> str:
    """Seconds in words."""
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
