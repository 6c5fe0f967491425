"""Entry functions for the tests of the sandbox: each does one thing that honest code has no reason to do."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

MEBIBYTE = 1 << 20


def echo(request, send):
    send(request.body, request.arrays)


def nothing(request, send):
    pass


def stream(request, send):
    for index in range(request.body["count"]):
        send({"index": index}, [bytes([index % 256]) * 1000])


def facts(request, send):
    send(
        {
            "environment": dict(os.environ),
            "cwd": os.getcwd(),
            "sid_is_own": os.getsid(0) == os.getpid(),
            "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
            "status": Path("/proc/self/status").read_text(),
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "modules": sorted(name for name in sys.modules if "." not in name),
        },
        [],
    )


def raise_error(request, send):
    raise ValueError(request.body["text"])


def raise_unprintable(request, send):
    class Evil(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    raise Evil


def leave(request, send):
    sys.exit(3)


def exit_early(request, send):
    os._exit(request.body["code"])


def die_by_signal(request, send):
    os.kill(os.getpid(), request.body["signal"])
    time.sleep(10)


def endless_loop(request, send):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    send({"started": True}, [])
    while True:
        pass


def endless_output(request, send):
    while True:
        print("x" * 10000)


def endless_messages(request, send):
    while True:
        send({}, [bytes(MEBIBYTE)])


def say_and_raise(request, send):
    print("on stdout", flush=True)
    print("on stderr", file=sys.stderr)
    raise KeyError("last")


def garbage(request, send):
    os.write(4, b"\x80\x04garbage that is no frame" * 100)
    time.sleep(10)


def half_frame(request, send):
    os.write(4, b"SYM")


def forged_end_then_more(request, send):
    send({"first": 1}, [])
    from harness import wire

    wire.write_message(4, wire.Message({"status": "ok", "detail": ""}, kind=wire.KIND_END))
    send({"late": 1}, [])
    time.sleep(10)


def forged_end_then_stay(request, send):
    from harness import wire

    wire.write_message(4, wire.Message({"status": "ok", "detail": ""}, kind=wire.KIND_END))
    time.sleep(30)


def forged_status(request, send):
    from harness import wire

    wire.write_message(4, wire.Message({"status": "proved", "detail": ""}, kind=wire.KIND_END))
    time.sleep(10)


def close_pipe(request, send):
    os.close(4)
    if request.body.get("stay"):
        time.sleep(30)


def memory_bomb(request, send):
    send({"started": True}, [])
    if request.body.get("numpy"):
        import numpy

        kept = [numpy.ones(16 * MEBIBYTE, dtype=numpy.uint8) for _ in range(10000)]
    else:
        kept = [bytearray(b"x" * (16 * MEBIBYTE)) for _ in range(10000)]
    send({"survived": len(kept)}, [])


def fork_memory_bomb(request, send):
    for _ in range(8):
        if os.fork() == 0:
            kept = bytearray(b"x" * (100 * MEBIBYTE))
            time.sleep(30)
            os._exit(len(kept) % 2)
    time.sleep(30)


def _name(error):
    return type(error).__name__


def try_network(request, send):
    results = {}
    for name, family, kind in (
        ("inet", socket.AF_INET, socket.SOCK_STREAM),
        ("inet6", socket.AF_INET6, socket.SOCK_STREAM),
        ("udp", socket.AF_INET, socket.SOCK_DGRAM),
        ("unix", socket.AF_UNIX, socket.SOCK_STREAM),
    ):
        try:
            with socket.socket(family, kind) as attempt:
                attempt.settimeout(2)
                attempt.connect(request.body["unix"] if name == "unix" else ("127.0.0.1", request.body["port"]))
            results[name] = "connected"
        except OSError as error:
            results[name] = _name(error)
    send(results, [])


def interfaces(request, send):
    with open("/proc/self/net/dev") as file:
        names = [line.split(":")[0].strip() for line in file if ":" in line]
    send({"interfaces": names}, [])


def try_read(request, send):
    results = {}
    for path in request.body["paths"]:
        try:
            with open(path) as file:
                results[path] = file.read(100)
        except OSError as error:
            results[path] = _name(error)
    send(results, [])


def try_write(request, send):
    results = {}
    for path in request.body["paths"]:
        try:
            if path.startswith("/proc/"):
                os.close(os.open(path, os.O_WRONLY))  # opening is proof enough, and harms nobody
            else:
                with open(path, "w") as file:
                    file.write("planted")
            results[path] = "written"
        except OSError as error:
            results[path] = _name(error)
    if request.body.get("scratch"):
        path = os.path.join(os.environ["TMPDIR"], "deep", "er", "file")
        results["left_before"] = sorted(os.listdir(os.environ["TMPDIR"]))
        try:
            os.makedirs(os.path.dirname(path))
            with open(path, "w") as file:
                file.write("mine")
            results["scratch"] = "written"
        except OSError as error:
            results["scratch"] = _name(error)
    send(results, [])


def deep_folders(request, send):
    os.chdir(os.environ["TMPDIR"])
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")


def try_calls(request, send):
    """Each forbidden call by its C function; what it answered by name."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    calls = {
        "fork": lambda: libc.fork(),
        "vfork": lambda: libc.vfork(),
        "execve": lambda: libc.execv(b"/bin/true", (ctypes.c_char_p * 2)(b"true", None)),
        "socket": lambda: libc.socket(2, 1, 0),
        "socketpair": lambda: libc.socketpair(1, 1, 0, (ctypes.c_int * 2)()),
        "ptrace": lambda: libc.ptrace(16, parent, None, None),
        "kill_parent": lambda: libc.kill(parent, 0),
        "kill_all": lambda: libc.kill(-1, 0),
        "kill_self": lambda: libc.kill(os.getpid(), 0),
        "mount": lambda: libc.mount(b"none", b"/", None, 1 << 18, None),
        "unshare_user": lambda: libc.unshare(0x10000000),
        "setns": lambda: libc.setns(0, 0),
        "setsid": lambda: libc.setsid(),
        "unlink": lambda: libc.unlink(b"/tmp/none"),
        "memfd_create": lambda: libc.memfd_create(b"x", 0),
        "shmget": lambda: libc.shmget(0, 4096, 0o1600),
        "setrlimit": lambda: libc.setrlimit(9, (ctypes.c_ulong * 2)(1 << 40, 1 << 40)),
        "getrlimit": lambda: libc.getrlimit(9, (ctypes.c_ulong * 2)()),
        "getpid": lambda: libc.getpid(),
    }
    if request.body.get("fork_is_allowed"):
        for name in ("fork", "vfork", "execve", "kill_all", "kill_parent"):
            del calls[name]
    results = {}
    for name, call in calls.items():
        ctypes.set_errno(0)
        value = call()
        if name in ("fork", "vfork") and value == 0:
            os._exit(0)
        results[name] = "ok" if value >= 0 else os.strerror(ctypes.get_errno())
    for name, x86_number in (("bpf", 321), ("perf_event_open", 298), ("io_uring_setup", 425), ("keyctl", 250)):
        if os.uname().machine == "x86_64":
            ctypes.set_errno(0)
            value = libc.syscall(x86_number, 0, 0, 0, 0, 0)
            results[name] = "ok" if value >= 0 else os.strerror(ctypes.get_errno())
    send(results, [])


def fork_bomb(request, send):
    send({"started": True}, [])
    while True:
        with contextlib.suppress(OSError):
            os.fork()


def thread_bomb(request, send):
    started = 0
    try:
        for _ in range(2000):
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
            started += 1
    finally:
        send({"started": started}, [])


def daemons(request, send):
    """Double-forked children in sessions of their own, deaf to SIGTERM and SIGHUP, marked in their command line."""
    script = "import signal,time\nfor s in (1,2,15): signal.signal(s, signal.SIG_IGN)\ntime.sleep(300)"
    for _ in range(3):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execv(sys.executable, [sys.executable, "-S", "-c", script, request.body["mark"]])
            os._exit(0)
    time.sleep(request.body["before_s"])
    send({"started": True}, [])
    time.sleep(request.body["after_s"])


def run_program(request, send):
    done = subprocess.run(["/bin/echo", "compiled"], capture_output=True, text=True, check=True, timeout=10)
    send({"said": done.stdout}, [])


def poke_server(request, send):
    """Try to reach the memory of the server that forked this child."""
    try:
        with open(f"/proc/{os.getppid()}/mem", "rb"):
            send({"mem": "opened"}, [])
    except OSError as error:
        send({"mem": _name(error)}, [])


def kill_server(request, send):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.3)
    send({"still_here": True}, [])
