"""The servers of the side-by-side bench: certificates, contents, configurations, command lines.

Each proxy is set up as someone who wants throughput would: keep-alive on both sides, the upstream's
certificate verified, TLS sessions reused, no access log, nothing written to disk. The upstream offers
TLS 1.3 with AES-128-GCM alone, which is what AWS's front ends choose, so that all encrypt alike.
"""

import base64
import dataclasses
import json
import socket
import struct
import subprocess
import zlib

KEY = "sk-side-by-side-0123456789abcdef"
REQUEST_FIELDS = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}


def padded(value, name, size):
    """`value` as JSON of exactly `size` bytes, its field `name` filled up."""
    empty = len(json.dumps(value | {name: ""}))
    return json.dumps(value | {name: "x" * (size - empty)}).encode()


REQUEST_CONTENT = padded({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 64}, "prompt", 200)


@dataclasses.dataclass(frozen=True)
class Work:
    name: str
    title: str
    size: int

    is_stream: bool = False

    @property
    def target(self):
        return f"/bedrock/model/{self.name}/invoke" + ("-with-response-stream" if self.is_stream else "")

    @property
    def content_type(self):
        return "application/vnd.amazon.eventstream" if self.is_stream else "application/json"

    @property
    def content(self):
        if self.is_stream:
            return frames(self.size)
        usage = {"usage": {"input_tokens": 40, "output_tokens": 64}, "stop_reason": "end_turn"}
        return padded(usage, "completion", self.size)


FRAME_BYTES = 218  # of a short delta of Claude's: 300 of them in 64 KiB


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def frame(event, size=None):
    """One frame as AWS writes it, padded to `size` bytes."""
    def header(name, value):
        return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    headers = header(":event-type", "chunk") + header(":content-type", "application/json")
    headers += header(":message-type", "event")
    payload = {"bytes": base64.b64encode(compact(event)).decode(), "p": ""}
    bare = len(compact(payload)) + len(headers) + 16
    payload["p"] = "x" * ((size or bare) - bare)
    content = compact(payload)
    prelude = struct.pack(">II", len(content) + len(headers) + 16, len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + content
    return message + struct.pack(">I", zlib.crc32(message))


def frames(size):
    """A stream of exactly `size` bytes, which ends as Claude's does: with what it used."""
    text = {"type": "text_delta", "text": "word"}
    delta = frame({"type": "content_block_delta", "index": 0, "delta": text}, FRAME_BYTES)
    metrics = {"inputTokenCount": 40, "outputTokenCount": 64, "invocationLatency": 9, "firstByteLatency": 5}
    last = {"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}
    count = (size - len(frame(last))) // len(delta)
    return delta * count + frame(last, size - count * len(delta))


WORKS = [
    Work("small", "600 B", 600), Work("body64k", "64 KiB", 64 * 1024), Work("body1m", "1 MiB", 1024 * 1024),
    Work("frames64k", "64 KiB in 300 frames", 64 * 1024, is_stream=True),
]


def make_certificates(folder):
    """A CA of our own and a certificate for localhost: (ca, certificate, key)."""
    ca, ca_key = folder / "ca.pem", folder / "ca.key"
    certificate, key, wish = folder / "localhost.pem", folder / "localhost.key", folder / "localhost.csr"
    names = folder / "names.cnf"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for arguments in (
        ["req", "-x509", *curve, "-days", "30", "-subj", "/CN=side-by-side CA", "-keyout", ca_key, "-out", ca,
         "-addext", "keyUsage=critical,keyCertSign"],
        ["req", *curve, "-subj", "/CN=localhost", "-keyout", key, "-out", wish],
        ["x509", "-req", "-in", wish, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-days", "30",
         "-extfile", names, "-out", certificate],
    ):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    return ca, certificate, key


def write_contents(folder):
    for work in WORKS[1:]:
        (folder / f"{work.name}.json").write_bytes(work.content)


NGINX_COMMON = """
user root;
daemon off;
worker_processes 1;
pid {folder}/{name}.pid;
error_log {folder}/{name}-error.log warn;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    default_type application/json;
    keepalive_timeout 300s;
    keepalive_requests 100000000;
    tcp_nodelay on;
    client_body_temp_path {folder}/{name}-body;
    proxy_temp_path {folder}/{name}-proxy;
    fastcgi_temp_path {folder}/{name}-fastcgi;
    uwsgi_temp_path {folder}/{name}-uwsgi;
    scgi_temp_path {folder}/{name}-scgi;
"""


def nginx_command(folder, name, text):
    configuration = folder / f"{name}.conf"
    configuration.write_text(NGINX_COMMON.format(folder=folder, name=name) + text)
    return ["nginx", "-p", folder, "-e", folder / f"{name}-error.log", "-c", configuration]


def upstream(folder, certificates, port):
    _, certificate, key = certificates
    small = WORKS[0].content.decode()
    listen = f"listen 127.0.0.1:{port} ssl;" + (f" listen [::1]:{port} ssl;" if has_ipv6() else "")
    # nginx answers a POST to a file with 405; the error page turns that into the file.
    files = "".join(
        f"location ~ {work.name} {{ error_page 405 =200 /{work.name}.json; root {folder}/none; return 405; }}\n"
        f"location = /{work.name}.json {{ internal; root {folder}; types {{ }} default_type {work.content_type}; }}\n"
        for work in WORKS[1:])
    return nginx_command(folder, "upstream", f"""
    open_file_cache max=16;
    types {{ application/json json; }}
    server {{
        {listen}
        server_name localhost;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
        ssl_session_cache shared:tls:4m;
        add_header x-amzn-requestid 0f3cf1a6-6f2e-4c43-9d2e-5b4ad21f8a90 always;
        add_header x-amzn-bedrock-input-token-count 40 always;
        add_header x-amzn-bedrock-output-token-count 64 always;
        location ~ {WORKS[0].name} {{ return 200 '{small}'; }}
        {files}
    }}
}}
""")


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def nginx(folder, certificates, upstream_port, port):
    text = f"""
    upstream bedrock {{
        server 127.0.0.1:{upstream_port};
        keepalive 128;
        keepalive_requests 100000000;
        keepalive_timeout 300s;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass https://bedrock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host localhost;
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {certificates[0]};
            proxy_ssl_session_reuse on;
            proxy_ssl_protocols TLSv1.3;
            proxy_buffer_size 16k;
            proxy_buffers 16 16k;
            proxy_busy_buffers_size 64k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""
    return "nginx", nginx_command(folder, "nginx", text), None


def haproxy(folder, certificates, upstream_port, port):
    configuration = folder / "haproxy.cfg"
    configuration.write_text(f"""
global
    nbthread 1
    maxconn 4096
    tune.bufsize 16384
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    http-reuse always
frontend clients
    bind 127.0.0.1:{port}
    default_backend bedrock
backend bedrock
    http-request set-header Host localhost
    server aws 127.0.0.1:{upstream_port} ssl verify required ca-file {certificates[0]} sni str(localhost) verifyhost localhost pool-purge-delay 300s
""")
    return "haproxy", ["haproxy", "-db", "-f", configuration], None


# How much account Outcrop keeps, for `run.py --accounts`: lines of its configuration.
ACCOUNTS = {
    "outcrop": "",
    "outcrop-log": "  access_log: access.log\n",
    "outcrop-sums": "",
    "outcrop-none": "  ledger:\n    enabled: false\n",
}
ACCOUNTS_TITLES = {
    "outcrop": "rows and sums",
    "outcrop-log": "rows, sums and an access log",
    "outcrop-sums": "sums alone",
    "outcrop-none": "no account",
}


def outcrop(binary, name="outcrop"):
    """One worker; `name` is a key of ACCOUNTS."""
    def setup(folder, certificates, upstream_port, port):
        deployments = "".join(f"""
  - model_name: {work.name}
    litellm_params:
      model: bedrock/bench.{work.name}
      aws_region_name: us-east-1
      aws_access_key_id: AKIAOUTCROPBENCH0000
      aws_secret_access_key: side-by-side-secret
      aws_bedrock_runtime_endpoint: https://localhost:{upstream_port}
      input_cost_per_token: 0.000003
      output_cost_per_token: 0.000015""" for work in WORKS)
        configuration = folder / f"{name}.yaml"
        rows = "  disable_spend_logs: true\n" if name == "outcrop-sums" else ""
        (folder / f"{name}.data").mkdir()
        configuration.write_text(
            f"model_list:{deployments}\ngeneral_settings:\n  master_key: {KEY}\n{rows}"
            f"outcrop:\n  data_dir: {name}.data\n{ACCOUNTS[name]}")
        command = [binary, "--config", configuration, "--host", "127.0.0.1", "--port", str(port),
                   "--num_workers", "1"]
        return name, command, {"SSL_CERT_FILE": str(certificates[0])}
    return setup
