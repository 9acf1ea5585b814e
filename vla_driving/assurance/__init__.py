"""Why the safety monitor may be trusted: hazards, requirements, and the evidence for them."""
