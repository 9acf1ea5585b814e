"""Cameras: sources, decoding, warp to the virtual camera, synchronisation, health."""
