"""What the paper printed for the claims."""

from __future__ import annotations

import pandas as pd

from mammostudy.study import claims, published


def published_differences() -> pd.DataFrame:
    """Return what the paper printed for the claims that a printed number bears on.

    Columns: name, claim, test set, difference in points of Dice; no interval was printed.
    """
    listed = claims.read_claims()
    scores = published.segmentation_table()
    pairs = {
        "loose-beats-full": (("proposed cGAN", "loose"), ("proposed cGAN", "full")),
        "loose-beats-tight": (("proposed cGAN", "loose"), ("proposed cGAN", "tight")),
        "cgan-beats-unet": (("proposed cGAN", "loose"), ("UNet", "loose")),
    }
    rows = []
    for name, (one, other) in pairs.items():
        for data, part in scores.groupby("dataset", sort=False):
            dice = part.set_index(["model", "framing"])["dice"]
            rows.append((name, str(data), float(dice[one] - dice[other])))
    gain = published.FACTS["post-processing gain"].value
    rows.append(("post-processing-gains", "not reported", gain))
    table = pd.DataFrame(rows, columns=["name", "test set", "difference, points of Dice"])
    table = table[table["name"].isin(listed)]
    table.insert(1, "claim", [listed[name].text for name in table["name"]])
    return table.reset_index(drop=True)
