# SPDX-License-Identifier: GPL-2.0-or-later
"""Process 1 of the guest. Runs one job and powers off.

Started by the guest's kernel with Debian's own Python and the standard library only. The host's
root is mounted read-only; what the job may write is the job folder (at /run/lab) and the folders
named in ``job.json``.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import stat
import subprocess
import termios
from typing import Any

MS_RDONLY, MS_NOSUID, MS_BIND = 1, 2, 4096
LAB = "/run/lab"
libc = ctypes.CDLL(None, use_errno=True)


def mount(kind: str, target: str, data: str = "", flags: int = 0, source: str = "none") -> None:
    """mount(2); the kernel's reason as OSError."""
    os.makedirs(target, exist_ok=True)
    words = [os.fsencode(w) for w in (source, target, kind)]
    if libc.mount(*words, flags, os.fsencode(data)):
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind} on {target}: {os.strerror(number)}")


def sysctl(name: str, value: str) -> None:
    with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
        file.write(value)


def prepare(folder: str) -> dict[str, Any]:
    """Mount what a job expects of a machine; return the job."""
    mount("proc", "/proc")
    mount("sysfs", "/sys")
    mount("cgroup2", "/sys/fs/cgroup")
    mount("devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=620")
    if os.path.lexists("/dev/ptmx"):
        os.unlink("/dev/ptmx")
    os.symlink("pts/ptmx", "/dev/ptmx")
    os.makedirs("/dev/net", exist_ok=True)
    if not os.path.exists("/dev/net/tun"):
        os.mknod("/dev/net/tun", 0o666 | stat.S_IFCHR, os.makedev(10, 200))
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        if not os.path.lexists(f"/dev/{name}"):
            os.symlink(target, f"/dev/{name}")
    mount("tmpfs", "/run", "mode=755")
    # Before any tmpfs hides it: the job folder may itself lie in one of those places.
    mount("hostfs", LAB, folder)
    with open(LAB + "/job.json") as file:
        job: dict[str, Any] = json.load(file)
    for place in ("/tmp", "/var/tmp", "/dev/shm"):
        mount("tmpfs", place, "mode=1777")
    for path in ("/run/netns", "/run/lock"):
        os.makedirs(path, exist_ok=True)
    for source, target, writable in job["folders"]:
        mount("hostfs", target, source, 0 if writable else MS_RDONLY)
    libc.sethostname(b"lab", 3)
    sysctl("kernel.printk", "1 4 1 7")
    # Otherwise every new namespace gets tunl0, gre0 … which swallow packets meant for nobody.
    sysctl("net.core.fb_tunnels_only_for_init_net", "2")
    return job


def raw(console: str) -> int:
    """Open a console that passes octets through unchanged."""
    descriptor = os.open(console, os.O_RDWR | os.O_NOCTTY)
    attributes = termios.tcgetattr(descriptor)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    return descriptor


def input_console(console: str) -> int:
    """Open a console to read lines from.

    Who types has seen them already, and has corrected them at a terminal of the host: no echo, and
    no octet has a meaning but those for the input's end and Ctrl-C.
    """
    descriptor = os.open(console, os.O_RDWR | os.O_NOCTTY)
    attributes = termios.tcgetattr(descriptor)
    attributes[0] = 0
    attributes[3] = termios.ICANON | termios.ISIG
    kept = (termios.VINTR, termios.VEOF)
    attributes[6] = [value if number in kept else b"\0" for number, value in enumerate(attributes[6])]
    termios.tcsetattr(descriptor, termios.TCSANOW, attributes)
    return descriptor


def take_terminal() -> None:
    """In the job, before its program: what interrupts at the terminal of its input interrupts it.

    That waits until the program is ready for it and unblocks the signal.
    """
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])


def run(job: dict[str, Any]) -> int:
    """Run the job's command; its exit code as a shell gives it."""
    if job["live"]:
        output, errors = raw("/dev/tty1"), raw("/dev/tty2")
    else:
        output = os.open(LAB + "/stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        errors = os.open(LAB + "/stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    source = input_console("/dev/tty3") if job["input"] else subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            job["argv"],
            stdin=source,
            stdout=output,
            stderr=errors,
            env=job["environment"],
            cwd=job["cwd"],
            start_new_session=True,
            preexec_fn=take_terminal if job["input"] else None,
        )
    except OSError as error:
        os.write(errors, f"{error}\n".encode())
        return 127
    if job["input"]:
        # Earlier the kernel would miss what is written, and Ctrl-C before the job has its terminal.
        with open(LAB + "/input-open", "w") as file:
            os.fsync(file.fileno())
    while True:  # process 1 also inherits every orphan
        pid, status = os.wait()
        if pid == process.pid:
            break
    for descriptor in (output, errors):
        if job["live"]:
            termios.tcdrain(descriptor)
        else:
            os.fsync(descriptor)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main() -> None:
    """Run the job and power off, whatever happens."""
    # What process 1 has no handler for does not reach it; what it ignored, its job would ignore too.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    code: int | None = None  # stays so if there was no job to run: not one of its exit codes
    try:
        # Still the host's /proc: the current folder of the kernel process, which is the job folder.
        job = prepare(os.readlink("/proc/self/cwd"))
        code = run(job)
    finally:
        try:
            with open(LAB + "/exit-code", "w") as file:
                file.write(str(code))
                file.flush()
                os.fsync(file.fileno())
        finally:
            os.sync()
            with open("/proc/sysrq-trigger", "w") as file:
                file.write("o")
            signal.pause()


if __name__ == "__main__":
    main()
