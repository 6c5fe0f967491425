"""``upgrade-sched``: learn how long upgrades take and fit them into maintenance windows."""
