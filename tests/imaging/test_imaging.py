"""The package's face: every promised name loads, and loading it is quick and needs no torch."""

from __future__ import annotations

import subprocess
import sys

import mammostudy.imaging


def test_every_name_loads() -> None:
    for name in mammostudy.imaging.__all__:
        assert getattr(mammostudy.imaging, name) is not None
    assert set(dir(mammostudy.imaging)) == set(mammostudy.imaging.__all__)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, mammostudy.imaging as i;"
        "early = {'cv2', 'skimage', 'numpy'} & set(sys.modules);"
        "[getattr(i, n) for n in i.__all__]; print(sorted(early), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
