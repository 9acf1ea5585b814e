"""What `make bench` measures, one file a topic; each figure stands beside its target."""
