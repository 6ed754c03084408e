"""The book: pages executed by papermill when they are stale, then rendered by Jupyter Book."""
