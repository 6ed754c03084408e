"""The segmenters, each behind one signature: framed images in, values in [-1, 1] out."""
