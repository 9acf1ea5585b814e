"""Adversaries against monitor and bridge together, and the oracle that judges what leaves."""
