"""What stands in the chains of the page, and what the paper prints of its own."""

from __future__ import annotations

import pandas as pd

from mammostudy.runs.record import Record
from mammostudy.study import printed, published, tables
from mammostudy.study.chain import Found


def published_numbers() -> pd.DataFrame:
    """Return what the paper prints of the parts, and what it does not of the whole."""
    table = published.segmentation_table()
    mine = table[table["model"].str.startswith("proposed") & (table["framing"] == "loose")]
    parts = [
        (f"Dice, loose frames, {row['dataset']}", "the known box", f"{row['dice']:.2f} %")
        for row in mine.to_dict("records")
    ]
    accuracy = published.FACTS["shape accuracy"].value
    parts.append(("shape, DDSM", "a mask made from the radiologist's crop", f"{accuracy:.0f} %"))
    whole = ("detection", "Dice of all masses, missed ones as 0", "shape of all masses")
    parts += [(what, "the mammogram", "not reported") for what in whole]
    return pd.DataFrame(parts, columns=["measure", "starts from", "published"])


def stages(found: Found) -> pd.DataFrame:
    """Return what stands in each chain: a row an arm and fold."""
    out = []
    for arm, listed in found.items():
        for record in listed:
            spec = record.spec
            shape = spec.shapes[0] if spec.shapes else None
            out.append(
                {
                    "chain": arm,
                    "fold": spec.split.fold,
                    "detector": spec.detector.detector.name,
                    "score from": f"{record.threshold:.3f}",
                    "segmenter": f"{spec.segmenter.model.name}, {spec.segmenter.variant}",
                    "post-processing": tables.published_name(_steps(record)),
                    "shape": f"{shape.classifier}, {shape.variant}" if shape else "none",
                    "learnt shapes from": shape.input.source if shape else printed.MISSING,
                    "not converged": unsettled(record) or printed.MISSING,
                }
            )
    return pd.DataFrame(out, columns=list(out[0]) if out else ["chain"])


def _steps(record: Record) -> str:
    return "+".join(record.content["postprocessing"]) or "none"


def unsettled(record: Record) -> str:
    """Name the stages of a chain that diverged or had not converged."""
    said = []
    for stage, listed in record.stages.items():
        open_ends = [e for e in listed if e["converged"] is False or e["status"] != "completed"]
        if open_ends:
            part = "" if len(listed) == 1 else f" ({len(open_ends)} of {len(listed)})"
            said.append(f"{stage}{part}")
    return ", ".join(said)


def unsettled_arms(found: Found) -> dict[str, str]:
    """Return the arms with a stage that diverged or had not converged, and which."""
    named = {
        arm: "; ".join(sorted({said for record in listed if (said := unsettled(record))}))
        for arm, listed in found.items()
    }
    return {arm: said for arm, said in named.items() if said}
