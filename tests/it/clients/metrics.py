"""Reads metrics from stdin by prometheus_client's parser; a report in JSON on stdout.

Values are also summed as exact decimals, straight from the lines: the parser makes floats of them.
"""

import collections
import decimal
import json
import sys

from prometheus_client.parser import text_string_to_metric_families

decimal.getcontext().prec = 60
text = sys.stdin.read()
problems = []
families = {}
seen = set()
labels_by_family = collections.defaultdict(set)

for family in text_string_to_metric_families(text):
    if family.name in families:
        problems.append(f"family twice: {family.name}")
    if not family.documentation:
        problems.append(f"no help: {family.name}")
    families[family.name] = family.type
    buckets = collections.defaultdict(list)
    ends = collections.defaultdict(dict)
    for sample in family.samples:
        series = (sample.name, tuple(sorted(sample.labels.items())))
        if series in seen:
            problems.append(f"series twice: {series}")
        seen.add(series)
        labels_by_family[family.name] |= set(sample.labels)
        if family.type == "counter" and not sample.name.endswith("_total"):
            problems.append(f"a counter not called _total: {sample.name}")
        if family.type in ("counter", "histogram") and not sample.value >= 0:
            problems.append(f"negative: {series}")
        if family.type == "histogram":
            rest = tuple(sorted(item for item in sample.labels.items() if item[0] != "le"))
            if sample.name.endswith("_bucket"):
                buckets[rest].append((float(sample.labels["le"]), sample.value))
            else:
                ends[rest][sample.name.rsplit("_", 1)[1]] = sample.value
    for rest, pairs in buckets.items():
        bounds, counts = zip(*pairs)
        if list(bounds) != sorted(set(bounds)) or bounds[-1] != float("inf"):
            problems.append(f"bounds of {family.name}{rest}: {bounds}")
        if list(counts) != sorted(counts):
            problems.append(f"buckets fall in {family.name}{rest}: {counts}")
        if set(ends[rest]) != {"sum", "count"} or ends[rest]["count"] != counts[-1]:
            problems.append(f"ends of {family.name}{rest}: {ends[rest]}")
    if set(ends) != set(buckets):
        problems.append(f"buckets and sums differ in {family.name}")

sums = collections.defaultdict(decimal.Decimal)
for line in text.split("\n"):
    if line and not line.startswith("#"):
        name = line.split("{", 1)[0].split(" ", 1)[0]
        sums[name] += decimal.Decimal(line.rsplit(" ", 1)[1])

json.dump(
    {
        "problems": problems,
        "types": families,
        "labels": {name: sorted(labels) for name, labels in labels_by_family.items()},
        "sums": {name: format(value, "f") for name, value in sums.items()},
        "series": len(seen),
    },
    sys.stdout,
)
