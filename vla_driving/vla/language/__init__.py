"""Instructions in free words understood, and what the car says: no ROS, no torch."""
