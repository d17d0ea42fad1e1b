"""The matrix with boto3. Up to 1.43 a Bedrock API key goes as a bearer token over http; since then all is signed."""

import functools
import json
import os

import boto3
from botocore.config import Config

import report
from calls import AGENT, BODY, COUNTED, GUARDED, MESSAGES, RERANKED, RETRIEVED

CONFIG = Config(retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=10)
IS_OLD = boto3.__version__.startswith("1.43.")


@functools.cache
def made(service, url, key_id, secret, api_key):
    if IS_OLD:
        os.environ["AWS_BEARER_TOKEN_BEDROCK"] = api_key
    keys = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    if IS_OLD and service != "bedrock-agent-runtime":
        keys = {}  # boto3 would sign if it were given any
    client = boto3.client(service, region_name="us-east-1", endpoint_url=url, config=CONFIG, **keys)
    client.meta.events.register(f"before-sign.{service}.*", add_directive)
    return client


directive = ""


def add_directive(request, **_):
    request.headers["X-Amzn-Bedrock-Mock"] = directive


def client(service, asked):
    global directive
    directive = asked.directive
    return made(service, asked.url, asked.id, asked.secret, asked.api_key)


def runtime(asked):
    return client("bedrock-runtime", asked)


def agents(asked):
    return client("bedrock-agent-runtime", asked)


def invoke(asked):
    answer = runtime(asked).invoke_model(modelId=asked.model, body=BODY)
    return json.loads(answer["body"].read())["type"]


def invoke_stream(asked):
    answer = runtime(asked).invoke_model_with_response_stream(modelId=asked.model, body=BODY)
    for event in answer["body"]:
        yield json.loads(event["chunk"]["bytes"])["type"]


def converse(asked):
    return runtime(asked).converse(modelId=asked.model, messages=MESSAGES)["stopReason"]


def converse_stream(asked):
    for event in runtime(asked).converse_stream(modelId=asked.model, messages=MESSAGES)["stream"]:
        yield from event


def count_tokens(asked):
    return runtime(asked).count_tokens(modelId=asked.model, input=COUNTED)["inputTokens"]


def apply_guardrail(asked):
    return runtime(asked).apply_guardrail(**GUARDED)["action"]


def retrieve(asked):
    return agents(asked).retrieve(**RETRIEVED)["retrievalResults"][0]["content"]["text"]


def retrieve_and_generate(asked):
    return agents(asked).retrieve_and_generate(input={"text": "hi"})["output"]["text"]


def invoke_agent(asked):
    for event in agents(asked).invoke_agent(**AGENT)["completion"]:
        yield from event


def rerank(asked):
    return [result["index"] for result in agents(asked).rerank(**RERANKED)["results"]]


def list_foundation_models(asked):
    return client("bedrock", asked).list_foundation_models()["modelSummaries"][0]["modelId"]


def failure(error):
    of = getattr(error, "response", None) or {}
    if "Error" not in of:
        return {}
    found = {"code": of["Error"].get("Code"), "message": of["Error"].get("Message")}
    return found | {"status": of.get("ResponseMetadata", {}).get("HTTPStatusCode")}


if __name__ == "__main__":
    actions = [invoke, invoke_stream, converse, converse_stream, count_tokens, apply_guardrail, retrieve]
    actions += [retrieve_and_generate, invoke_agent, rerank, list_foundation_models]
    report.run(boto3.__version__, {action.__name__: action for action in actions}, failure)
