"""What is wrong with data on disk, said in one line."""

from __future__ import annotations


class DatasetError(ValueError):
    """One line that names the file and what is wrong with it."""
