"""The vocabulary of all rooms: frozen dataclasses over numpy, units, topics, parameters."""
