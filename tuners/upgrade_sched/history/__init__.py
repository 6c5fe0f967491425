"""Histories of upgrades that ran: read from tables and logs, checked value by value, and analyzed."""
