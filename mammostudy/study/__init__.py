"""One module a chapter: the runs it needs, and the tidy tables made from their records."""
