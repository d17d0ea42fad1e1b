"""Calls Bedrock through the proxy as any boto3 program would; prints what came of it as JSON.

    bedrock.py BASE_URL bearer|access-key KEY claude|nova MODEL

With `bearer` the key is taken by botocore itself from AWS_BEARER_TOKEN_BEDROCK (KEY must say the same);
with `access-key` it stands in for the access key id, with any secret. Nothing of boto3 is configured but
the endpoint. Each action gives {"ok": …} or {"error": {"code", "message", "status"}}.
"""

import json
import os
import sys

import boto3
import botocore.exceptions

base_url, auth, key, family, model = sys.argv[1:]
if auth == "bearer":
    assert os.environ["AWS_BEARER_TOKEN_BEDROCK"] == key
    credentials = {}
else:
    assert auth == "access-key" and "AWS_BEARER_TOKEN_BEDROCK" not in os.environ
    credentials = {"aws_access_key_id": key, "aws_secret_access_key": "any"}
client = boto3.client("bedrock-runtime", region_name="us-east-1", endpoint_url=base_url, **credentials)

WORDS = "What grows on an outcrop? Ünïcode & ümlauts, \"quotes\", 岩."
MESSAGES = [{"role": "user", "content": [{"text": WORDS}]}]
BODIES = {
    "claude": {
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": WORDS}],
    },
    "nova": {"messages": MESSAGES, "inferenceConfig": {"maxTokens": 64}},
}
BODY = json.dumps(BODIES[family])


def heads(answer):
    metadata = answer["ResponseMetadata"]
    return {
        "status": metadata["HTTPStatusCode"],
        "request_id": metadata.get("RequestId"),
        "retries": metadata["RetryAttempts"],
        "fields": metadata["HTTPHeaders"],
    }


def invoke():
    answer = client.invoke_model(modelId=model, body=BODY, contentType="application/json")
    return heads(answer) | {"type": answer["contentType"], "body": json.loads(answer["body"].read())}


def invoke_stream():
    answer = client.invoke_model_with_response_stream(modelId=model, body=BODY)
    events = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
    return heads(answer) | {"events": events}


def converse():
    answer = client.converse(modelId=model, messages=MESSAGES)
    kept = {name: answer[name] for name in ("output", "stopReason", "usage", "metrics")}
    return heads(answer) | kept


def converse_stream():
    answer = client.converse_stream(modelId=model, messages=MESSAGES)
    return heads(answer) | {"events": list(answer["stream"])}


def deployments():
    """Which deployments answered 32 times: of two with equal chances, one is missing once in 2³¹ runs."""
    answers = [client.invoke_model(modelId=model, body=BODY) for _ in range(32)]
    fields = [answer["ResponseMetadata"]["HTTPHeaders"] for answer in answers]
    for answer in answers:
        answer["body"].read()
    return sorted({field.get("x-litellm-model-id", "") for field in fields})


def outcome(action):
    try:
        return {"ok": action()}
    except botocore.exceptions.ClientError as error:
        of = error.response.get("Error", {})
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return {"error": {"code": of.get("Code"), "message": of.get("Message"), "status": status}}
    except Exception as error:  # whatever else: the test shows it
        return {"error": {"code": None, "message": f"{type(error).__name__}: {error}", "status": None}}


ACTIONS = [invoke, invoke_stream, converse, converse_stream, deployments]
report = {action.__name__: outcome(action) for action in ACTIONS}
print(json.dumps(report | {"boto3": boto3.__version__}, default=str))
