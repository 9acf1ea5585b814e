"""Which processes make the stack, and the small supervisor that starts them without ros2 launch."""
