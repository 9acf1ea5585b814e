"""In-vehicle autonomy stack: cameras and words in, checked trajectories and commands out."""

__version__ = "0.1.0"
