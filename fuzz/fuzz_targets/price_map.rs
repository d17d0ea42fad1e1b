//! A price map in LiteLLM's format.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| outcrop::bedrock::price::fuzz_litellm(data));
