"""`vla-driving say`: an instruction or a question to the running stack, and what it answers."""

from __future__ import annotations

import argparse
import os
import time

import rclpy

from vla_driving.bringup.lifecycle import BringupError, make_node
from vla_driving.contract.language import Answer, AnswerStatus
from vla_driving.contract.messages import from_message, to_message
from vla_driving.contract.navigation import Instruction
from vla_driving.contract.topics import BY_NAME
from vla_driving.nodes.qos import profile
from vla_driving.nodes.stack_node import message_type

LISTENER_S = 5.0
"""How long somebody who listens is looked for."""
FIRST_ANSWER_S = 5.0
_POLL_S = 0.05
_LAST_WORDS = frozenset(AnswerStatus) - {AnswerStatus.ACCEPTED, AnswerStatus.REMARK}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Options of the command."""
    parser = commands.add_parser(
        "say", help="tell the running car what to do, or ask it: prints what it answers"
    )
    parser.add_argument("text", nargs="?", help="in English; empty takes everything back")
    parser.add_argument(
        "--wait", type=float, default=0.0, metavar="S",
        help="after it is accepted, wait so long for it to be done",
    )
    parser.add_argument(
        "--expires", type=float, metavar="S", help="forgotten after so long; else the car's own"
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on printing all that it says, until Ctrl-C"
    )
    parser.add_argument("--namespace", default="/", help="of the stack's nodes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Say it and print; 0 where it was taken on or answered, 1 where refused or not understood."""
    if arguments.text is None and not arguments.follow:
        raise ValueError('say what? For instance: vla-driving say "drive at 30 km/h"')
    if arguments.expires is not None and arguments.expires <= 0.0:
        raise ValueError(f"--expires {arguments.expires:g}: expected seconds above 0")
    cockpit = _Cockpit(arguments.namespace)
    try:
        code = 0
        if arguments.text is not None:
            code = cockpit.say(arguments.text, arguments.expires, arguments.wait)
        if arguments.follow:
            cockpit.follow()
        return code
    except KeyboardInterrupt:
        return 0
    finally:
        cockpit.close()


class _Cockpit:
    """A node that speaks on vla/instruction and hears vla/answer."""

    def __init__(self, namespace: str) -> None:
        self._context, self._node, self._executor = make_node("cockpit_say", namespace)
        wish, answer = BY_NAME["vla/instruction"], BY_NAME["vla/answer"]
        self._heard: list[Answer] = []
        self._node.create_subscription(
            message_type(answer.type), answer.name,
            lambda m: self._heard.append(from_message(Answer, m)), profile(answer.delivery),
        )
        self._wishes = self._node.create_publisher(
            message_type(wish.type), wish.name, profile(wish.delivery)
        )

    def say(self, text: str, expires_s: float | None, wait_s: float) -> int:
        """Send a text and print the answers to it. Raises BringupError where nobody listens."""
        self._find_listener()
        now_ns = int(self._node.get_clock().now().nanoseconds)
        expires_ns = 0 if expires_s is None else now_ns + int(expires_s * 1e9)
        instruction = Instruction(now_ns, now_ns, text, "say", expires_ns)
        self._wishes.publish(to_message(instruction))
        status = self._answers(instruction.id, FIRST_ANSWER_S, wait_s)
        if status is None:
            raise BringupError(
                f"no answer within {FIRST_ANSWER_S:g} s: look at diagnostics of the node reasoner"
            )
        return 1 if status in (AnswerStatus.REFUSED, AnswerStatus.IGNORED) else 0

    def follow(self) -> None:
        """Print everything until interrupted."""
        while True:
            self._executor.spin_once(timeout_sec=_POLL_S)
            for answer in self._new():
                _show(answer)

    def close(self) -> None:
        """Leave the domain."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _find_listener(self) -> None:
        end = time.monotonic() + LISTENER_S
        while not (self._wishes.get_subscription_count() and self._answering()):
            if time.monotonic() > end:
                domain = os.environ.get("ROS_DOMAIN_ID") or "0"
                raise BringupError(
                    f"nobody listens on vla/instruction in ROS domain {domain}, namespace "
                    f"{self._node.get_namespace()}: start the stack with vla-driving up"
                )
            self._executor.spin_once(timeout_sec=_POLL_S)

    def _answering(self) -> bool:
        """Whether somebody is there to answer: a recorder alone listens as well."""
        return self._node.count_publishers("vla/answer") > 0

    def _answers(self, instruction_id: int, first_s: float, wait_s: float) -> AnswerStatus | None:
        status = None
        end = time.monotonic() + first_s
        while time.monotonic() < end:
            self._executor.spin_once(timeout_sec=_POLL_S)
            for answer in self._new():
                if answer.instruction_id != instruction_id:
                    continue
                _show(answer)
                if answer.status in _LAST_WORDS:
                    return answer.status
                status = answer.status
                end = time.monotonic() + wait_s
        return status

    def _new(self) -> list[Answer]:
        heard, self._heard = self._heard, []
        return heard


def _show(answer: Answer) -> None:
    print(f"{answer.status.name.lower()}: {answer.text}", flush=True)
    figures = ", ".join(f"{e.subject} {e.quantity} {e.value:.4g} {e.unit}".rstrip()
                        for e in answer.evidence if e.subject != "cause")
    if figures:
        print(f"    {figures}", flush=True)
