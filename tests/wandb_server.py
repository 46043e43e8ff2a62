"""A stand-in for W&B's server on the loopback: what `wandb sweep`, `wandb agent`, `wandb sync` and an online
run ask, answered as little as they accept."""

import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
KEY = "0123456789" * 4  # of the user; any will do
USER = {"id": "user", "entity": "us", "username": "us", "email": "", "flags": "{}", "teams": {"edges": []}}
PROJECT = {"id": "project", "name": "pvchat", "entity": {"id": "entity", "name": "us"}}


class WandbServer:
    """What it was sent is in ``sweeps`` (config by id), ``runs`` (what upserts said, by id), ``rows``,
    ``ended`` (exit codes by id) and ``files``. An agent gets ``points``, one at a time, then is told to go.
    ``unknown`` are questions that have no answer here, such as those about artifacts."""

    def __init__(self) -> None:
        self.sweeps: dict[str, Json] = {}
        self.points: list[Json] = []
        self.runs: dict[str, Json] = {}
        self.ended: dict[str, int] = {}
        self.files: dict[str, bytes] = {}
        self.unknown: list[str] = []
        self._rows: dict[str, dict[int, Json]] = {}
        self._http: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self, folder: Path) -> dict[str, str]:
        """Of a process that comes here, whatever W&B knows of ours; its ``python`` is this one."""
        return {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")} | {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_CONFIG_DIR": str(folder),
            "WANDB_DIR": str(folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def rows(self, run: str) -> list[Json]:
        """The history of a run, as often as it was sent."""
        return [row for _, row in sorted(self._rows.get(run, {}).items())]

    def start(self) -> None:
        """Again on the same port, if it was there before."""
        self._http = ThreadingHTTPServer(("127.0.0.1", self._port), _handler(self))
        self._port = self._http.server_port
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """The port is closed: whoever connects is refused."""
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def answer(self, query: str, given: Json) -> Json:
        """The data of a GraphQL operation."""
        named = re.search(r"(?:query|mutation)\s+(\w+)", query)
        name = named.group(1) if named else query
        method = getattr(self, f"_{_snake(name)}", None)
        if method is None:
            self.unknown.append(name)
            raise LookupError(f"{name} is not known here")
        reply: Json = method(given)
        return reply

    def stream(self, run: str, given: Json) -> None:
        """Rows of a run, and how it ended."""
        part = given.get("files", {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
        rows = self._rows.setdefault(run, {})
        for number, line in enumerate(part["content"], part["offset"]):
            rows[number] = json.loads(line)
        if given.get("complete"):
            self.ended[run] = given["exitcode"]

    def _viewer(self, given: Json) -> Json:
        return {"viewer": USER}

    def _server_features_query(self, given: Json) -> Json:
        return {"serverInfo": {"features": []}}

    def _upsert_sweep(self, given: Json) -> Json:
        name = f"sweep{len(self.sweeps)}"
        self.sweeps[name] = yaml.safe_load(given["config"])
        project = PROJECT | {"name": given["projectName"]}
        return {"upsertSweep": {"sweep": {"name": name, "project": project}, "configValidationWarnings": []}}

    def _sweep_with_runs(self, given: Json) -> Json:
        name = given["sweep"]
        config = yaml.safe_dump(self.sweeps[name])
        sweep = {"id": name, "name": name, "config": config, "state": "RUNNING", "runs": {"edges": []}}
        return {"project": {"sweep": sweep}}

    def _create_agent(self, given: Json) -> Json:
        return {"createAgent": {"agent": {"id": "agent"}}}

    def _heartbeat(self, given: Json) -> Json:
        at_work = any(json.loads(given["runState"]).values())
        commands = [] if at_work else [self.points.pop(0) if self.points else {"type": "exit"}]
        return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}

    def _run_resume_status(self, given: Json) -> Json:
        run = given["name"]
        return {"model": PROJECT | {"bucket": self._bucket(run) if run in self.runs else None}}

    def _upsert_bucket(self, given: Json) -> Json:
        run = given["name"] or given["id"]
        inserted = run not in self.runs
        self.runs[run] = self.runs.get(run, {}) | {k: v for k, v in given.items() if v is not None}
        return {"upsertBucket": {"bucket": self._bucket(run) | {"project": PROJECT}, "inserted": inserted}}

    def _create_run_files(self, given: Json) -> Json:
        files = [{"name": name, "uploadUrl": f"{self.url}/put/{name}"} for name in given["files"]]
        return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}

    def _run_stopped_status(self, given: Json) -> Json:
        return {"project": {"run": {"stopped": False}}}

    def _bucket(self, run: str) -> Json:
        known, rows = self.runs[run], self.rows(run)
        return {
            "id": run,
            "name": run,
            "displayName": known.get("displayName", run),
            "description": None,
            "config": known.get("config", "{}"),
            "sweepName": known.get("sweep"),
            "summaryMetrics": "{}",
            "logLineCount": 0,
            "historyLineCount": len(rows),
            "eventsLineCount": 0,
            "historyTail": json.dumps([json.dumps(row) for row in rows[-1:]]),
            "eventsTail": "[]",
            "tags": [],
            "notes": None,
            "wandbConfig": '{"t": 1}',
        }


@contextmanager
def serving() -> Iterator[WandbServer]:
    server = WandbServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):  # HTTP/1.0: no connection outlives its answer
        def do_POST(self) -> None:
            body = self._body()
            if self.path == "/graphql":
                given = json.loads(body)
                try:
                    self._reply({"data": server.answer(given["query"], given.get("variables") or {})})
                except LookupError as error:
                    self._reply({"data": None, "errors": [{"message": str(error)}]})
            else:
                if self.path.endswith("/file_stream"):  # the others are W&B's metrics about itself
                    server.stream(self.path.split("/")[-2], json.loads(body))
                self._reply({})

        def do_PUT(self) -> None:
            server.files[self.path.removeprefix("/put/")] = self._body()
            self._reply({})

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _reply(self, data: Json) -> None:
            body = json.dumps(data).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
