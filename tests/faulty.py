"""A server between calibtool and a real one, that does what servers do on a bad day."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"


class Server(ThreadingHTTPServer):
    """On loopback, in threads of its own, until the block ends."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.asked: list[str] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def __exit__(self, *trace):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """A connection that was cut is what this server is for."""


class Proxy(Server):
    """Hands requests on to a port. `fault(n)` says what becomes of the nth GET of an object:
    "503", "cut" (in the middle of the body), "stall", or None."""

    def __init__(self, port, fault=lambda n: None, latency=0.0):
        self.port, self.fault, self.latency = port, fault, latency
        self.gets = 0
        self.lock = threading.Lock()
        super().__init__(_Forward)


class _Forward(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        server = self.server
        fault = None
        if self.command == "GET" and "list-type" not in self.path:
            with server.lock:
                server.gets += 1
                fault = server.fault(server.gets)
            server.asked.append(f"{self.path} {self.headers.get('Range', '')} {fault or ''}")
        time.sleep(server.latency)
        if fault == "503":
            self.send_response(503)
            self.send_header("Content-Length", str(len(SLOW_DOWN)))
            self.end_headers()
            self.wfile.write(SLOW_DOWN)
            return
        status, headers, body = self._upstream()
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = {k.lower(): v for k, v in headers}.get("content-length", len(body))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        if fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
            return
        self.wfile.write(body)

    def do_HEAD(self):
        self.do_GET()

    def do_PUT(self):
        self.do_GET()

    def do_POST(self):
        self.do_GET()

    def _upstream(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        connection.request(self.command, self.path, sent, dict(self.headers))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.getheaders(), body


class Pages(Server):
    """The files of a folder by http, with ranges or without."""

    def __init__(self, folder, *, ranges):
        self.folder, self.ranges = Path(folder), ranges
        super().__init__(_Page)


class _Page(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def __init__(self, request, address, server):
        super().__init__(request, address, server, directory=str(server.folder))

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        self.server.asked.append(f"{self.command} {self.path} {self.headers.get('Range', '')}")
        path = self.server.folder / self.path.split("?")[0].lstrip("/")
        if path.is_dir():
            page = self.list_directory(str(path))
            self.wfile.write(page.read())
            return
        if not path.exists():
            self.send_error(404)
            return
        body = path.read_bytes()
        wanted = self.headers.get("Range") if self.server.ranges else None
        if wanted:
            first, last = wanted.removeprefix("bytes=").split("-")
            whole, at = len(body), int(first)
            body = body[at : int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {at}-{at + len(body) - 1}/{whole}")
        else:
            self.send_response(200)
        if self.server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
