"""A minimal S3 server for tests: buckets of objects in memory, listed and read with the S3 protocol."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ERROR = "<?xml version='1.0'?><Error><Code>{0}</Code><Message>{0} HIDDENINSTORE</Message></Error>"
PRIVATE = "private"
"""A bucket without read access."""
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


class Stub(BaseHTTPRequestHandler):
    """Answers ListObjectsV2, HeadBucket, HeadObject and GetObject."""

    protocol_version = "HTTP/1.1"
    buckets: dict[str, dict[str, bytes]]
    broken: set[str]

    def log_message(self, *_: object) -> None:
        """Do not log."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        objects = self.buckets.get(bucket)
        if bucket == PRIVATE:
            self._send(403, ERROR.format("AccessDenied").encode())
        elif objects is None:
            self._send(404, ERROR.format("NoSuchBucket").encode())
        elif key:
            self._object(objects, key)
        else:
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._list(bucket, objects, query.get("prefix", ""), query.get("delimiter", ""))

    def _object(self, objects: dict[str, bytes], key: str) -> None:
        if key not in objects:
            return self._send(404, ERROR.format("NoSuchKey").encode())
        content, status, headers = objects[key], 200, {"ETag": '"e"', "Last-Modified": DATE, "Accept-Ranges": "bytes"}
        if key in self.broken:
            return self._send(403, ERROR.format("AccessDenied").encode())
        if span := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            status, content = 206, content[first : last + 1]
        return self._send(status, content, headers)

    def _list(self, bucket: str, objects: dict[str, bytes], prefix: str, delimiter: str) -> None:
        keys, folders = [], set()
        for key in sorted(k for k in objects if k.startswith(prefix)):
            inner, sign, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if sign:
                folders.add(prefix + inner + sign)
            else:
                keys.append(key)
        contents = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<Size>{len(objects[key])}</Size></Contents>"
            for key in keys
        )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders))
        count = len(keys) + len(folders)
        self._send(
            200,
            f"<?xml version='1.0'?><ListBucketResult><Name>{bucket}</Name><KeyCount>{count}</KeyCount>"
            f"<IsTruncated>false</IsTruncated>{contents}{common}</ListBucketResult>".encode(),
        )

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def serving(buckets: dict[str, dict[str, bytes]], broken: set[str]) -> Iterator[str]:
    """Serve ``buckets`` and yield ``HOST:PORT``; the keys ``broken`` are listed but cannot be read."""
    handler = type("Serving", (Stub,), {"buckets": buckets, "broken": broken})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
