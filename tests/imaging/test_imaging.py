"""The package's face: every promised name loads, and loading it is quick and needs no torch."""

from __future__ import annotations

import subprocess
import sys


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, mammostudy.imaging as i;"
        "early = {'cv2', 'skimage', 'numpy'} & set(sys.modules);"
        "[getattr(i, n) for n in i.__all__]; print(sorted(early), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
