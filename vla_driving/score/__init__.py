"""The scoreboard: routes, instructions and reasons in closed loop through the whole stack."""
