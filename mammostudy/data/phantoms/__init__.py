"""The procedural cohort, piece by piece: outlines, tissue, mammograms, patients."""
