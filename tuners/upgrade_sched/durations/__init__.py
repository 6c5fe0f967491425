"""Models of how long upgrades take: history statistics, boosted trees under several losses, survival, conformal."""
