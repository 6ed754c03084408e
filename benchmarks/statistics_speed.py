"""Time the intervals over patients: 10,000 resamples of 1,000 cases.

Run as ``python benchmarks/statistics_speed.py``. Seconds are the processor's, not the clock's, so
that other work on the machine counts little; the median of five calls stands. The last column
holds the fast ways against the general one, which repeats every case as often as its patient was
drawn: a ratio within one run, which travels.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from mammostudy.evaluation.statistics import bootstrap_ci
from mammostudy.evaluation.uncertainty import rank_correlation

CASES, LIMIT = 1000, 2.0


def seconds(call: Callable[[], object], times: int = 5) -> float:
    spent = []
    for _ in range(times):
        start = time.process_time()
        call()
        spent.append(time.process_time() - start)
    return statistics.median(spent)


def main() -> None:
    rng = np.random.default_rng(0)
    values, errors = rng.beta(8, 2, (2, CASES))
    slowest = 0.0
    print(f"10,000 resamples of {CASES:,} cases, seconds")
    for patients in (CASES, CASES // 2, CASES // 10):
        names = np.arange(CASES) % patients
        for statistic in (np.mean, np.median):
            fast = seconds(lambda s=statistic, n=names: bootstrap_ci(values, n, s))  # type: ignore[misc]
            general = seconds(
                lambda s=statistic, n=names: bootstrap_ci(values, n, lambda v: s(v)),  # type: ignore[misc]
                times=1,
            )
            slowest = max(slowest, fast)
            name = f"{statistic.__name__}, {patients:,} patients"
            print(f"{name:<24} {fast:6.2f}   general way {general:6.2f}   {general / fast:5.1f} x")
    names = np.arange(CASES)
    rho = seconds(lambda: rank_correlation(values, errors, names), times=1)
    print(f"rank correlation         {rho:6.2f}")
    verdict = "within" if slowest < LIMIT else "above"
    print(f"slowest of mean and median {slowest:.2f} s: {verdict} {LIMIT:g} s")


if __name__ == "__main__":
    main()
