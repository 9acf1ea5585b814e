"""The last gate: tracks the approved plan, keeps the actuator envelope, stops the car by itself."""
