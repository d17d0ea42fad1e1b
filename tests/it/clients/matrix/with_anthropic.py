"""The matrix with Anthropic's SDK for Bedrock, which signs."""

import functools

import anthropic

import report


@functools.cache
def made(url, key_id, secret):
    return anthropic.AnthropicBedrock(
        base_url=url, aws_access_key=key_id, aws_secret_key=secret, aws_region="us-east-1", max_retries=0, timeout=10
    )


def messages(asked, **more):
    client = made(asked.url, asked.id, asked.secret)
    said = [{"role": "user", "content": "Hello"}]
    extra = {"X-Amzn-Bedrock-Mock": asked.directive}
    return client.messages.create(model=asked.model, max_tokens=9, messages=said, extra_headers=extra, **more)


def invoke(asked):
    return messages(asked).content[0].text


def invoke_stream(asked):
    for event in messages(asked, stream=True):
        yield event.type


def failure(error):
    answer = getattr(error, "response", None)
    if answer is None:
        return {"code": type(error.__cause__).__name__ if error.__cause__ else None}
    return {"status": answer.status_code, "code": answer.headers.get("x-amzn-errortype", "").partition(":")[0] or None}


report.run(anthropic.__version__, {"invoke": invoke, "invoke_stream": invoke_stream}, failure)
