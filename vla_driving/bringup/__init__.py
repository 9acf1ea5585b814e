"""Starting the stack: the one table of processes and a small supervisor for it."""
