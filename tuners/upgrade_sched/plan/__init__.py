"""Planning a fleet's upgrades: inputs, schedule, checks, replanning and what is written of them."""
