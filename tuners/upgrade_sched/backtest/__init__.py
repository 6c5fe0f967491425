"""How good a policy would have been on a history: demand cut into windows, an online simulation, and the loop."""
