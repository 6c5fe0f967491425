"""The tuners of sharding, storage and upgrades; each brings its analyzer, proposers and evaluator."""
