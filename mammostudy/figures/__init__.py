"""One module a chapter: a table goes in, a figure comes out, and nothing is computed."""
