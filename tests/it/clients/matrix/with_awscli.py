"""The matrix with the AWS CLI, version 1, in this process: its own entry point, once for each case.

It has no command for a stream, and says neither status nor class: what it gives is an exit code and a line.
"""

import contextlib
import io
import json
import os
import re
import tempfile

import awscli
from awscli.clidriver import create_clidriver

import report
from calls import BODY, COUNTED, GUARDED, MESSAGES, RERANKED, RETRIEVED


class Failed(Exception):
    pass


def said(asked, service, command, parameters, *positional):
    """What `aws SERVICE COMMAND` printed."""
    os.environ |= {"AWS_ACCESS_KEY_ID": asked.id, "AWS_SECRET_ACCESS_KEY": asked.secret, "AWS_MAX_ATTEMPTS": "1"}
    driver = create_clidriver()

    def add_directive(request, **_):
        request.headers["X-Amzn-Bedrock-Mock"] = asked.directive

    driver.session.register(f"before-sign.{service}.*", add_directive)
    arguments = [service, command, "--endpoint-url", asked.url, "--region", "us-east-1", "--output", "json"]
    arguments += ["--cli-read-timeout", "10", "--cli-connect-timeout", "5", *positional]
    if parameters:
        arguments += ["--cli-input-json", json.dumps(parameters)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = driver.main(arguments)
    if code:
        raise Failed(f"exit code {code}", err.getvalue().strip())
    return json.loads(out.getvalue())


def invoke(asked):
    with tempfile.NamedTemporaryFile() as file:
        said(asked, "bedrock-runtime", "invoke-model", {}, "--model-id", asked.model, "--body", BODY, file.name)
        return json.loads(file.read())["type"]


def converse(asked):
    parameters = {"modelId": asked.model, "messages": MESSAGES}
    return said(asked, "bedrock-runtime", "converse", parameters)["stopReason"]


def count_tokens(asked):
    return said(asked, "bedrock-runtime", "count-tokens", {"modelId": asked.model, "input": COUNTED})["inputTokens"]


def apply_guardrail(asked):
    return said(asked, "bedrock-runtime", "apply-guardrail", GUARDED)["action"]


def retrieve(asked):
    answer = said(asked, "bedrock-agent-runtime", "retrieve", RETRIEVED)
    return answer["retrievalResults"][0]["content"]["text"]


def retrieve_and_generate(asked):
    return said(asked, "bedrock-agent-runtime", "retrieve-and-generate", {"input": {"text": "hi"}})["output"]["text"]


def rerank(asked):
    return [result["index"] for result in said(asked, "bedrock-agent-runtime", "rerank", RERANKED)["results"]]


def list_foundation_models(asked):
    return said(asked, "bedrock", "list-foundation-models", {})["modelSummaries"][0]["modelId"]


def failure(error):
    if not isinstance(error, Failed):
        return {}
    code, text = error.args
    name = re.search(r"An error occurred \((\w+)\)", text)
    return {"class": code, "code": name and name[1], "message": text}


actions = [invoke, converse, count_tokens, apply_guardrail, retrieve, retrieve_and_generate, rerank]
actions += [list_foundation_models]
report.run(awscli.__version__, {action.__name__: action for action in actions}, failure)
