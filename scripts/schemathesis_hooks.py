"""Valid requests that mean something: numbers that exist, codes that arrived, proofs that were given.

Schemathesis makes texts out of a schema, and no schema knows a phone number. Only requests that it means to be valid
are changed, by their own contents alone, so that a seed gives the same run again.
"""

import itertools
import json

import requests
import schemathesis

# Not those whose provider fails: enough of them open its breaker, and 503 is the right answer then.
NUMBERS = ["+12025550123", "+12025550110", "+12025550111", "+12025550116", "ann@example.com"]
CHANNELS = ["sms", "call", "whatsapp", "email"]
PURPOSES = ["sign_in", "sign_up", "change_destination", "recovery", "transaction", "manage"]

# A code is good for five sends and five guesses, so every code that is checked is sent to a number of its own.
unused = itertools.cycle(f"+120255501{last}" for last in range(20, 100))
keys = itertools.count()
given = {"verification_id": [], "device_token": []}
approved = []


def arrived(base_url, to):
    """A code that is sent now, and there once the clock has gone on."""
    requests.post(f"{base_url}/verify/send", json={"to": to}, timeout=10)
    requests.post(f"{base_url}/demo/clock", json={"advance_seconds": 2}, timeout=10)
    inbox = requests.get(f"{base_url}/demo/inbox", params={"to": to}, timeout=10)
    messages = inbox.json() if inbox.ok else []
    return messages[0]["code"] if messages else "000000"


@schemathesis.hook
def before_call(context, case, **kwargs):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    choice = sum(json.dumps([case.path, case.body if isinstance(case.body, dict) else None]).encode())
    if "id" in (case.path_parameters or {}) and given["verification_id"]:
        case.path_parameters["id"] = given["verification_id"][-1 - choice % 2 * (len(given["verification_id"]) - 1)]
    if (case.query or {}).get("to") is not None:
        case.query["to"] = NUMBERS[choice % len(NUMBERS)]
    if case.headers and "Idempotency-Key" in case.headers:
        # Visible ASCII and not empty; never the key of another request.
        case.headers["Idempotency-Key"] = f"key-{next(keys)}"
    if isinstance(case.body, dict):
        meaningful(case, case.body, choice)


def meaningful(case, body, choice):
    for field in ("country", "amount", "payee", "locale", "ip", "user_id", "human_check"):
        body.pop(field, None)
    if choice % 3 == 0 and given["verification_id"] and "verification_id" in body:
        body["verification_id"] = given["verification_id"][-1]
        for field in ("to", "purpose"):
            body.pop(field, None)
    else:
        body.pop("verification_id", None)
        if "to" in body or case.path in ("/verify/send", "/verify/check"):
            body["to"] = NUMBERS[choice // 3 % len(NUMBERS)]
        if "purpose" in body:
            body["purpose"] = PURPOSES[choice % 2]
    if "channel" in body:
        body["channel"] = CHANNELS[choice % len(CHANNELS)]
    if "device_token" in body and given["device_token"]:
        body["device_token"] = given["device_token"][-1]
    if case.path == "/proofs/redeem" and approved:
        body["proof"], body["to"], body["purpose"] = approved[-1]
    if "code" in body and choice % 4:
        body.pop("verification_id", None)
        body.pop("purpose", None)
        body["to"] = next(unused)
        right = arrived(case.operation.base_url, body["to"])
        body["code"] = right if choice % 4 > 1 else "000000"


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code in (200, 201) and "json" in response.headers.get("content-type", [""])[0]:
        body = response.json()
        if case.path == "/verify/check" and case.body.get("to"):
            approved.append((body["proof"], case.body["to"], case.body.get("purpose") or PURPOSES[0]))
        for field, values in given.items():
            if isinstance(body, dict) and field in body:
                values.append(body[field])
