"""The MetaDrive vehicle: physics, camera, actuators, scenarios and truth, without ROS."""
