"""Dataset, torch model, training and export; needs torch, never imported at run time."""
