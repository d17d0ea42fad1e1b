"""Calls what is no plain invoke through the proxy as any boto3 program would; prints what came of it as JSON.

    operations.py BASE_URL ACCESS_KEY_ID SECRET MODEL

Nothing of boto3 is configured but the endpoint. Each call gives {"ok": …} or {"error": {"code", "status"}}.
"""

import json
import sys

import boto3
import botocore.exceptions

base_url, key_id, secret, model = sys.argv[1:]
keys = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}


def client(service):
    return boto3.client(service, region_name="us-east-1", endpoint_url=base_url, **keys)


runtime, agents, control = client("bedrock-runtime"), client("bedrock-agent-runtime"), client("bedrock")
BODY = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 8, "messages": []})


def guarded_invoke():
    answer = runtime.invoke_model(
        modelId=model,
        body=BODY,
        guardrailIdentifier="gr-1",
        guardrailVersion="DRAFT",
        trace="ENABLED",
        performanceConfigLatency="optimized",
        serviceTier="priority",
    )
    return json.loads(answer["body"].read())["type"]


def count_tokens():
    return runtime.count_tokens(modelId=model, input={"invokeModel": {"body": BODY}})["inputTokens"]


def apply_guardrail():
    content = [{"text": {"text": "hi"}}]
    arn = "arn:aws:bedrock:us-east-1:123456789012:guardrail/gr"
    answer = runtime.apply_guardrail(guardrailIdentifier=arn, guardrailVersion="1", source="INPUT", content=content)
    return answer["usage"]["contentPolicyUnits"]


def async_invoke():
    started = runtime.start_async_invoke(
        modelId=model, modelInput={}, outputDataConfig={"s3OutputDataConfig": {"s3Uri": "s3://b"}}
    )
    status = runtime.get_async_invoke(invocationArn=started["invocationArn"])["status"]
    return [status, runtime.list_async_invokes(maxResults=3, statusEquals="InProgress")["asyncInvokeSummaries"]]


def retrieve():
    answer = agents.retrieve(knowledgeBaseId="KB12345678", retrievalQuery={"text": "hi"})
    return answer["retrievalResults"][0]["content"]["text"]


def retrieve_and_generate():
    return agents.retrieve_and_generate(input={"text": "hi"})["output"]["text"]


def retrieve_and_generate_stream():
    answer = agents.retrieve_and_generate_stream(input={"text": "hi"})
    return [name for event in answer["stream"] for name in event]


def invoke_agent():
    answer = agents.invoke_agent(agentId="A", agentAliasId="B", sessionId="S-1", inputText="hi", enableTrace=True)
    return [name for event in answer["completion"] for name in event]


def rerank():
    source = {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "a"}}}
    arn = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"
    answer = agents.rerank(
        queries=[{"type": "TEXT", "textQuery": {"text": "q"}}],
        sources=[source, source],
        rerankingConfiguration={
            "type": "BEDROCK_RERANKING_MODEL",
            "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": arn}},
        },
    )
    return [result["index"] for result in answer["results"]]


def sessions():
    session = agents.create_session()["sessionId"]
    agents.end_session(sessionIdentifier=session)
    agents.delete_session(sessionIdentifier=session)
    return session


def list_foundation_models():
    return control.list_foundation_models(byProvider="anthropic")["modelSummaries"][0]["modelId"]


def outcome(call):
    try:
        return {"ok": call()}
    except botocore.exceptions.ClientError as error:
        of, metadata = error.response["Error"], error.response["ResponseMetadata"]
        return {"error": {"code": of.get("Code"), "status": metadata["HTTPStatusCode"]}}
    except Exception as error:  # whatever else: the test shows it
        return {"error": {"code": f"{type(error).__name__}: {error}", "status": None}}


CALLS = [guarded_invoke, count_tokens, apply_guardrail, async_invoke, retrieve, retrieve_and_generate]
CALLS += [retrieve_and_generate_stream, invoke_agent, rerank, sessions, list_foundation_models]
print(json.dumps({call.__name__: outcome(call) for call in CALLS}))
