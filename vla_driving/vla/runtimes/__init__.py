"""What runs a network: one interface, one module a library, each imported only where it is used."""
