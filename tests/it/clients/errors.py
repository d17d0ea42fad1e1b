"""Meets each of AWS's errors twice: at the stand-in itself, and through the proxy. Prints, as JSON, what
boto3 raised: {action: {case: [at the stand-in, through the proxy]}}, each {"class", "code", "message",
"status", "events"}; `events` is how many of a stream came before. {"cut_off": {action: {case: …}}} is what it
raised through the proxy when the stream broke off.

    errors.py STAND_IN_URL PROXY_URL KEY MODEL_ID
"""

import json
import sys

import boto3
from botocore.config import Config

stand_in, proxy, key, model_id = sys.argv[1:]
# One attempt: boto3's own retries would only take time.
CONFIG = Config(retries={"total_max_attempts": 1, "mode": "standard"})
MESSAGES = [{"role": "user", "content": [{"text": "Hello"}]}]
BODY = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": MESSAGES})
ANSWERS = {
    "throttled": "throttle",
    "validation": "status=400",
    "denied": "status=403",
    "not_found": "status=404; type=ResourceNotFoundException",
    "model_timeout": "status=408; type=ModelTimeoutException",
    "model_error": "status=424; type=ModelErrorException",
    "not_ready": "status=429; type=ModelNotReadyException",
    "quota": "status=400; type=ServiceQuotaExceededException",
    "internal": "status=500",
    "unavailable": "status=503",
}
FIRST = ["throttlingException", "validationException", "serviceUnavailableException", "internalServerException"]
MID = ["modelStreamErrorException", "throttlingException"]
STREAMS = {f"first_{name}": f"exception=first:{name}" for name in FIRST} | {
    f"mid_{name}": f"frames=8; exception=mid:{name}" for name in MID
}


def client(url, access_key, secret):
    made = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
        config=CONFIG,
    )
    made.meta.events.register("before-sign.bedrock-runtime.*", add_directive)
    return made


directive = ""


def add_directive(request, **_):
    request.headers["X-Amzn-Bedrock-Mock"] = directive


def invoke(bedrock, model):
    bedrock.invoke_model(modelId=model, body=BODY)["body"].read()


def invoke_stream(bedrock, model):
    yield from bedrock.invoke_model_with_response_stream(modelId=model, body=BODY)["body"]


def converse(bedrock, model):
    bedrock.converse(modelId=model, messages=MESSAGES)


def converse_stream(bedrock, model):
    yield from bedrock.converse_stream(modelId=model, messages=MESSAGES)["stream"]


def raised(action, bedrock, model):
    events = 0
    try:
        for _ in action(bedrock, model) or ():
            events += 1
    except Exception as error:
        of = getattr(error, "response", {})
        return {
            "class": type(error).__name__,
            "is_modelled": isinstance(error, getattr(bedrock.exceptions, type(error).__name__, ())),
            "code": of.get("Error", {}).get("Code"),
            "message": of.get("Error", {}).get("Message"),
            "status": of.get("ResponseMetadata", {}).get("HTTPStatusCode"),
            "events": events,
        }
    return {"class": None, "events": events}


both = [
    (client(stand_in, "AKIAOUTCROPSTANDIN00", "outcrop-stand-in-secret"), model_id),
    (client(proxy, key, "any"), "claude"),
]
report = {}
for action in [invoke, invoke_stream, converse, converse_stream]:
    cases = ANSWERS | (STREAMS if "stream" in action.__name__ else {})
    report[action.__name__] = {}
    for case, directive in cases.items():
        report[action.__name__][case] = [raised(action, bedrock, model) for bedrock, model in both]
CUT_OFF = {"between_frames": "close=after_frames:3; frames_per_write=1", "within_a_frame": "close=in_content"}
report["cut_off"] = {}
for action in [invoke_stream, converse_stream]:
    report["cut_off"][action.__name__] = {}
    for case, directive in CUT_OFF.items():
        report["cut_off"][action.__name__][case] = raised(action, *both[1])
print(json.dumps(report))
