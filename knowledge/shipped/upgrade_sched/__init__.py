"""Shipped knowledge for upgrade-sched: durations, admission and windows, as Markdown beside this file."""
