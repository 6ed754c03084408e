"""Run the paper's own setting on a GPU, in parts of minutes, and bring the records home.

    python tools/gpu.py pack DATA        what the runs read, from the data folder into gpu/data
    python tools/gpu.py run [--minutes]  a part of the runs, records into gpu/records-N.tar
    python tools/gpu.py add TAR ...      records into results/, on any machine

``make gpu DATA=...`` packs and runs a part. The folder ``gpu`` is ignored by git, and small enough
to be carried to a machine without a network. Runs are those of the preset ``paper`` in the order of
what the claims need most. What is on record, or in a tar file in ``gpu``, is not run again: a part
goes on where the last one ended. Without a GPU nothing is run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import pandas as pd

COHORT: Final = "cdd-cesm"
HOME: Final = Path("gpu")
LIMIT: Final = 12 * 2**20  # bytes of a pack
FILES: Final = ("record.json", "cases.csv", "predictions.npz")
SPARE: Final = 1.25  # how much longer than the longest of its kind a run may take
NO_GPU: Final = "no GPU is at hand (torch.cuda.is_available() is False): nothing was run"


def pack(source: Path, target: Path) -> int:
    """Copy what the low-energy runs of CDD-CESM read; return the bytes. Keys stay the same."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "images").mkdir(parents=True)
    images = pd.read_csv(source / "images.csv", dtype=str, keep_default_na=False)
    images = images[images["modality"] == "DM"]
    regions = pd.read_csv(source / "regions.csv", dtype=str, keep_default_na=False)
    for name, table in (("images.csv", images), ("regions.csv", regions)):
        table[table["image"].isin(images["image"])].to_csv(target / name, index=False)
    lines = (source / "outlines.jsonl").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if json.loads(line)["image"] in set(images["image"])]
    (target / "outlines.jsonl").write_text("\n".join(kept) + "\n", encoding="utf-8")
    for name in images["image"]:
        shutil.copy(source / "images" / f"{name}.jpg", target / "images")
    size = sum(path.stat().st_size for path in target.rglob("*"))
    if size > LIMIT:
        raise SystemExit(f"{target}: {size / 2**20:.1f} MiB; a pack may hold {LIMIT / 2**20:.0f}")
    return size


def queue(preset: str = "paper") -> list[Any]:
    """Return the runs by what claims need most: theirs, all models on loose frames, the rest."""
    from mammostudy.runs.kinds import kind_of
    from mammostudy.study import claims, segmenters

    needed = [spec for spec in claims.specs(COHORT, preset) if kind_of(spec) == "segmentation"]
    grid = sorted(segmenters.named(COHORT, preset).items(), key=lambda each: each[0][0] != "loose")
    return list(dict.fromkeys([*needed, *itertools.chain.from_iterable(runs for _, runs in grid)]))


def part(specs: Iterable[Any], seconds: float, run: Callable[[Any], Any]) -> list[Any]:
    """Run specs in order while time is left for another of the same model; return the records.

    What lacks something, as weights that cannot be downloaded, is named and passed over.
    """
    from mammostudy.errors import DataError

    end, longest, made = time.monotonic() + seconds, dict[str, float](), []
    for spec in specs:
        started = time.monotonic()
        if started + SPARE * longest.get(spec.model.name, 0.0) > end:
            break
        try:
            made.append(run(spec))
        except DataError as error:
            print(f"{spec.label}: not run: {error}", flush=True)
            continue
        spent = time.monotonic() - started
        longest[spec.model.name] = max(spent, longest.get(spec.model.name, 0.0))
        print(f"{spec.label}: {spent:.0f} s; {end - time.monotonic():.0f} s are left", flush=True)
    return made


def bundle(records: Iterable[Any], path: Path) -> None:
    """Write records, without weights, into one tar file."""
    with tarfile.open(path, "w") as tar:
        for record in records:
            for name in FILES:
                inside = Path(record.folder.parent.name, record.folder.name, name)
                tar.add(record.folder / name, str(inside))


def add(paths: Iterable[Path], root: Path) -> int:
    """Unpack records that are not there yet, their files alone; return how many."""
    from mammostudy.runs.record import read_record

    new = set()
    for path in paths:
        with tarfile.open(path) as tar:
            for member in tar:
                folder = root / Path(member.name).parent
                known = folder in new or not folder.exists()
                if member.isfile() and Path(member.name).name in FILES and known:
                    tar.extract(member, root, filter="data")
                    new.add(folder)
    return len([read_record(folder) for folder in new])  # whose checksums are tested


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("pack").add_argument("data", type=Path, help="the folder of cohorts")
    running = commands.add_parser("run")
    running.add_argument("--minutes", type=float, default=7.0, help="no run is begun later")
    commands.add_parser("add").add_argument("tar", type=Path, nargs="+")
    asked = parser.parse_args()
    if asked.command == "pack":
        size = pack(asked.data / COHORT, HOME / "data" / COHORT)
        print(f"{HOME / 'data'}: {size / 2**20:.1f} MiB")
        return
    os.environ |= {"MAMMOSTUDY_DATA": str(HOME / "data"), "MAMMOSTUDY_STORE": str(HOME / "store")}
    from mammostudy.paths import results_root

    if asked.command == "add":
        print(f"{add(asked.tar, results_root())} new records under {results_root()}")
        return
    import torch

    if not torch.cuda.is_available():
        sys.exit(NO_GPU)
    from mammostudy.runs.execute import execute, missing
    from mammostudy.runs.record import local_records

    earlier = sorted(HOME.glob("records-*.tar"))
    add(earlier, local_records())
    done = part(missing(queue()), 60 * asked.minutes, execute)
    bundle(done, HOME / f"records-{len(earlier)}.tar")


if __name__ == "__main__":
    main()
