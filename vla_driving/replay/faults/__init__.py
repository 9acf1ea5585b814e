"""What `make faults` injects, what it must see, and what that makes of each fault."""
