"""The checker: checks, arbiter, engagement, minimum-risk manoeuvres. Knows no model."""
