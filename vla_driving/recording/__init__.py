"""Bags: writer, reader, events."""
