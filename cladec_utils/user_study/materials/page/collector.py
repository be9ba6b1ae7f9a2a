"""Serve a study's page and keep what participants send. Needs Python 3.9 or later and nothing else.

    python collector.py --page index.html --responses responses --port 8000

GET / gives the page; POST /responses keeps one JSON response to that page's study as a new file, whole or
not at all, until there are --most of them. Pages opened from file:// (origin null) and from other hosts may
send, too. Nothing is served back. What is not kept is answered with an error, and stays in the page.
"""

import argparse
import errno
import hashlib
import json
import os
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LIMIT = 262_144
MOST = 2_000
FORMAT = "cladec-user-study-response"
SECONDS = 30


class Collector(BaseHTTPRequestHandler):
    """Answers GET /, POST /responses and the browser's question before it (OPTIONS)."""

    page = b""
    study = ""
    folder = Path("responses")
    most = MOST
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
        if not re.fullmatch("[0-9]{1,18}", length):
            return self._reply(411, "The length is missing.")
        if int(length) > LIMIT:
            self.close_connection = True
            return self._reply(413, "The response is too large.")
        body = self.rfile.read(int(length))
        try:
            response = json.loads(body)
            sound = response["format"] == FORMAT and isinstance(response["participant"], str)
            study = response["study_hash"]
        except (ValueError, KeyError, TypeError, RecursionError):
            sound = False
        if not sound:
            return self._reply(400, "This is no response of a study.")
        if study != self.study:
            return self._reply(409, "These are answers to another study than the one that is collected here.")
        return self._reply(*self._kept(response["participant"], body))

    def _kept(self, participant, body):
        """Keep a response if there is room; returns the reply: status and text."""
        try:
            if keep(self.folder, participant, body, self.most):
                return 201, "Kept."
            print(f"FULL: there are {self.most} responses; to keep more, start again with --most", flush=True)
            return 507, "No more responses are collected: as many as were wanted are there."
        except OSError as error:
            print(f"NOT KEPT: a response cannot be written: {error}", flush=True)
            return 507, "The answers cannot be kept at the moment; please send them again later."

    def log_message(self, format, *args):
        """One line per request, without the participant's number or address."""
        print(self.command, self.path.split("?")[0], args[1] if len(args) > 1 else "", flush=True)


one_at_a_time = threading.Lock()


def keep(folder, participant, body, most):
    """Write a response under its participant and content: the same twice is one file, another is a second.
    Returns whether it is there now; not if there are `most` others."""
    name = re.sub(r"[^\w-]", "", participant, flags=re.ASCII)[:64] or "nameless"
    target = folder / f"response-{name}-{hashlib.sha256(body).hexdigest()[:8]}.json"
    partial = folder / f".partial-{target.name}-{os.getpid()}-{id(body)}"
    with one_at_a_time:
        if target.exists():
            return True
        if sum(1 for _ in folder.glob("response-*.json")) >= most:
            return False
        try:
            partial.write_bytes(body)
            os.replace(partial, target)
        except OSError:
            if partial.exists():
                partial.unlink()
            raise
    return True


def study_of(page):
    """The hash of the study that a page asks about; ends the program if it is no study's page."""
    line = re.search(rb"^const STUDY = (.*);\r?$", page, re.MULTILINE)
    try:
        return json.loads(line[1])["hash"]
    except (TypeError, ValueError, KeyError):
        stop("--page is no study's page; give the index.html that was made with this file.")


def stop(sentence):
    """End the program with a sentence."""
    print(sentence, file=sys.stderr)
    sys.exit(2)


def page_at(path):
    """The page that is served."""
    try:
        return path.read_bytes()
    except OSError as error:
        stop(f"--page {path} cannot be read ({error.strerror}); give the index.html made with this file.")


def prepared(folder):
    """The folder of responses, made where it is not there and tried."""
    tried = folder / f".partial-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tried.write_bytes(b"")
        tried.unlink()
    except OSError as error:
        stop(f"--responses {folder} takes no files ({error.strerror}); give a folder that can be written to.")
    return folder


def served(host, port):
    """The server at a host and port."""
    if ":" in host:
        stop(f"--host {host} is an IPv6 address, which pages cannot send to; give 127.0.0.1 or 0.0.0.0.")
    try:
        return ThreadingHTTPServer((host, port), Collector)
    except (socket.gaierror, UnicodeError) as error:
        stop(f"--host {host} is no name or address that is known here ({error}); give 127.0.0.1 or 0.0.0.0.")
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            stop(
                f"--port {port} is in use, perhaps by another collector; stop that one, or give another "
                "(0 takes a free one)."
            )
        if error.errno == errno.EACCES:
            stop(f"--port {port} is not for everybody here; give one above 1023, such as 8000.")
        stop(f"Nothing can be served at --host {host} ({error.strerror}); give 127.0.0.1 or 0.0.0.0.")


def main():
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--page", type=Path, default=Path("index.html"))
    parser.add_argument("--responses", type=Path, default=Path("responses"))
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to be reached from other machines")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--most", type=int, default=MOST, help=f"responses that are kept (default {MOST})")
    options = parser.parse_args()
    if not 0 <= options.port <= 65535:
        stop(f"--port is {options.port}; it must be a number from 0 (takes a free one) to 65535.")
    if options.most < 0:
        stop(f"--most is {options.most}; it must be a number of responses from 0 up.")
    Collector.page = page_at(options.page)
    Collector.study = study_of(Collector.page)
    Collector.folder, Collector.most = prepared(options.responses), options.most
    with served(options.host, options.port) as server:
        address = f"http://{options.host}:{server.server_address[1]}/responses"
        print(f"collecting at {address}, at most {options.most} responses", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
