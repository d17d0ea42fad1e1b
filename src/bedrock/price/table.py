#!/usr/bin/env python3
"""Makes table.tsv from bedrock_prices.json: `table.py bedrock_prices.json > table.tsv`.

One line per model, sorted by key in byte order: key, mode, then name=price with one space between.
Prices stay the decimal strings of the source: per million tokens, or per piece for usd_per_*.
Refuses what the table could not say: prices finer than a pico-dollar, image or audio tokens that
cost other than text tokens, more than one long-context threshold.
"""
import json
import sys
from decimal import Decimal

TOKEN_PARTS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


def check(key, price, finest):
    assert (Decimal(price) * finest) % 1 == 0, f"{key}: {price} is finer than a pico-dollar"
    return price


def line(key, model):
    fields = []

    def tokens(prefix, prices):
        for part in TOKEN_PARTS:
            if part in prices:
                fields.append(f"{prefix}{part}={check(key, prices[part], 10**6)}")

    tokens("", model)
    long = model.get("above_input_tokens", {})
    assert len(long) <= 1, f"{key}: two thresholds"
    for threshold, prices in long.items():
        fields.append(f"above={int(threshold)}")
        tokens("above.", prices)
    for tier, prices in sorted(model.get("service_tiers", {}).items()):
        tokens(f"{tier}.", prices)
    for name, price in sorted(model.items()):
        if name.startswith("usd_per_"):
            fields.append(f"{name}={check(key, price, 10**12)}")
        elif name in ("input_image_token", "input_audio_token"):
            assert price == model["input"], f"{key}: {name} differs from input"
        else:
            assert name in (*TOKEN_PARTS, "mode", "above_input_tokens", "service_tiers"), f"{key}: {name}"
    return "\t".join((key, model["mode"], " ".join(fields)))


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        models = json.load(file)["models"]
    for key in sorted(models, key=str.encode):
        print(line(key, models[key]))


main()
