"""Compiled networks: what they depend on, where they are kept, how they are built and judged."""
