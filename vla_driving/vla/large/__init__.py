"""Large driving models in a process of their own: slow, and never in the way of the compact one."""
