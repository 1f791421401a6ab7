"""Simulated model servers and their clients: what their Pods run and print, with only a shell and busybox.

Each answer contains the name of its server. A server answers the paths of an OpenAI-compatible server immediately, and
`LONG` with a stream that takes two seconds, like generated text. A client prints one line for each request:
`RULE MODEL backend NAME` (a long answer ends with `end`), or `RULE MODEL failed CODE MESSAGE`.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from aiconform.cluster import Object
from aiconform.cluster.scratch import RESTRICTED
from aiconform.kit.pods import container

PORT = 8080
CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
LONG = "/cgi-bin/chat"
OTHER = "/other"
HEADER = "X-Gateway-Model-Name"
UNKNOWN = "unheard-of"
"""A model that no rule of the route names."""

SETTLED, UNREACHED, ASKED = "settled", "unreached", "asked"
_IN_A_ROW = 20
_OF_A_RULE = 10

# Load balancers of clouds ask for / to see whether a backend is healthy. busybox's httpd runs programs only from
# cgi-bin. A connection that is cut during the pause shows as a short answer.
_SERVE = """
mkdir -p /www/v1/chat /www/v1/models /www/cgi-bin
for file in v1/chat/completions v1/models/alpha v1/models/beta other; do echo "backend $NAME" > /www/$file; done
echo ok > /www/index.html
cat > /www/cgi-bin/chat <<'END'
#!/bin/sh
printf 'Content-Type: text/event-stream\\r\\n\\r\\n'
echo "backend $NAME"
sleep 2
echo end
END
chmod +x /www/cgi-bin/chat
exec httpd -f -p 8080 -h /www
"""

_ASK = """
set -f
trap 'exit 0' TERM INT
ask() {
  rule=$1 model=$2 path=$3
  shift 3
  said=$(timeout 15 wget -Y off -q -O - --header "Host: $HOST" "$@" "http://$ADDRESS:${PORTS%% *}$path" 2>&1) ||
    said="failed $? $said"
  echo $rule $model $said
}
end=$(($(date +%s) + SETTLE)) row=0
while [ $row -lt $IN_A_ROW ]; do
  line=$(ask try - $CHAT)
  case $line in
    "try - backend "*) row=$((row + 1)) ;;
    *) row=0
       [ $(date +%s) -lt $end ] || { echo "unreached ${line#try - }"; exit 0; }
       case $PORTS in *" "*) PORTS="${PORTS#* } ${PORTS%% *}" ;; esac
       sleep 1 ;;
  esac
done
echo settled ${PORTS%% *}
count=0
while [ $count -lt $REQUESTS ]; do ask weights - $CHAT; count=$((count + 1)); done
count=0
while [ $count -lt $OF_A_RULE ]; do
  for model in alpha beta; do
    ask header $model $CHAT --header "$HEADER: $model"
    ask path $model $MODELS/$model
  done
  ask header $UNKNOWN $CHAT --header "$HEADER: $UNKNOWN"
  ask none - $OTHER
  count=$((count + 1))
done
echo asked
quick() { while :; do ask quick - $CHAT; done; }
long() { while :; do ask long - $LONG; done; }
quick & quick & long & long &
wait
"""


def server(name: str, image: str) -> Object:
    """The container of the model server `name`; it needs the volume `www`."""
    return container(
        "server",
        image,
        _SERVE,
        env=[{"name": "NAME", "value": name}],
        ports=[{"name": "http", "containerPort": PORT}],
        readinessProbe={"httpGet": {"path": CHAT, "port": PORT}, "periodSeconds": 1},
        volumeMounts=[{"name": "www", "mountPath": "/www"}],
        securityContext=RESTRICTED,
    )


def client(image: str, address: str, ports: Iterable[int], host: str, *, requests: int, settle: int) -> Object:
    """The container of a client: sends requests for every rule, prints ASKED, and continues until it is deleted.

    `ports`: tried in turn until one answers; the line SETTLED names it. `settle`: the longest time, in seconds, until
    the data plane answers twenty requests in a row.
    """
    values = {
        "ADDRESS": address,
        "PORTS": " ".join(map(str, ports)),
        "HOST": host,
        "REQUESTS": str(requests),
        "SETTLE": str(settle),
        "IN_A_ROW": str(_IN_A_ROW),
        "OF_A_RULE": str(_OF_A_RULE),
        "CHAT": CHAT,
        "MODELS": MODELS,
        "LONG": LONG,
        "OTHER": OTHER,
        "HEADER": HEADER,
        "UNKNOWN": UNKNOWN,
    }
    return container("client", image, _ASK, env=[{"name": key, "value": value} for key, value in values.items()])


def settled_port(line: str) -> int | None:
    """The port that a client's line SETTLED names; None for other lines."""
    words = line.split()
    return int(words[1]) if len(words) == 2 and words[0] == SETTLED else None


def was_answered(failure: str) -> bool:
    """Whether something answered a request that failed, or refused it; else it may never have come to the Gateway."""
    return bool(re.search(r"HTTP/|refused|incomplete|reset|<", failure))


RouteRule = Literal["weights", "header", "path", "none", "quick", "long"]


@dataclass(frozen=True)
class ServerAnswer:
    """The result of one request. `backend` is empty without a complete answer; then `failure` says what came."""

    rule: RouteRule
    model: str
    backend: str
    failure: str


def parse(line: str) -> ServerAnswer | None:
    """The answer that a line of a client reports; None if the line reports none."""
    words = line.split()
    if len(words) < 2 or words[0] not in ("weights", "header", "path", "none", "quick", "long"):
        return None
    rule: RouteRule = words[0]  # type: ignore[assignment]
    model = words[1].strip("-")
    whole = 5 if rule == "long" else 4
    if len(words) == whole and words[2] == "backend" and (rule != "long" or words[4] == "end"):
        return ServerAnswer(rule, model, words[3], "")
    if len(words) > 3 and words[2] == "failed":
        return ServerAnswer(rule, model, "", " ".join(words[4:]) or f"no answer (exit code {words[3]})")
    return ServerAnswer(rule, model, "", f"incomplete answer: {' '.join(words[2:])}")


_SECONDS = 3.0
_ALL_SECONDS = 30.0


def ask_from_here(address: str, host: str, *, requests: int, port: int = 80) -> tuple[list[ServerAnswer], str]:
    """(answers, why there are none): send requests for every rule from this machine, if it reaches the address. Blocks.

    An address that is private to the cluster may belong to another machine here. So nothing counts unless the first
    answer is from one of the check's servers, and broken connections are not attributed to the data plane.
    """

    def get(rule: RouteRule, model: str, path: str, headers: dict[str, str]) -> tuple[ServerAnswer | None, str]:
        return _get(address, port, rule, model, path, {"Host": host, "Connection": "close", **headers})

    first, problem = get("weights", "", CHAT, {})
    if first is None:
        return [], f"{address} is not reached from here: {problem}"
    if not first.backend:
        return [], f"{address} belongs to something else here: {first.failure}"
    found = [first]
    end = time.monotonic() + _ALL_SECONDS
    for question in _questions(requests - 1):
        answer, problem = get(*question)
        if answer is None:
            return [], f"{address} is not always reached from here: {problem}"
        if time.monotonic() > end:
            return [], f"{address} is reached from here too slowly"
        found.append(answer)
    return found, ""


def _questions(weighted: int) -> Iterable[tuple[RouteRule, str, str, dict[str, str]]]:
    for _ in range(weighted):
        yield "weights", "", CHAT, {}
    for _ in range(_OF_A_RULE):
        for model in ("alpha", "beta"):
            yield "header", model, CHAT, {HEADER: model}
            yield "path", model, f"{MODELS}/{model}", {}
        yield "header", UNKNOWN, CHAT, {HEADER: UNKNOWN}
        yield "none", "", OTHER, {}


def _get(
    address: str, port: int, rule: RouteRule, model: str, path: str, headers: dict[str, str]
) -> tuple[ServerAnswer | None, str]:
    """(the answer, why there is no HTTP response)."""
    connection = http.client.HTTPConnection(address.strip("[]"), port, timeout=_SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read(1000).decode("utf-8", "replace").split()
    except (OSError, http.client.HTTPException) as error:
        return None, str(error) or type(error).__name__
    finally:
        connection.close()
    if response.status == 200 and len(body) == 2 and body[0] == "backend":
        return ServerAnswer(rule, model, body[1], ""), ""
    return ServerAnswer(rule, model, "", f"HTTP/1.1 {response.status} {response.reason}"), ""
