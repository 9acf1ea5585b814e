"""The drive that the bench feeds: simulated once, in lock step with the shipped model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vla_driving.bench.figures import Show
from vla_driving.bench.recorded import DriveWriter, settings_of
from vla_driving.camera.warp import Warp
from vla_driving.contract.cameras import Camera, load_camera
from vla_driving.contract.checksum import signed
from vla_driving.contract.clock import SECOND, Nanoseconds, nanoseconds
from vla_driving.contract.frames import CameraFrame, FrameSet, FrameStatus
from vla_driving.contract.plan import ApprovedPlan, PlanSource
from vla_driving.contract.scene import MAX_OBJECTS, ObjectList
from vla_driving.contract.vehicle import DriverState, VehicleState, load_vehicle
from vla_driving.control.bridge import ControllerBridge, Inputs
from vla_driving.control.settings import ControllerBridgeSettings
from vla_driving.nodes.parameters import StackSettings, named_file, named_model
from vla_driving.simulation.actuators import load_actuators
from vla_driving.simulation.metadrive import PHYSICS_STEP_S
from vla_driving.simulation.renderer import Renderer
from vla_driving.simulation.scenario import load_scenario
from vla_driving.simulation.world import World
from vla_driving.vla.actor import Actor, ActorInputs
from vla_driving.vla.manifest import load_model
from vla_driving.vla.runtimes.choose import open_runtime
from vla_driving.vla.settings import VlaInferenceSettings

FRAME_RATE_HZ = 20.0
SCENARIO = "demo"
RUN_UP_S = 8.0
"""Driven before the recording begins: from standstill to the speed of the road."""


def record(folder: Path, duration_s: float, show: Show) -> None:
    """Drive, and write camera, vehicle state, radar, route and driver into a bag.

    Frames are FRAME_RATE_HZ apart, each drawn in the physics step just before its stamp. Raises
    SettingsError, ModelError, SimulatorError, RecordingError with one line.
    """
    stack = settings_of(StackSettings, "")
    camera = load_camera(named_file(stack.cameras[0], "cameras"))
    vehicle_file = named_file(stack.vehicle, "vehicles")
    vehicle = load_vehicle(vehicle_file)
    actuators = load_actuators(vehicle_file.with_name(f"{vehicle_file.stem}_actuators.yaml"))
    scenario = load_scenario(named_file(SCENARIO, "scenarios"))
    writer = DriveWriter(folder, camera)
    try:
        with World(scenario, vehicle, actuators, Renderer(camera)) as world:
            driver = _Driver(stack, camera, vehicle_file)
            _drive(world, driver, writer, stack, duration_s, show)
    finally:
        writer.close()


def _drive(
    world: World, driver: _Driver, writer: DriveWriter, stack: StackSettings, duration_s: float,
    show: Show,
) -> None:
    step_ns, rates, frames = nanoseconds(PHYSICS_STEP_S), stack.rates, 0
    for step in range(round((RUN_UP_S + duration_s) / PHYSICS_STEP_S)):
        now_ns = SECOND + step * step_ns
        begun = step * PHYSICS_STEP_S >= RUN_UP_S
        state = world.vehicle_state(now_ns)
        driver.take_state(state)
        due = frames / FRAME_RATE_HZ < (step + 1) * PHYSICS_STEP_S
        frame_ns = SECOND + nanoseconds(frames / FRAME_RATE_HZ)
        if due:
            image, frames = world.render(), frames + 1
            driver.look(image, frame_ns, world.route(frame_ns))
        if begun:
            writer.put("vehicle/state", state)
            if due:
                writer.put_image(image, frame_ns)
            if _every(step, rates.objects):
                objects = world.radar()[:MAX_OBJECTS]
                writer.put("vehicle/objects", signed(ObjectList(now_ns, step, "radar", objects)))
            if _every(step, rates.route):
                writer.put("vla/route", world.route(now_ns))
            if _every(step, rates.driver_state):
                writer.put("vla/driver_state", DriverState(now_ns, True, True, True, 0.0, 0.0))
        driver.drive(world, state, now_ns)
        if step % 250 == 0:
            show(f"drive for the bench: {step * PHYSICS_STEP_S:.0f} of "
                 f"{RUN_UP_S + duration_s:.0f} s, {state.speed:.1f} m/s")


def _every(step: int, rate_hz: float) -> bool:
    return step % max(1, round(1.0 / (rate_hz * PHYSICS_STEP_S))) == 0


class _Driver:
    """Actor and bridge of the vehicle in lock step; every plan is approved as it is."""

    def __init__(self, stack: StackSettings, camera: Camera, vehicle_file: Path) -> None:
        model = load_model(named_model(stack.model))
        settings = settings_of(VlaInferenceSettings, "vla_inference")
        self._title = model.manifest.title
        self._warp = Warp(camera, model.manifest.inputs.cameras[0])
        self._camera = camera.name
        self._vehicle = load_vehicle(vehicle_file)
        self._actor = Actor(
            model, open_runtime(model, settings.runtime), settings, self._vehicle, lambda: 0
        )
        self._bridge = ControllerBridge(
            settings_of(ControllerBridgeSettings, "controller_bridge"), self._vehicle, stack.rates
        )
        self._states: list[VehicleState] = []
        self._approved: ApprovedPlan | None = None
        self._sets = 0

    def take_state(self, state: VehicleState) -> None:
        self._states.append(state)

    def look(self, image: Any, stamp_ns: Nanoseconds, route: Any) -> None:
        self._sets += 1
        frame = CameraFrame(self._camera, stamp_ns, FrameStatus.OK, 0.0, 0.0, self._warp(image))
        frames = FrameSet(stamp_ns, self._sets, self._title, (frame,))
        states, self._states = tuple(self._states), []
        plan = self._actor.step(ActorInputs(frames, states, route), stamp_ns).plan
        if plan is not None:
            self._approved = signed(
                ApprovedPlan(
                    plan.stamp_ns, plan.sequence, plan.sequence, plan.stamp_ns,
                    plan.valid_until_ns, PlanSource.MODEL, True, False, False,
                    self._vehicle.max_speed, plan.candidates[0],
                )
            )

    def drive(self, world: World, state: VehicleState, now_ns: Nanoseconds) -> None:
        outcome = self._bridge.step(Inputs(self._approved, state), now_ns)
        world.step(outcome.command, PHYSICS_STEP_S)
