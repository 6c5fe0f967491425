"""Small input files for tests: a fleet of six servers and what belongs to it."""

from __future__ import annotations

from pathlib import Path

from tuners.upgrade_sched.plan.load import Sources

FLEET = """server,rack,zone,service,down
a1,r1,x,web,
a2,r1,x,web,
a3,r2,x,web,
b1,r2,y,db,
b2,r3,y,db,
b3,r4,y,db,true
"""
UPGRADES = """server,type,priority,deadline,not_before,after,wave,mean_min,spread_min
a1,os,2,,,,,30,5
a2,os,2,,,,,30,5
a3,os,1,,,a1,,40,5
b1,bios,1,2026-03-03T00:00:00Z,,,,20,2
b2,bios,1,,2026-03-01T22:30:00Z,,,20,2
"""
WINDOWS = """window,start,end,slots,zone
one,2026-03-01T22:00:00Z,2026-03-02T00:00:00Z,2,
two,2026-03-02T22:00:00Z,2026-03-03T00:00:00Z,2,x;y
"""
RULES = """[system]
max_running = 3

[[limit]]
domain = "rack"
max_down = 1

[[floor]]
domain = "service"
min_up = 1

[[wave]]
name = "canary"
servers = ["a1"]
soak_hours = 1

[[blackout]]
name = "sale"
start = 2026-03-02T22:00:00Z
end = 2026-03-02T22:15:00Z
where = { zone = "x" }
"""
TEXTS = {"fleet.csv": FLEET, "upgrades.csv": UPGRADES, "windows.csv": WINDOWS, "rules.toml": RULES}


def write(folder: Path, **changed: str) -> Sources:
    """Write the files into ``folder``; ``fleet``, ``upgrades``, ``windows`` and ``rules`` replace texts, and ``types``
    adds a table of durations by type."""
    for name, text in TEXTS.items():
        (folder / name).write_text(changed.get(name.split(".")[0], text), encoding="utf-8")
    types = folder / "types.csv" if "types" in changed else None
    if types:
        types.write_text(changed["types"], encoding="utf-8")
    return Sources(folder / "fleet.csv", folder / "windows.csv", folder / "upgrades.csv", folder / "rules.toml", types)
