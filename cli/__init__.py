"""The door: one file per subcommand; parses, calls and renders, and holds no logic."""
