"""What every driver of the matrix in Python does alike: it reads what is asked from stdin, asks for it case by
case, and prints what the client made of it, one line of JSON each.

stdin: {"url", "model", "right": CREDENTIAL, "wrong": CREDENTIAL, "cases": [{"operation", "case", "directive"}]},
where CREDENTIAL is {"id", "secret", "api_key"}; the case "wrong_key" takes the wrong one, all others the right one.
stdout: first {"client": VERSION}, then {"operation", "case", "class", "code", "message", "status", "events", "value"}
for each case. Of a stream, `events` is how many came before it ended, and `value` the last of them.
"""

import inspect
import json
import sys


class Asked:
    """One case: where to ask, as whom, and what the stand-in is to do about it."""

    def __init__(self, asked, case):
        self.url, self.model, self.directive = asked["url"], asked["model"], case["directive"]
        self.is_right = case["case"] != "wrong_key"
        credential = asked["right" if self.is_right else "wrong"]
        self.id, self.secret, self.api_key = credential["id"], credential["secret"], credential["api_key"]


def outcome(action, asked, failure):
    report = {"class": None, "code": None, "message": None, "status": None, "events": 0, "value": None}
    try:
        made = action(asked)
        if inspect.isgenerator(made):
            for event in made:
                report["events"] += 1
                report["value"] = event
        else:
            report["value"] = made
    except Exception as error:  # whatever it is: that is what is asked here
        report |= {"class": type(error).__name__, "message": str(error)} | failure(error)
        report["value"] = None
    return report


def run(version, actions, failure):
    """`actions`: by operation; `failure`: what can be read off an exception besides its class and text."""
    asked = json.load(sys.stdin)
    print(json.dumps({"client": version}), flush=True)
    for case in asked["cases"]:
        report = outcome(actions[case["operation"]], Asked(asked, case), failure)
        print(json.dumps({"operation": case["operation"], "case": case["case"]} | report), flush=True)
