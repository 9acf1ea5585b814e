"""What a recorded drive tells: scores, pictures, report."""
