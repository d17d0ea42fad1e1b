"""What boto3, and the AWS CLI after it, is asked for: parameters by operation, as in AWS's own API."""

import json

MESSAGES = [{"role": "user", "content": [{"text": "Hello"}]}]
BODY = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": MESSAGES})
SOURCE = {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "a"}}}
RERANKER = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"
RERANKING = {
    "type": "BEDROCK_RERANKING_MODEL",
    "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": RERANKER}},
}
COUNTED = {"converse": {"messages": MESSAGES}}
GUARDED = {"guardrailIdentifier": "gr-1", "guardrailVersion": "1", "source": "INPUT"}
GUARDED["content"] = [{"text": {"text": "hi"}}]
RERANKED = {"queries": [{"type": "TEXT", "textQuery": {"text": "q"}}], "sources": [SOURCE, SOURCE]}
RERANKED["rerankingConfiguration"] = RERANKING
RETRIEVED = {"knowledgeBaseId": "KB12345678", "retrievalQuery": {"text": "hi"}}
AGENT = {"agentId": "A", "agentAliasId": "B", "sessionId": "S-1", "inputText": "hi", "enableTrace": True}
