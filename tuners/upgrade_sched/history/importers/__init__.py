"""Readers of logs that others write: batch systems, package managers, Kubernetes."""
