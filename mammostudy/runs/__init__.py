"""Runs: what one is, how it is executed, and the record it leaves."""
