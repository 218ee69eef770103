"""Measurements against a limit and peers, in one run each."""
