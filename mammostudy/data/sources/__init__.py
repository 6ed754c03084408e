"""Where manifests come from: one module a source."""
