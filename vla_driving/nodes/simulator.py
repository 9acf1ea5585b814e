"""simulator: MetaDrive as the vehicle, in real time, in a process of its own."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import CameraInfo, Image

from vla_driving.contract.cameras import Camera
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.language import Command
from vla_driving.contract.messages import byte_array, set_stamp
from vla_driving.contract.navigation import Instruction
from vla_driving.contract.scene import MAX_OBJECTS, ObjectList
from vla_driving.contract.settings import SettingsError
from vla_driving.contract.simulation import SimulationState
from vla_driving.contract.supervision import Engagement, SafetyState
from vla_driving.contract.topics import camera_topic
from vla_driving.contract.vehicle import ControlCommand, DriverState, load_vehicle
from vla_driving.nodes.cameras import known_cameras
from vla_driving.nodes.painter import Painter
from vla_driving.nodes.parameters import named_file
from vla_driving.nodes.process import run
from vla_driving.nodes.stack_node import StackNode
from vla_driving.simulation.actuators import load_actuators
from vla_driving.simulation.disturbances import CameraDisturbances
from vla_driving.simulation.drive_by_wire import DriverInputs
from vla_driving.simulation.driver import ScriptedDriver
from vla_driving.simulation.metadrive import PHYSICS_STEP_S
from vla_driving.simulation.passenger import ScriptedPassenger
from vla_driving.simulation.renderer import Actor, Renderer
from vla_driving.simulation.scenario import load_scenario
from vla_driving.simulation.settings import SimulatorSettings
from vla_driving.simulation.world import World

STEP_NS = nanoseconds(PHYSICS_STEP_S)
LOOKS_A_STEP = 4
"""How often a step looks whether the next one is due: none is late by more than a part of it."""

Exposure = tuple[Nanoseconds, float, npt.NDArray[np.float64], list[Actor]]
"""What a picture is drawn from: stamp, time in the world in s, and what World.view says."""


class Simulator(StackNode):
    """Physics at 50 Hz with the newest command at every step; frames at their own rate.

    Pictures are drawn beside it. Where this machine is too slow, simulated time falls behind and
    `real_time_factor` says so.
    """

    NAME: ClassVar[str] = "simulator"
    SETTINGS: ClassVar[type] = SimulatorSettings

    def configure(self) -> None:
        """Build the world. Raises SettingsError, SimulatorError with one line."""
        self._world: World | None = None
        self._painter: Painter[Renderer, Exposure] | None = None
        scenario = load_scenario(named_file(self.settings.scenario, "scenarios"))
        if self.settings.seed >= 0:
            scenario = scenario.replace(seed=self.settings.seed)
        vehicle_file = self.vehicle_file()
        vehicle = load_vehicle(vehicle_file)
        actuators = load_actuators(vehicle_file.with_name(f"{vehicle_file.stem}_actuators.yaml"))
        self._camera = one_camera(known_cameras(self.stack))
        self._painter = Painter(lambda: Renderer(self._camera), self._draw)
        self._world = World(scenario, vehicle, actuators, self._painter.tool)
        self._driver = ScriptedDriver(scenario.driver)
        self._passenger = ScriptedPassenger(scenario.passenger)
        self._disturbances = CameraDisturbances(scenario.disturbances)
        self._safety: SafetyState | None = None
        self._steps = 0
        self._lost_steps = 0
        self._origin_ns: Nanoseconds | None = None
        self._recent: deque[Nanoseconds] = deque(maxlen=round(1.0 / PHYSICS_STEP_S) + 1)
        self._sequences = dict.fromkeys(("vehicle/objects", "vla/route", "vla/driver_state"), 0)
        self._make_topics()

    def release(self) -> None:
        """Free MetaDrive, after the last picture."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None
        if self._world is not None:
            self._world.close()
            self._world = None

    def diagnose(self) -> dict[str, str]:
        """How well simulated time keeps up."""
        return {
            "real_time_factor": f"{self._real_time_factor():.2f}",
            "lost_steps": str(self._lost_steps),
            "lost_pictures": str(self._painter.lost if self._painter else 0),
        }

    def _make_topics(self) -> None:
        name = self._camera.name
        self._image_topic = camera_topic("camera/{camera}/image", name)
        self._info_topic = camera_topic("camera/{camera}/camera_info", name)
        self.speak("camera/{camera}/image", self._image_topic)
        self.speak("camera/{camera}/camera_info", self._info_topic)
        for topic in (
            "vehicle/state", "vehicle/objects", "vla/route", "vla/driver_state",
            "vla/instruction", "simulation/state",
        ):
            self.speak(topic)
        self.listen("vla/control_command", ControlCommand, self._take_command)
        self.listen("vla/safety_state", SafetyState, self._take_safety)
        self.listen("vla/command", Command, self._take_wish)
        self.every(LOOKS_A_STEP / PHYSICS_STEP_S, self._catch_up, counted=False)
        self._timed_step = self.timed(self._step)

    def _take_command(self, command: ControlCommand) -> None:
        assert self._world is not None
        self._world.hear(command, self.now_ns())

    def _take_wish(self, command: Command) -> None:
        """The way to take at the next junction becomes the route."""
        assert self._world is not None
        self._world.obey(command)

    def _take_safety(self, safety: SafetyState) -> None:
        self._safety = safety

    def _catch_up(self) -> None:
        """Go on to the present, at most `max_catch_up` steps; what is beyond is lost."""
        now_ns = self.now_ns()
        if self._origin_ns is None:
            self._origin_ns = now_ns
        due = (now_ns - self._origin_ns) // STEP_NS - self._steps
        excess = max(0, due - self.settings.max_catch_up)
        if excess or due < -1:
            lost = excess if excess else due
            self._origin_ns += lost * STEP_NS
            self._lost_steps += abs(lost)
            due -= lost
        for _ in range(due):
            self._timed_step()

    def _step(self) -> None:
        assert self._world is not None and self._origin_ns is not None
        self._steps += 1
        stamp_ns = self._origin_ns + self._steps * STEP_NS
        self._world.step(
            None, PHYSICS_STEP_S, self._driver_inputs(self._world), stamp_ns
        )
        self._recent.append(self._steady_ns())
        self._let_speak(self._world.time_s, stamp_ns)
        rates = self.stack.rates
        if self._due(rates.camera):
            assert self._painter is not None
            self._painter.show((stamp_ns, self._world.time_s, *self._world.view()))
        if self._due(rates.vehicle_state):
            self.send("vehicle/state", self._world.vehicle_state(stamp_ns))
        if self._due(rates.objects):
            self._send_objects(stamp_ns)
        if self._due(rates.route):
            route = replace(self._world.route(stamp_ns), sequence=self._next("vla/route"))
            self.send("vla/route", signed(route))
        if self._due(rates.driver_state):
            number = self._next("vla/driver_state")
            driver = DriverState(stamp_ns, True, True, True, 0.0, 0.0, number)
            self.send("vla/driver_state", signed(driver))
        if self._due(rates.simulation_state):
            self._send_truth(stamp_ns)

    def _draw(self, renderer: Renderer, exposure: Exposure) -> None:
        """In the painter's thread."""
        stamp_ns, time_s, base, actors = exposure
        picture = renderer.render(base, actors, time_s)
        image = self._disturbances.apply(picture, time_s)
        if image is not None and self.active:
            self._send_image(stamp_ns, image)

    def _driver_inputs(self, world: World) -> DriverInputs:
        """What the person at the wheel does now."""
        safety = self._safety
        standing = abs(world.ego.motion.speed) < STANDING_SPEED
        if safety is None:
            return self._driver.step(world.time_s, False, False, standing)
        engaged = safety.engagement not in (Engagement.DISABLED, Engagement.STOPPED)
        return self._driver.step(world.time_s, safety.ready, engaged, standing)

    def _let_speak(self, now_s: float, stamp_ns: Nanoseconds) -> None:
        safety = self._safety
        engaged = safety is not None and safety.engagement == Engagement.ENABLED
        text = self._passenger.step(now_s, engaged)
        if text is not None:
            self.send("vla/instruction", Instruction(stamp_ns, stamp_ns, text, "passenger", 0))

    def _due(self, rate_hz: float) -> bool:
        every = max(1, round(1.0 / (rate_hz * PHYSICS_STEP_S)))
        return self._steps % every == 0

    def _send_objects(self, stamp_ns: Nanoseconds) -> None:
        assert self._world is not None
        objects = self._world.radar()[:MAX_OBJECTS]
        listed = ObjectList(stamp_ns, self._next("vehicle/objects"), "front_radar", objects)
        self.send("vehicle/objects", signed(listed))

    def _next(self, topic: str) -> int:
        self._sequences[topic] += 1
        return self._sequences[topic]

    def _send_truth(self, stamp_ns: Nanoseconds) -> None:
        assert self._world is not None
        truth = self._world.truth()
        nearest = sorted(truth.objects, key=lambda o: o.x**2 + o.y**2)[:MAX_OBJECTS]
        self.send(
            "simulation/state",
            SimulationState(
                stamp_ns, truth.x, truth.y, truth.heading, truth.distance,
                truth.route_completion, truth.collisions, truth.off_road, truth.lane_offset,
                self._real_time_factor(), tuple(nearest), truth.lane_lines,
            ),
        )

    def _send_image(self, stamp_ns: Nanoseconds, pixels: npt.NDArray[np.uint8]) -> None:
        image = Image(
            height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8",
            step=pixels.shape[1] * 3, data=byte_array(pixels),
        )
        info = camera_info(self._camera)
        for message, topic in ((info, self._info_topic), (image, self._image_topic)):
            set_stamp(message.header.stamp, stamp_ns)
            message.header.frame_id = f"{self._camera.name}_camera_optical_frame"
            self.send(topic, message)

    def _real_time_factor(self) -> float:
        if len(self._recent) < 2:
            return 1.0
        elapsed_s = (self._recent[-1] - self._recent[0]) / SECOND
        return (len(self._recent) - 1) * PHYSICS_STEP_S / max(elapsed_s, PHYSICS_STEP_S)


def one_camera(cameras: list[Camera]) -> Camera:
    """The camera that is rendered. Raises SettingsError where there is not exactly one."""
    if len(cameras) != 1:
        raise SettingsError(f"cameras: the simulator has one camera, {len(cameras)} are asked for")
    return cameras[0]


def camera_info(camera: Camera) -> CameraInfo:
    """sensor_msgs/CameraInfo of a pinhole camera without distortion."""
    matrix = camera.matrix()
    projection = np.zeros((3, 4))
    projection[:, :3] = matrix
    return CameraInfo(
        height=camera.height, width=camera.width, distortion_model="plumb_bob",
        d=[0.0] * 5, k=matrix.ravel().tolist(), r=np.eye(3).ravel().tolist(),
        p=projection.ravel().tolist(),
    )


STANDING_SPEED = 0.1
NODE_CLASS = Simulator


def main(_args: Any = None) -> None:
    """Run the node."""
    run(Simulator)


if __name__ == "__main__":
    main()
