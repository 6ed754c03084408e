"""Where cohorts come from: a module a published layout, named by the descriptors.

A reader has ``build_manifest(folder)``: the manifest, not yet validated, and what was left out.
"""
