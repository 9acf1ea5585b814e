"""Tracking of the approved plan and the actuator envelope, the last gate before the vehicle."""
