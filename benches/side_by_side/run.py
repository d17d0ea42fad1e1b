#!/usr/bin/env python3
"""What a request costs: Outcrop beside nginx and HAProxy, as plain reverse proxies with TLS upstream.

    benches/side_by_side/run.py [--rounds 5] [--seconds 10] [--works NAME …] [--smoke] [--without-outcrop | --accounts]

One nginx with one worker plays the upstream over TLS. The proxies run in turn, A B C A B C …, each with
one worker, loaded by wrk over 64 keep-alive connections; what counts is the CPU time of the proxy's own
processes per request (all threads, from /proc), since on a small machine load and upstream share its
cores. Every proxy gets the same bytes. Outcrop also checks the key, picks a deployment and signs; the
others do neither. Needs nginx, haproxy, wrk and openssl (Debian's packages of these names) and
`cargo build --release`; installs nothing, listens on loopback only, ends what it started.

`--accounts` sets Outcrop beside itself: as it is, with an access log in a file, with daily sums in the store
but no rows, and keeping no account at all. The CPU time of its cores is told apart from that of its
other threads (ledger, store, log), which run beside them.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import setups

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
CONNECTIONS = 64
START_SECONDS_MAX = 15
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def main():
    options = parse_options()
    require_tools(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="side-by-side-")))
        proxies = start_all(stack, folder, options)
        for proxy in proxies:
            for work in setups.WORKS:
                check_answer(proxy, work)
        lua = write_lua(folder)
        runs = measure(proxies, lua, options)
        started = {proxy.name: {"command": proxy.command_line, "said": proxy.said()} for proxy in proxies}
    record = summarize(runs, started, options)
    print(accounts_table(record) if options.accounts else table(record))
    if options.smoke or options.without_outcrop:
        print("not recorded: " + ("smoke run" if options.smoke else "without Outcrop"))
    else:
        print("recorded in", write_record(record, "-accounts" if options.accounts else ""))


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="A B C rounds per kind of work (5)")
    parser.add_argument("--seconds", type=int, default=10, help="load per proxy and round (10)")
    parser.add_argument("--works", nargs="+", choices=[work.name for work in setups.WORKS],
                        default=[work.name for work in setups.WORKS], help="some kinds of work only (all)")
    parser.add_argument("--smoke", action="store_true", help="one second each: does everything answer?")
    parser.add_argument("--without-outcrop", action="store_true", help="the others alone; no record")
    parser.add_argument("--accounts", action="store_true", help="what keeping account costs")
    parser.add_argument("--binary", type=pathlib.Path, default=REPOSITORY / "target/release/outcrop")
    options = parser.parse_args()
    if options.smoke:
        options.rounds, options.seconds = 1, 1
    if options.rounds < 1 or options.seconds < 1:
        parser.error("--rounds and --seconds are at least 1")
    return options


def require_tools(options):
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where Debian keeps nginx and haproxy
    missing = [tool for tool in ("nginx", "haproxy", "wrk", "openssl") if not shutil.which(tool)]
    if missing:
        sys.exit(f"missing: {' '.join(missing)}. Debian: apt-get install nginx haproxy wrk openssl")
    if not options.without_outcrop and not options.binary.is_file():
        sys.exit(f"missing: {options.binary}. Build it: cargo build --release")


class Server:
    """A process of ours, from start to end, and what it consumed."""

    def __init__(self, name, command, port, folder, environment=None):
        self.name, self.port = name, port
        self.command_line = " ".join(map(str, command))
        self.log = folder / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                cwd=folder, env={**os.environ, **(environment or {})})

    def __enter__(self):
        try:
            self.await_port()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def await_port(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.05)
        sys.exit(f"{self.name} does not listen on port {self.port}:\n{self.log_tail()}")

    def end(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                print(f"{self.name} ignored SIGTERM for 10 s; killed", file=sys.stderr)
                for pid in self.pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()

    def log_tail(self):
        return self.log.read_text(errors="replace")[-2000:]

    def said(self):
        """Its first words: Outcrop's name the driver in use."""
        return self.log.read_text(errors="replace")[:1000]

    def pids(self):
        """The process and its children, which is as deep as nginx goes."""
        pid = self.process.pid
        return [pid] + children(pid)

    def consumed(self):
        """User and system seconds so far, ended threads included. The kernel scales the two so that
        their sum is what the scheduler measured; only the split between them is sampled."""
        user, system = 0, 0
        for pid in self.pids():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user / TICKS_PER_SECOND, system / TICKS_PER_SECOND

    def cores_consumed(self):
        """Seconds that the threads of Outcrop's cores ran, by the scheduler's account."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("outcrop-core"):
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def resident_kib(self):
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
        return total


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread ended meanwhile
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def start_all(stack, folder, options):
    certificates = setups.make_certificates(folder)
    upstream_port = free_port()
    setups.write_contents(folder)
    command = setups.upstream(folder, certificates, upstream_port)
    stack.enter_context(Server("upstream", command, upstream_port, folder))
    proxies = []
    kinds = [setups.nginx, setups.haproxy]
    if options.accounts:
        kinds = [setups.outcrop(options.binary.resolve(), name) for name in setups.ACCOUNTS]
    elif not options.without_outcrop:
        kinds.insert(0, setups.outcrop(options.binary.resolve()))
    for kind in kinds:
        port = free_port()
        name, command, environment = kind(folder, certificates, upstream_port, port)
        proxies.append(stack.enter_context(Server(name, command, port, folder, environment)))
    return proxies


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def check_answer(proxy, work):
    """Two requests over one connection: 200, the right type, every byte as upstream has it."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
            for _ in range(2):
                connection.request("POST", work.target, setups.REQUEST_CONTENT, setups.REQUEST_FIELDS)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200 or content != work.content:
                    raise ValueError(f"{answer.status}, {len(content)} bytes: {content[:300]!r}")
                if answer.getheader("content-type") != work.content_type:
                    raise ValueError(f"content-type {answer.getheader('content-type')}")
            connection.close()
            return
        except (OSError, ValueError, http.client.HTTPException) as wrong:
            # A proxy may listen before it is ready; it must be ready in time.
            if time.monotonic() > deadline:
                sys.exit(f"{proxy.name}, {work.name}: {wrong}\n{proxy.log_tail()}")
            time.sleep(0.2)


def write_lua(folder):
    lua = folder / "post.lua"
    fields = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in setups.REQUEST_FIELDS.items())
    lua.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [[{setups.REQUEST_CONTENT.decode()}]]\n" + fields +
        """
        function done(summary, latency, requests)
          local e = summary.errors
          io.write(string.format(
            '\\nJSON{"requests":%d,"bytes":%d,"microseconds":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\\n',
            summary.requests, summary.bytes, summary.duration,
            e.connect + e.read + e.write + e.status + e.timeout,
            latency:percentile(50), latency:percentile(99)))
        end
        """)
    return lua


def load(proxy, work, lua, seconds):
    url = f"http://127.0.0.1:{proxy.port}{work.target}"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", lua, url]
    output = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    lines = [line for line in output.stdout.splitlines() if line.startswith("JSON")]
    if output.returncode != 0 or not lines:
        sys.exit(f"wrk failed: {output.stdout}{output.stderr}")
    result = json.loads(lines[0].removeprefix("JSON"))
    if result["errors"] or not result["requests"]:
        sys.exit(f"{proxy.name}, {work.name}: not only 200s: {result}\n{proxy.log_tail()}")
    if result["bytes"] < result["requests"] * len(work.content):
        sys.exit(f"{proxy.name}, {work.name}: short answers: {result}")
    return result


def wanted(options):
    return [work for work in setups.WORKS if work.name in options.works]


def measure(proxies, lua, options):
    runs = []
    for work in wanted(options):
        for proxy in proxies:
            load(proxy, work, lua, 1)  # connections, sessions and caches are warm before the first round
        for round_number in range(options.rounds):
            for proxy in proxies:
                before, cores_before = proxy.consumed(), proxy.cores_consumed()
                result = load(proxy, work, lua, options.seconds)
                after, cores_after = proxy.consumed(), proxy.cores_consumed()
                requests = result["requests"]
                user, system = (b - a for a, b in zip(before, after))
                run = {
                    "work": work.name, "proxy": proxy.name, "round": round_number,
                    "cpu_us": (user + system) * 1e6 / requests,
                    "user_us": user * 1e6 / requests, "system_us": system * 1e6 / requests,
                    "cores_us": (cores_after - cores_before) * 1e6 / requests,
                    "per_second": requests * 1e6 / result["microseconds"],
                    "p50_us": result["p50_us"], "p99_us": result["p99_us"],
                    "rss_kib": proxy.resident_kib(), "requests": requests,
                }
                runs.append(run)
                print(f"{work.name:>8} {round_number} {proxy.name:<12} {run['cpu_us']:8.1f} µs CPU/request "
                      f"{run['cores_us']:8.1f} of cores "
                      f"{run['per_second']:9.0f} requests/s {run['rss_kib']:7d} KiB", flush=True)
    return runs


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def summarize(runs, started, options):
    works = {}
    for work in wanted(options):
        rows = works[work.name] = {}
        for run in runs:
            if run["work"] == work.name:
                rows.setdefault(run["proxy"], []).append(run)
        for proxy, its in rows.items():
            keys = ("cpu_us", "cores_us", "user_us", "system_us", "per_second", "p50_us", "p99_us", "rss_kib")
            rows[proxy] = {key: spread([run[key] for run in its]) for key in keys}
        for proxy, row in rows.items():
            for rival in rivals(options):
                row[f"to_{rival}"] = spread(ratios(runs, work.name, proxy, rival))
                if options.accounts:
                    row[f"cores_to_{rival}"] = spread(ratios(runs, work.name, proxy, rival, "cores_us"))
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit(), "machine": machine(), "versions": versions(), "started": started,
        "connections": CONNECTIONS, "rounds": options.rounds, "seconds": options.seconds,
        "works": works, "runs": runs,
    }


def rivals(options):
    return ["outcrop-none"] if options.accounts else ["nginx", "haproxy"]


def ratios(runs, work, proxy, rival, key="cpu_us"):
    """CPU per request, round by round: what disturbs a round disturbs both."""
    of = {(run["proxy"], run["round"]): run[key] for run in runs if run["work"] == work}
    return [cost / of[rival, number] for (name, number), cost in of.items() if name == proxy]


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=30)
    except OSError:
        return ""
    return (done.stdout + done.stderr).strip()


def commit():
    name = output_of("git", "rev-parse", "--short=10", "HEAD")
    if not name or not set(name) <= set("0123456789abcdef"):  # no repository, or git's complaint
        return "unknown"
    return name + ("-dirty" if output_of("git", "status", "--porcelain", "-uno") else "")


def machine():
    model = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo")
                  if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release()}


def versions():
    return {
        "nginx": output_of("nginx", "-v").rpartition("/")[2],
        "haproxy": output_of("haproxy", "-v").split("\n")[0].removeprefix("HAProxy version ").split(" ")[0],
        "wrk": (output_of("wrk", "-v").split() + ["", ""])[1],
        "openssl": output_of("openssl", "version"), "rustc": output_of("rustc", "--version"),
    }


def table(record):
    where = record["machine"]
    lines = [
        "", f"{where['cpu']}, {where['cores']} cores, Linux {where['kernel']}; commit {record['commit']}, "
        f"{record['date'][:10]}; medians of {record['rounds']} interleaved rounds of {record['seconds']} s "
        f"(min–max), ratios likewise; {record['connections']} connections, one worker each.", "",
        "| answer | proxy | CPU µs/request | user + system | to nginx | to HAProxy | requests/s | RSS MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for work in setups.WORKS:
        for proxy, row in record["works"].get(work.name, {}).items():
            cpu = row["cpu_us"]
            lines.append(
                f"| {work.title} | {proxy} | {cpu['median']:.1f} ({cpu['min']:.1f}–{cpu['max']:.1f}) "
                f"| {row['user_us']['median']:.1f} + {row['system_us']['median']:.1f} "
                f"| {row['to_nginx']['median']:.2f} | {row['to_haproxy']['median']:.2f} "
                f"| {row['per_second']['median']:,.0f} | {row['rss_kib']['median'] / 1024:.0f} |")
    return "\n".join(lines) + "\n"


def accounts_table(record):
    where = record["machine"]
    lines = [
        "", f"{where['cpu']}, {where['cores']} cores, Linux {where['kernel']}; commit {record['commit']}, "
        f"{record['date'][:10]}; medians of {record['rounds']} interleaved rounds of {record['seconds']} s "
        f"(min–max), ratios likewise; {record['connections']} connections, one worker each.", "",
        "| answer | Outcrop keeps | CPU µs/request of its core | to none | of all its threads | to none | requests/s |",
        "|---|---|---|---|---|---|---|",
    ]
    for work in setups.WORKS:
        for proxy, row in record["works"].get(work.name, {}).items():
            cores, cpu = row["cores_us"], row["cpu_us"]
            lines.append(
                f"| {work.title} | {setups.ACCOUNTS_TITLES[proxy]} "
                f"| {cores['median']:.1f} ({cores['min']:.1f}–{cores['max']:.1f}) "
                f"| {row['cores_to_outcrop-none']['median']:.2f} "
                f"| {cpu['median']:.1f} ({cpu['min']:.1f}–{cpu['max']:.1f}) "
                f"| {row['to_outcrop-none']['median']:.2f} | {row['per_second']['median']:,.0f} |")
    return "\n".join(lines) + "\n"


def write_record(record, kind):
    path = REPOSITORY / "benches/records" / f"{record['date'][:10]}-{record['commit']}{kind}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    return path.relative_to(REPOSITORY)


if __name__ == "__main__":
    main()
