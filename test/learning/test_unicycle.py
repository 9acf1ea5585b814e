import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_driving.contract import trajectory

torch = pytest.importorskip("torch", reason="torch is not installed: requirements/learning.txt")

from vla_driving.learning.unicycle import integrate

controls = st.lists(st.floats(-8.0, 4.0), min_size=64, max_size=64)
bends = st.lists(st.floats(-0.2, 0.2), min_size=64, max_size=64)


@given(st.floats(0.0, 30.0), controls, bends)
@settings(max_examples=60, deadline=None)
def test_torch_and_contract_agree(speed, acceleration, curvature):
    expected = trajectory.integrate(speed, acceleration, curvature)
    motion = integrate(
        torch.tensor(speed, dtype=torch.float64),
        torch.tensor(acceleration, dtype=torch.float64),
        torch.tensor(curvature, dtype=torch.float64),
    )
    for name in ("x", "y", "heading", "speed"):
        np.testing.assert_allclose(
            getattr(motion, name).numpy(), getattr(expected, name), rtol=1e-5, atol=2e-5
        )


def test_gradient_reaches_the_controls():
    acceleration = torch.full((64,), 0.5, requires_grad=True)
    curvature = torch.full((64,), 0.01, requires_grad=True)
    motion = integrate(torch.tensor(5.0), acceleration, curvature)
    (motion.x[-1] + motion.y[-1]).backward()
    assert acceleration.grad is not None and curvature.grad is not None
    assert (acceleration.grad > 0.0).all()
    assert (curvature.grad[:-1] != 0.0).all()
