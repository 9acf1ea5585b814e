"""Bags of a drive: written beside it, read after it, whatever the disk and the power did."""
