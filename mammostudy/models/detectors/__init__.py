"""The mass detectors, each behind one signature: grey images in, losses or boxes out."""
