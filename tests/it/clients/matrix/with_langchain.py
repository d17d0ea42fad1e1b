"""The matrix with langchain-aws: its chat models, retriever, agent and reranker.

It counts tokens, too, but on any error by a guess of its own, so that there is nothing to compare.
"""

import importlib.metadata

from botocore.exceptions import ClientError
from langchain_aws import AmazonKnowledgeBasesRetriever, BedrockRerank, ChatBedrock, ChatBedrockConverse
from langchain_aws.agents import BedrockAgentsRunnable

import report
import with_boto3
from calls import RERANKER

REGION = "us-east-1"


def chat(asked):
    return ChatBedrock(client=with_boto3.runtime(asked), model=asked.model, region=REGION, provider="anthropic")


def chat_converse(asked):
    runtime = with_boto3.runtime(asked)
    return ChatBedrockConverse(client=runtime, model=asked.model, region_name=REGION, provider="anthropic")


def invoke(asked):
    return chat(asked).invoke("hi").content


def invoke_stream(asked):
    for chunk in chat(asked).stream("hi"):
        yield chunk.text


def converse(asked):
    return chat_converse(asked).invoke("hi").content


def converse_stream(asked):
    for chunk in chat_converse(asked).stream("hi"):
        yield chunk.text


def retrieve(asked):
    retriever = AmazonKnowledgeBasesRetriever(
        knowledge_base_id="KB12345678",
        client=with_boto3.agents(asked),
        retrieval_config={"vectorSearchConfiguration": {"numberOfResults": 4}},
    )
    return retriever.invoke("hi")[0].page_content


def invoke_agent(asked):
    agent = BedrockAgentsRunnable(agent_id="A", agent_alias_id="B", client=with_boto3.agents(asked))
    return agent.invoke({"input": "hi", "session_id": "S-1"}).return_values["output"]


def rerank(asked):
    reranker = BedrockRerank(client=with_boto3.agents(asked), model_arn=RERANKER)
    return [result["index"] for result in reranker.rerank(["a", "a"], "q")]


def failure(error):
    # It may have raised one of its own because of one of boto3's.
    return with_boto3.failure(error if isinstance(error, ClientError) else error.__cause__ or error)


actions = [invoke, invoke_stream, converse, converse_stream, retrieve, invoke_agent, rerank]
report.run(importlib.metadata.version("langchain-aws"), {action.__name__: action for action in actions}, failure)
