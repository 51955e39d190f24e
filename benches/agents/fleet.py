"""nats-server by deploy/nats.conf, agents at it, and runs over them; on this machine, for the scripts beside it."""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TICK = os.sysconf("SC_CLK_TCK")
PASSWORDS = {"agent": "wAgent1", "coordinator": "wCoordinator2"}


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def cpu_of(pid):
    """Seconds of CPU that a process has used, without its children."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def children_of(pid):
    return open(f"/proc/{pid}/task/{pid}/children").read().split()


class Fleet:
    """So many agents at a nats-server of their own; all of it ends with the `with`. `apart`: on machines with networks of their
    own (tests/agents/netns.sh, needs root), agents on two in turn, all else on a third."""

    def __init__(self, program, agents, apart=False):
        self.program, self.count = str(program), agents
        self.machines = f"wsb{os.getpid()}" if apart else None
        self.host, self.address = ("198.18.7.1", "198.18.8.1") if apart else ("127.0.0.1", "127.0.0.1")

    def netns(self, what):
        if self.machines:
            subprocess.run(["bash", ROOT / "tests/agents/netns.sh", what, self.machines], check=True)

    def on(self, machine, command):
        """`command` on one of the machines `s`, `a` and `b`."""
        return ["ip", "netns", "exec", f"{self.machines}-{machine}", *command] if self.machines else command

    def __enter__(self):
        self.netns("up")
        self.folder = tempfile.TemporaryDirectory(prefix="wsbench-agents-")
        self.path = pathlib.Path(self.folder.name)
        self.port, self.monitor = free_ports(2)
        env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
        env.update({f"WSBENCH_{user.upper()}_PASSWORD": word for user, word in PASSWORDS.items()})
        self.processes = []
        command = ["nats-server", "-a", self.host, "-p", str(self.port), "-m", str(self.monitor)]
        self.server = self.start(self.on("s", command + ["-c", str(ROOT / "deploy/nats.conf")]), env, "nats")
        while "Server is ready" not in (self.path / "nats.log").read_text():
            time.sleep(0.05)
        agent = lambda n: self.wsbench("ab"[n % 2], ["agent", "--name", f"n{n}"], "agent", f"agent-{n}")
        self.agents = [agent(n) for n in range(self.count)]
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        self.netns("down")
        self.folder.cleanup()

    def start(self, command, env, name):
        said, log = open(self.path / f"{name}.out", "w"), open(self.path / f"{name}.log", "w")
        process = subprocess.Popen(command, env=env, stdout=said, stderr=log, stdin=subprocess.DEVNULL)
        self.processes.append(process)
        return process

    def wsbench(self, machine, words, user, name):
        env = {**os.environ, "WSBENCH_NATS_URL": f"nats://{self.host}:{self.port}", "WSBENCH_NATS_USER": user,
               "WSBENCH_NATS_PASSWORD": PASSWORDS[user]}
        return self.start(self.on(machine, [self.program] + words), env, name)

    def begin_run(self, scenario, name, more=()):
        """Over all of them; the process, and the folder of its report."""
        file, out = self.path / f"{name}.toml", self.path / name
        file.write_text(scenario)
        words = ["run", str(file), "--out", str(out), "--no-charts", "--agents", str(self.count), "--wait", "120s", *more]
        words += ["--advertise", self.address]
        return self.wsbench("s", words, "coordinator", name), out

    def page(self, path):
        return json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/{path}"))

    def coordinator(self):
        """What the server says of the coordinator's connection, messages and payload bytes; None: it has none."""
        for connection in self.page("connz?auth=true&limit=4096")["connections"]:
            if connection.get("authorized_user") == "coordinator":
                return {key: connection[key] for key in ["in_msgs", "out_msgs", "in_bytes", "out_bytes"]}
        return None
