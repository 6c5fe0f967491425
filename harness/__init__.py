"""Running untrusted or expensive work: sandbox, worker pool, limits and cache; knows nothing of the loop."""
