"""Fault injection into the real processes: the stand they run on, the injections, the campaign."""
