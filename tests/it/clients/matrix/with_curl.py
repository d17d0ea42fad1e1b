"""The matrix with curl and a bearer token. What it reports: its exit code, the status, and what it received."""

import json
import re
import struct
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

import report
from calls import AGENT, BODY, COUNTED, GUARDED, MESSAGES, RERANKED, RETRIEVED

COMMAND = ["curl", "--silent", "--show-error", "--max-time", "10", "--write-out", "%{http_code}"]


class Failed(Exception):
    pass


def received(asked, method, path, content):
    """The answer's content, whole or not, and why curl, or the status, says that it failed."""
    with tempfile.TemporaryDirectory() as folder:
        head, body = Path(folder) / "head", Path(folder) / "body"
        fields = [f"Authorization: Bearer {asked.api_key}", f"X-Amzn-Bedrock-Mock: {asked.directive}"]
        command = COMMAND + ["--request", method, "--dump-header", head, "--output", body]
        for field in fields + ["Content-Type: application/json"]:
            command += ["--header", field]
        if content is not None:
            command += ["--data-binary", content]
        ended = subprocess.run([*command, asked.url + path], capture_output=True, text=True)
        content = body.read_bytes() if body.exists() else b""
        name = re.search(rb"(?im)^x-amzn-errortype: *(\w+)", head.read_bytes())
    failed = None
    if ended.returncode:
        failed = Failed(f"exit code {ended.returncode}", int(ended.stdout), None, ended.stderr.strip())
    elif ended.stdout != "200":
        failed = Failed("exit code 0", int(ended.stdout), name and name[1].decode(), content.decode())
    return content, failed


def whole(asked, method, path, content=None):
    content, failed = received(asked, method, path, content)
    if failed:
        raise failed
    return json.loads(content)


def frames(asked, path, content):
    """The events of a stream; what came as an exception is raised, as whoever reads frames would."""
    content, failed = received(asked, "POST", path, content)
    if failed and failed.args[0] == "exit code 0":
        raise failed
    while len(content) >= 12 and len(content) >= (total := struct.unpack(">I", content[:4])[0]):
        length = struct.unpack(">I", content[4:8])[0]
        headers, payload = content[12 : 12 + length], content[12 + length : total - 4]
        kind = re.search(rb":(event|exception)-type\x07..([A-Za-z]+)", headers, re.DOTALL)
        if kind[1] == b"exception":
            raise Failed("exit code 0", 200, kind[2].decode(), payload.decode())
        yield kind[2].decode()
        content = content[total:]
    if failed:
        raise failed


def on_model(asked, action):
    return f"/model/{urllib.parse.quote(asked.model, safe='')}/{action}"


def invoke(asked):
    return whole(asked, "POST", on_model(asked, "invoke"), BODY)["type"]


def invoke_stream(asked):
    yield from frames(asked, on_model(asked, "invoke-with-response-stream"), BODY)


def converse(asked):
    return whole(asked, "POST", on_model(asked, "converse"), json.dumps({"messages": MESSAGES}))["stopReason"]


def converse_stream(asked):
    yield from frames(asked, on_model(asked, "converse-stream"), json.dumps({"messages": MESSAGES}))


def count_tokens(asked):
    return whole(asked, "POST", on_model(asked, "count-tokens"), json.dumps({"input": COUNTED}))["inputTokens"]


def apply_guardrail(asked):
    return whole(asked, "POST", "/guardrail/gr-1/version/1/apply", json.dumps(GUARDED))["action"]


def retrieve(asked):
    content = json.dumps({"retrievalQuery": RETRIEVED["retrievalQuery"]})
    return whole(asked, "POST", "/knowledgebases/KB12345678/retrieve", content)["retrievalResults"][0]["content"]["text"]


def retrieve_and_generate(asked):
    return whole(asked, "POST", "/retrieveAndGenerate", json.dumps({"input": {"text": "hi"}}))["output"]["text"]


def invoke_agent(asked):
    content = json.dumps({"inputText": AGENT["inputText"], "enableTrace": True})
    yield from frames(asked, "/agents/A/agentAliases/B/sessions/S-1/text", content)


def rerank(asked):
    return [result["index"] for result in whole(asked, "POST", "/rerank", json.dumps(RERANKED))["results"]]


def list_foundation_models(asked):
    return whole(asked, "GET", "/foundation-models")["modelSummaries"][0]["modelId"]


def failure(error):
    if not isinstance(error, Failed):
        return {}
    return dict(zip(["class", "status", "code", "message"], error.args))


actions = [invoke, invoke_stream, converse, converse_stream, count_tokens, apply_guardrail, retrieve]
actions += [retrieve_and_generate, invoke_agent, rerank, list_foundation_models]
version = subprocess.run(["curl", "--version"], capture_output=True, text=True).stdout.split()[1]
report.run(version, {action.__name__: action for action in actions}, failure)
