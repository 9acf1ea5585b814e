"""What `vla-driving` does, one file a command."""
