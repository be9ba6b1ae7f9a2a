"""Serve a study's page and keep what participants send. Needs Python 3.9 or later and nothing else.

    python collector.py --page index.html --responses responses --port 8000

GET / gives the page; POST /responses keeps one JSON response as a new file, whole or not at all. Pages
opened from file:// (origin null) and from other hosts may send, too. Nothing is served back.
"""

import argparse
import hashlib
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LIMIT = 262_144
FORMAT = "cladec-user-study-response"
SECONDS = 30


class Collector(BaseHTTPRequestHandler):
    """Answers GET /, POST /responses and the browser's question before it (OPTIONS)."""

    page = b""
    folder = Path("responses")
    timeout = SECONDS

    def _reply(self, status, text="", kind="text/plain; charset=utf-8"):
        body = text if isinstance(text, bytes) else text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Methods", "POST, OPTIONS")
        self.send_header("Access-Control-Allow-Headers", "Content-Type")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def do_OPTIONS(self):
        self._reply(204)

    def do_GET(self):
        if self.path.split("?")[0] in ("/", "/index.html"):
            self._reply(200, self.page, "text/html; charset=utf-8")
        else:
            self._reply(404, "There is nothing here.")

    def do_POST(self):
        if self.path != "/responses":
            return self._reply(404, "There is nothing here.")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            return self._reply(411, "The length is missing.")
        if int(length) > LIMIT:
            self.close_connection = True
            return self._reply(413, "The response is too large.")
        body = self.rfile.read(int(length))
        try:
            response = json.loads(body)
            sound = response["format"] == FORMAT and isinstance(response["participant"], str)
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        if not sound:
            return self._reply(400, "This is no response of a study.")
        keep(self.folder, response["participant"], body)
        return self._reply(201, "Kept.")

    def log_message(self, format, *args):
        """One line per request, without the participant's number or address."""
        print(self.command, self.path.split("?")[0], args[1] if len(args) > 1 else "", flush=True)


def keep(folder, participant, body):
    """Write a response under its participant and content: the same twice is one file, another is a second."""
    name = re.sub(r"[^\w-]", "", participant)[:64] or "nameless"
    target = folder / f"response-{name}-{hashlib.sha256(body).hexdigest()[:8]}.json"
    partial = folder / f".partial-{target.name}-{os.getpid()}-{id(body)}"
    partial.write_bytes(body)
    os.replace(partial, target)


def main():
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=Path("index.html"))
    parser.add_argument("--responses", type=Path, default=Path("responses"))
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to be reached from other machines")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    options = parser.parse_args()
    Collector.page = options.page.read_bytes()
    Collector.folder = options.responses
    options.responses.mkdir(parents=True, exist_ok=True)
    with ThreadingHTTPServer((options.host, options.port), Collector) as server:
        print(f"collecting at http://{options.host}:{server.server_address[1]}/responses", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
