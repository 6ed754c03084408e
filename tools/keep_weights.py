"""Put the weights of committed runs beside their records, as float16.

    python tools/keep_weights.py KEY ...

Weights that later runs need (a segmenter whose masks a classifier is shown, the stages of a chain)
are found there by whoever has no store. They come from the local store, where the run was made.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from mammostudy.paths import results_root
from mammostudy.runs.record import checksum, read_record, weights_path

LIMIT = 40 * 2**20  # bytes of all weights in results


def keep(folder: Path) -> None:
    """Write ``weights.safetensors`` into a record's folder, and its checksum into the record."""
    content = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    known = load_file(weights_path(content["training_key"]))
    target = folder / "weights.safetensors"
    half = {name: each.half() if each.is_floating_point() else each for name, each in known.items()}
    save_file(half, target)
    content["sha256"] |= {target.name: checksum(target)}
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    (folder / "record.json").write_text(text, encoding="utf-8")
    read_record(folder)


def main() -> None:
    """Keep the weights of the records whose keys are given."""
    for key in sys.argv[1:]:
        for folder in results_root().glob(f"*/{key}"):
            keep(folder)
    size = sum(path.stat().st_size for path in results_root().glob("*/*/weights.safetensors"))
    print(f"weights in {results_root()}: {size / 2**20:.1f} MiB")
    if size > LIMIT:
        sys.exit(f"more than {LIMIT / 2**20:.0f} MiB: take some out")


if __name__ == "__main__":
    main()
